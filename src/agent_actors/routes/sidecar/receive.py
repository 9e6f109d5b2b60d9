"""`/receive-message`: what people said, as a Kafka input binding brings it.

To a binding only 200 is success, and what fails comes again before all that follows it: so 200 says
that a message is saved, as a turn or as a dead letter, and 503 that it may be later (I5).
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
from agent_actors.routes.edge.dependencies import Services, callback
from agent_actors.routes.edge.problems import responses
from agent_actors.routes.sidecar.callbacks import LARGEST
from agent_actors.routes.sidecar.envelope import published
from agent_actors.routes.turns import ChatMessage, MessageDocument
from agent_actors.runtime import Headers

log = logging.getLogger(__name__)

router = APIRouter(tags=["events"])

BINDING = "kafka-binding"
"""The topic of its dead letters; the component has that name."""
LETTER = b"application/cloudevents+json"
"""What a letter comes as when it is delivered again; daprd says `application/json` of a record."""
ATTEMPTS = 16
"""Recorded failures of a message that may be followed by one more attempt, when it is requeued."""
_NOTHING = b"", b"null"
_DIGEST = "#"
"""In the id of a letter, what is between the position and the digest; no position has it."""
_POSITION = {
    b"__topic": re.compile(rb"[A-Za-z0-9._-]{1,249}"),
    b"__partition": re.compile(rb"\d{1,10}"),
    b"__offset": re.compile(rb"\d{1,19}"),
    b"__timestamp": re.compile(rb"-1|\d{1,14}"),
}
"""The headers that say where a record is, and their forms."""


class KafkaMessage(BaseModel):
    """The value of a record."""

    model_config = ConfigDict(strict=True)

    actor_id: str
    message: ChatMessage
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
    """A record that no turn is made of; the reason never repeats what it holds."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class KafkaRecord:
    """A record of a topic.

    `position` is unique among all records that were ever written, and None where it is not said;
    `at` is when it was written, in epoch seconds. `requeued` says that a letter comes again.
    """

    value: bytes
    position: str | None
    at: float | None
    requeued: bool = False

    @property
    def id(self) -> str:
        """What it goes by in logs."""
        return self.position or self.digest

    @property
    def digest(self) -> str:
        """Of its value; of one whose end was not kept, of what is always there."""
        return hashlib.sha256(self.value[:LARGEST]).hexdigest()


@router.post(
    "/receive-message", response_model_exclude_none=True, responses=responses(403, 409, 503)
)
async def receive_message(request: Request) -> ReceiveResult:
    """Take what somebody said from a Kafka binding; it is said once, however often it comes."""
    services = callback(request)
    return await receive(services, await request.body(), request.scope["headers"])


async def receive(services: Services, body: bytes, headers: Headers) -> ReceiveResult:
    """What becomes of a record, or of a letter that is delivered again.

    Raises:
        Unavailable: It may be taken later.
        Conflict: A letter failed again.
    """
    if (b"content-type", LETTER) in headers:
        return await requeue(services, body)
    record = read_record(body, headers)
    if body in _NOTHING:
        return _pass_over(record, "it says nothing")
    try:
        return await _take(services, record)
    except InvalidRecord as error:
        return await _park(services, record, error.reason)


async def requeue(services: Services, letter: bytes) -> ReceiveResult:
    """Says what a dead letter says, once more.

    Raises:
        Unavailable: It may be taken later.
        Conflict: It failed again; the letter is to be kept.
    """
    try:
        return await _take(services, read_letter(letter))
    except InvalidRecord as error:
        raise Conflict(f"It failed again, and its letter is still there: {error.reason}") from None


def read_record(body: bytes, headers: Headers) -> KafkaRecord:
    """A record as daprd, or the embedded runtime, delivers it.

    Headers of the record come as headers, too. One that is named like those of the position is not
    told apart where it replaces it, so nobody may be harmed by a position that is not true; where
    it comes beside it, the record has none.
    """
    told = {name: [value for key, value in headers if key == name] for name in _POSITION}
    for name, form in _POSITION.items():
        if len(told[name]) != 1 or form.fullmatch(told[name][0]) is None:
            return KafkaRecord(body, None, None)
    position = [told[name][0].decode() for name in _POSITION]
    milliseconds = int(position[-1])
    return KafkaRecord(body, "/".join(position), milliseconds / 1000 if milliseconds > 0 else None)


def read_letter(letter: bytes) -> KafkaRecord:
    """The record of a dead letter.

    Raises:
        Unusable: It is none of ours, or it was too long to be kept whole.
    """
    try:
        told = from_json(letter)
        encoded = told.get("data_base64")
        value = told["data"].encode() if encoded is None else b64decode(encoded, validate=True)
        position = str(told["id"]).partition(_DIGEST)[0]
        return KafkaRecord(value, position, published(told), requeued=True)
    except (ValueError, TypeError, KeyError, AttributeError):
        raise InvalidRecord("the letter does not have the whole record") from None


async def _take(services: Services, record: KafkaRecord) -> ReceiveResult:
    """Has it said what the record says, once.

    Raises:
        Unavailable: It may be taken later.
        Unusable: It will never be.
    """
    services.turns.check_open()
    said = _read(record, services.settings.message_bytes)
    # Written before the user was forgotten: so it is forgotten, too.
    if await services.reader.forgotten_since(said.actor_id, record.at):
        return _pass_over(record, "its user was forgotten since")
    try:
        state = await _process(services, record, said)
    except TryLater as error:
        raise Unavailable(error.detail, retry_after=error.retry_after) from None
    except AgentError as error:
        if error.status == Gone.status:
            return _pass_over(record, "what was said was cleared since")
        raise InvalidRecord(error.detail) from None
    return _received(record, state)


def _read(record: KafkaRecord, limit: int) -> KafkaMessage:
    if len(record.value) > LARGEST:
        raise InvalidRecord(f"the record has more than {LARGEST} bytes, and its end was not kept")
    try:
        said = KafkaMessage.model_validate_json(record.value)
        ids.actor_id(said.actor_id)
        check_message(_message(said), limit)
    except ValidationError as error:
        raise InvalidRecord(fields(error)) from None
    except AgentError as error:
        raise InvalidRecord(error.detail) from None
    if said.message_id is None and record.position is None:
        raise InvalidRecord("it has no position and no message_id, so it could be said twice")
    return said


async def _process(services: Services, record: KafkaRecord, said: KafkaMessage) -> TurnState:
    """Where the turn is. The one of a letter is tried again where its last attempt has failed."""
    wait = services.settings.parking_time
    for attempt in range(ATTEMPTS if record.requeued else 1):
        request = ProcessTurn(_turn(record, said, attempt), wait)
        state = await services.chat.process(said.actor_id, request)
        if state.status != "failed":
            break
    return state


def _turn(record: KafkaRecord, said: KafkaMessage, attempt: int) -> Turn:
    """The turn of a message.

    It is named by the producer's `message_id`, else by where the record is, and then by what it
    says as well: a position that is not true takes no other message's place. No key that a caller
    can send has such a hash.
    """
    message = _message(said)
    body = ids.body_hash(message)
    name = f"id {said.message_id}" if said.message_id else f"at {record.position} {body}"
    again = f" again {attempt}" if attempt else ""
    hashed = uuid.UUID(ids.told_id(BINDING, name + again)).hex
    turn_id = ids.turn_id(said.actor_id, hashed, body)
    return Turn(turn_id, hashed, body, said.actor_id, message)


def _message(said: KafkaMessage) -> Message:
    return Message(said.message.role, said.message.content)


def _received(record: KafkaRecord, state: TurnState) -> ReceiveResult:
    if state.status == "cancelled":
        return _pass_over(record, "the conversation was cleared since")
    if state.status == "failed":
        raise InvalidRecord(state.error.detail if state.error else "the turn has failed")
    if state.reply is None:
        return ReceiveResult(status="Message accepted", turn_id=state.turn_id)
    reply = MessageDocument(role="assistant", content=state.reply.content)
    return ReceiveResult(status="Message processed", response=reply)


def _pass_over(record: KafkaRecord, reason: str) -> ReceiveResult:
    log.info("the record %s is passed over: %s", record.id, reason)
    return ReceiveResult(status="Message ignored")


async def _park(services: Services, record: KafkaRecord, reason: str) -> ReceiveResult:
    """Keeps a record as a dead letter; each is kept once."""
    log.warning("the record %s is a dead letter: %s", record.id, reason)
    event = _letter(record)
    letter_id = await services.dead_letters.keep(topic=BINDING, event=event, reason=reason, tries=1)
    services.counters.dead_letter_kept(BINDING)
    return ReceiveResult(status="Message parked", letter_id=letter_id)


def _letter(record: KafkaRecord) -> bytes:
    """A CloudEvent with the value of a record, byte for byte.

    Its id has the digest as well: a position that is not true takes no other letter's place.
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
