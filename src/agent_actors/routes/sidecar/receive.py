"""`/receive-message`: users' messages from a Kafka input binding.

For a binding only 200 is success, and a record that fails comes again before all that follow it. So
the answer is 200 once the message is saved, as a turn or as a dead letter, and 503 if that may work
later (I5).
"""

import hashlib
import logging
import re
import uuid
from base64 import b64decode, b64encode
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json, to_json

from agent_actors.errors import AgentError, Conflict, Gone, TryLater, Unavailable
from agent_actors.protocol import ids
from agent_actors.protocol.codec import fields
from agent_actors.protocol.messages import Message, ProcessTurn, Turn, TurnState, check_message
from agent_actors.routes.edge.bodies import MessageDocument
from agent_actors.routes.edge.dependencies import Services, callback
from agent_actors.routes.edge.problems import responses
from agent_actors.routes.sidecar.callbacks import LARGEST
from agent_actors.routes.sidecar.envelope import published
from agent_actors.runtime import Headers

log = logging.getLogger(__name__)

router = APIRouter(tags=["events"])

BINDING = "kafka-binding"
"""The topic of the dead letters, named after the component."""
LETTER = b"application/cloudevents+json"
"""The content type of a requeued letter; daprd sends a record as `application/json`."""
ATTEMPTS = 16
"""How often a message whose turn has failed may be tried again by requeuing its letter."""
_NOTHING = b"", b"null"
_DIGEST = "#"
"""Separates position and digest in the id of a letter; no position contains it."""
_POSITION = {
    b"__topic": re.compile(rb"[A-Za-z0-9._-]{1,249}"),
    b"__partition": re.compile(rb"\d{1,10}"),
    b"__offset": re.compile(rb"\d{1,19}"),
    b"__timestamp": re.compile(rb"-1|\d{1,14}"),
}
"""The headers with the position of a record, and their forms."""


class RecordMessage(BaseModel):
    """The user's message in a record."""

    model_config = ConfigDict(strict=True)

    role: Literal["user"]
    content: str


class KafkaMessage(BaseModel):
    """The value of a record."""

    model_config = ConfigDict(strict=True)

    actor_id: str
    message: RecordMessage
    message_id: str | None = Field(None, pattern=r"^[\x21-\x7e]{1,255}$")


class ReceiveResult(BaseModel):
    """What became of a message."""

    status: Literal[
        "Message processed", "Message accepted", "Message parked", "Message ignored"
    ] = Field(examples=["Message processed"])
    response: MessageDocument | None = None
    turn_id: str | None = None
    letter_id: str | None = Field(None, description="The dead letter that it is kept as.")


class InvalidRecord(Exception):
    """A record that cannot become a turn; the reason never repeats what it holds."""


@dataclass(frozen=True, slots=True)
class KafkaRecord:
    """A record of a topic.

    `position` is unique among all records that were ever written, and None if it is not known; `at`
    is when it was written, in epoch seconds. A `requeued` one comes from a dead letter.
    """

    value: bytes
    position: str | None
    at: float | None
    requeued: bool = False

    @property
    def id(self) -> str:
        """Identifies it in logs."""
        return self.position or self.digest

    @property
    def digest(self) -> str:
        """The hash of its value, without what may be cut off."""
        return hashlib.sha256(self.value[:LARGEST]).hexdigest()


@router.post(
    "/receive-message", response_model_exclude_none=True, responses=responses(403, 409, 503)
)
async def receive_message(request: Request) -> ReceiveResult:
    """Take a message from a Kafka binding; it takes effect once, however often it comes."""
    services = callback(request)
    return await receive(services, await request.body(), request.scope["headers"])


async def receive(services: Services, body: bytes, headers: Headers) -> ReceiveResult:
    """Takes a record, or a letter that is requeued.

    Raises:
        Unavailable: It may work later.
        Conflict: A letter failed again.
    """
    if (b"content-type", LETTER) in headers:
        return await requeue(services, body)
    record = read_record(body, headers)
    if body in _NOTHING:
        return _ignore(record, "it is empty")
    try:
        return await _take(services, record)
    except InvalidRecord as error:
        log.warning("record %s is kept as a dead letter: %s", record.id, error)
        letter_id = await services.dead_letters.keep(
            topic=BINDING, event=_letter(record), reason=str(error), tries=1
        )
        services.counters.dead_letter_kept(BINDING)
        return ReceiveResult(status="Message parked", letter_id=letter_id)


async def requeue(services: Services, letter: bytes) -> ReceiveResult:
    """Takes the record of a dead letter once more.

    Raises:
        Unavailable: It may work later.
        Conflict: It failed again; the letter has to stay.
    """
    try:
        return await _take(services, read_letter(letter))
    except InvalidRecord as error:
        raise Conflict(f"It failed again, and its letter is still there: {error}") from None


def read_record(body: bytes, headers: Headers) -> KafkaRecord:
    """Reads a record as daprd, or the embedded runtime, delivers it.

    The record's own headers are delivered in the same way. One of them may replace a header of the
    position, so a false position must harm no other message. If both are there, the position is
    not known.
    """
    found = {name: [value for key, value in headers if key == name] for name in _POSITION}
    for name, form in _POSITION.items():
        if len(found[name]) != 1 or form.fullmatch(found[name][0]) is None:
            return KafkaRecord(body, None, None)
    position = [found[name][0].decode() for name in _POSITION]
    milliseconds = int(position[-1])
    return KafkaRecord(body, "/".join(position), milliseconds / 1000 if milliseconds > 0 else None)


def read_letter(letter: bytes) -> KafkaRecord:
    """Reads the record of a dead letter.

    Raises:
        InvalidRecord: It is no letter of this binding, or was too long to be kept whole.
    """
    try:
        envelope = from_json(letter)
        encoded = envelope.get("data_base64")
        value = envelope["data"].encode() if encoded is None else b64decode(encoded, validate=True)
        position = str(envelope["id"]).partition(_DIGEST)[0]
        return KafkaRecord(value, position, published(envelope), requeued=True)
    except (ValueError, TypeError, KeyError, AttributeError):
        raise InvalidRecord("the letter does not have the whole record") from None


async def _take(services: Services, record: KafkaRecord) -> ReceiveResult:
    """Has the turn of a record happen, once.

    Raises:
        Unavailable: It may work later.
        InvalidRecord: It will never work.
    """
    services.turns.check_open()
    received = _read(record, services.settings.message_bytes)
    # A message from before its user was forgotten is forgotten, too.
    if await services.reader.forgotten_since(received.actor_id, record.at):
        return _ignore(record, "its user was forgotten since")
    try:
        state = await _process(services, record, received)
    except TryLater as error:
        raise Unavailable(error.detail, retry_after=error.retry_after) from None
    except AgentError as error:
        if error.status == Gone.status:
            return _ignore(record, "its turn was cleared since")
        raise InvalidRecord(error.detail) from None
    if state.status == "cancelled":
        return _ignore(record, "the conversation was cleared since")
    if state.status == "failed":
        raise InvalidRecord(state.error.detail if state.error else "the turn has failed")
    if state.reply is None:
        return ReceiveResult(status="Message accepted", turn_id=state.turn_id)
    reply = MessageDocument(role="assistant", content=state.reply.content)
    return ReceiveResult(status="Message processed", response=reply)


def _read(record: KafkaRecord, limit: int) -> KafkaMessage:
    if len(record.value) > LARGEST:
        raise InvalidRecord(f"the record has more than {LARGEST} bytes, and its end was not kept")
    try:
        received = KafkaMessage.model_validate_json(record.value)
        ids.actor_id(received.actor_id)
        check_message(_message(received), limit)
    except ValidationError as error:
        raise InvalidRecord(fields(error)) from None
    except AgentError as error:
        raise InvalidRecord(error.detail) from None
    if received.message_id is None and record.position is None:
        raise InvalidRecord("it has no position and no message_id, so it could be applied twice")
    return received


async def _process(services: Services, record: KafkaRecord, received: KafkaMessage) -> TurnState:
    """Runs the turn. That of a requeued letter is tried anew if its last attempt has failed."""
    wait = services.settings.parking_time
    for attempt in range(ATTEMPTS if record.requeued else 1):
        request = ProcessTurn(_turn(record, received, attempt), wait)
        state = await services.actors.chat.process(received.actor_id, request)
        if state.status != "failed":
            break
    return state


def _turn(record: KafkaRecord, received: KafkaMessage, attempt: int) -> Turn:
    """The turn of a message.

    Its id is derived from the producer's `message_id`, or else from position and content, so a
    false position cannot take the place of another message. No key that a caller can send has such
    a hash.
    """
    message = _message(received)
    body = ids.body_hash(message)
    name = f"id {received.message_id}" if received.message_id else f"at {record.position} {body}"
    again = f" again {attempt}" if attempt else ""
    hashed = uuid.UUID(ids.told_id(BINDING, name + again)).hex
    turn_id = ids.turn_id(received.actor_id, hashed, body)
    return Turn(turn_id, hashed, body, received.actor_id, message)


def _message(received: KafkaMessage) -> Message:
    return Message(received.message.role, received.message.content)


def _ignore(record: KafkaRecord, reason: str) -> ReceiveResult:
    log.info("record %s is ignored: %s", record.id, reason)
    return ReceiveResult(status="Message ignored")


def _letter(record: KafkaRecord) -> bytes:
    """A CloudEvent with the value of a record, byte for byte.

    The digest is part of its id, so a false position cannot take the place of another letter.
    """
    name = f"{record.position}{_DIGEST}{record.digest}" if record.position else record.digest
    event = {"specversion": "1.0", "id": name, "source": BINDING, "type": "kafka.record"}
    if record.at is not None:
        event["time"] = datetime.fromtimestamp(record.at, UTC).isoformat()
    try:
        event["data"] = record.value.decode()
    except UnicodeDecodeError:
        event["data_base64"] = b64encode(record.value).decode()
    return to_json(event)
