"""`/conversations` and `/messages`: events of other services, in the forms of the lessons.

They come wrapped as CloudEvents, as daprd delivers them, or bare. What another service has answered
becomes a turn of the session like any other: committed once, and told of by an event of our own.
"""

import logging
from typing import Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field, ValidationError

from agent_actors.errors import AgentError, Gone, Invalid, TryLater
from agent_actors.observability.counters import EventOutcome
from agent_actors.protocol import ids, wire
from agent_actors.protocol.codec import fields
from agent_actors.protocol.messages import (
    AdoptTurn,
    Message,
    Reply,
    Turn,
    TurnEvent,
    Usage,
    check_message,
)
from agent_actors.routes.edge.dependencies import Services, callback
from agent_actors.routes.edge.opening import open_session
from agent_actors.routes.edge.problems import responses
from agent_actors.routes.sidecar.envelope import InvalidEvent
from agent_actors.routes.sidecar.events import EventStatus, counted, keep
from agent_actors.routes.sidecar.foreign_event import ForeignEvent, read_told

log = logging.getLogger(__name__)

router = APIRouter(tags=["events"])

REPLY_BYTES = 1024 * 1024
"""What another service may have answered, in UTF-8."""


class LessonUsage(BaseModel):
    """Tokens, in the model's own."""

    input_tokens: int = Field(0, ge=0, le=2**40)
    output_tokens: int = Field(0, ge=0, le=2**40)


class ConversationEvent(BaseModel):
    """What a chat service publishes on the topic `conversations`."""

    event_type: Literal["ConversationUpdated"]
    user_id: str
    session_id: str
    user_message: str
    assistant_reply: str = Field(min_length=1)
    turn_id: str | None = Field(None, pattern=r"^[\x21-\x7e]{1,64}$")
    model: str = Field("", max_length=128)
    usage: LessonUsage = Field(default_factory=LessonUsage)


class MessageEvent(BaseModel):
    """What a chat service publishes on the topic `messages`."""

    event_type: Literal["MessageSent"]
    user_id: str
    turn_id: str | None = Field(None, pattern=r"^[\x21-\x7e]{1,64}$")


@router.post("/conversations", responses=responses(403))
async def conversations(request: Request) -> EventStatus:
    """Take a turn that another service has answered into its session; once per event id."""
    return await take_conversation(callback(request), await request.body())


@router.post("/conversations/dead", responses=responses(403))
async def conversations_dead(request: Request) -> EventStatus:
    """Keep such an event that could not be applied."""
    return await keep_conversation(callback(request), await request.body())


@router.post("/messages", responses=responses(403))
async def messages(request: Request) -> EventStatus:
    """Count a message that another service has answered; once per turn id, or event id."""
    return await take_message(callback(request), await request.body())


@router.post("/messages/dead", responses=responses(403))
async def messages_dead(request: Request) -> EventStatus:
    """Keep such an event that could not be applied."""
    return await keep_message(callback(request), await request.body())


async def take_conversation(services: Services, body: bytes) -> EventStatus:
    """What becomes of an event of `conversations`."""
    try:
        told = read_told(body)
        event = ConversationEvent.model_validate(told.data)
        adopted, conversation = _adopted(services, told, event)
    except (InvalidEvent, ValidationError, AgentError) as error:
        return counted(services, wire.CONVERSATIONS, _dropped(error))
    taken = await _adopt(services, adopted, conversation, told.at)
    return counted(services, wire.CONVERSATIONS, taken)


async def take_message(services: Services, body: bytes) -> EventStatus:
    """What becomes of an event of `messages`."""
    try:
        told = read_told(body)
        event = MessageEvent.model_validate(told.data)
        user = ids.actor_id(event.user_id)
    except (InvalidEvent, ValidationError, AgentError) as error:
        return counted(services, wire.MESSAGES, _dropped(error))
    turn_id = event.turn_id or told.id
    nothing = (Message("user", ""), Message("assistant", ""))
    try:
        await services.analytics.apply(user, [TurnEvent("", turn_id, *nothing, at=told.at)])
    except AgentError as error:
        return counted(services, wire.MESSAGES, _refused(error))
    return counted(services, wire.MESSAGES, "applied")


async def keep_conversation(services: Services, body: bytes) -> EventStatus:
    """Keeps an event of `conversations` that was given up."""
    return await _keep(services, body, wire.CONVERSATIONS)


async def keep_message(services: Services, body: bytes) -> EventStatus:
    """Keeps an event of `messages` that was given up."""
    return await _keep(services, body, wire.MESSAGES)


async def _keep(services: Services, body: bytes, topic: str) -> EventStatus:
    """Keeps an event, unless its user was forgotten since it was published."""
    try:
        told = read_told(body)
        user = ids.actor_id(str(told.data.get("user_id")))
        if await services.reader.forgotten_since(user, told.at):
            return EventStatus(status="SUCCESS")
    except (InvalidEvent, Invalid):
        log.debug("a dead letter names no user")
    return await keep(services, body, GIVEN_UP, topic)


GIVEN_UP = "it failed each time it was delivered"


def _adopted(
    services: Services, told: ForeignEvent, event: ConversationEvent
) -> tuple[AdoptTurn, str]:
    """The turn that an event tells of, and its conversation."""
    user = ids.actor_id(event.user_id)
    conversation = ids.session(ids.session_id(event.session_id))
    message = Message("user", event.user_message)
    check_message(message, services.settings.message_bytes)
    check_message(Message("assistant", event.assistant_reply), REPLY_BYTES)
    turn_id = event.turn_id or told.id
    turn = Turn(turn_id, "", ids.body_hash(message), user, message)
    usage = Usage(event.usage.input_tokens, event.usage.output_tokens)
    return AdoptTurn(turn, Reply(event.assistant_reply, event.model, usage)), conversation


async def _adopt(
    services: Services, adopted: AdoptTurn, conversation: str, at: float | None
) -> EventOutcome:
    user = adopted.turn.user
    try:
        # Said before the user was forgotten: so it is forgotten, too. Asked again once the session
        # is open: a deletion that begins later finds it on the list.
        if await services.reader.forgotten_since(user, at):
            return "applied"
        await open_session(services, user, conversation)
        if await services.reader.forgotten_since(user, at):
            return "applied"
        await services.chat.adopt(conversation, adopted)
    except AgentError as error:
        if error.status == Gone.status:
            return "applied"  # The session was deleted with its user, or its turn cleared since.
        return _refused(error)
    return "applied"


def _refused(error: AgentError) -> EventOutcome:
    """What becomes of an event that an actor did not take."""
    if isinstance(error, TryLater):
        return "retry"
    log.warning("an event of another service was not taken: %s", error.title)
    return "dropped" if 400 <= error.status < 500 else "retry"


def _dropped(error: InvalidEvent | ValidationError | AgentError) -> EventOutcome:
    reason = fields(error) if isinstance(error, ValidationError) else str(error)
    log.warning("an event of another service cannot be applied: %s", reason)
    return "dropped"
