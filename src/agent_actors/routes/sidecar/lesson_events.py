"""`/conversations` and `/messages`: events of other services, in the forms of the lessons.

They come as CloudEvents, as daprd delivers them, or bare. A message that another service has
answered becomes a turn of the session like any other: it is committed once and published.
"""

import logging
from typing import Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field, ValidationError

from agent_actors.errors import AgentError, Gone, Invalid, TryLater
from agent_actors.observability.counters import EventOutcome
from agent_actors.protocol import ids, wire
from agent_actors.protocol.codec import fields
from agent_actors.protocol.events import TurnEvent
from agent_actors.protocol.messages import AdoptTurn, Message, Reply, Turn, Usage, check_message
from agent_actors.routes.edge.bodies import EventStatus
from agent_actors.routes.edge.dependencies import Services, callback
from agent_actors.routes.edge.problems import responses
from agent_actors.routes.sidecar.envelope import InvalidEvent, read_foreign_event
from agent_actors.routes.sidecar.events import FAILED, keep, status
from agent_actors.users.session import open_session

log = logging.getLogger(__name__)

router = APIRouter(tags=["events"])

REPLY_BYTES = 1024 * 1024
"""The size of a reply of another service, in UTF-8."""


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
    """Adopts the turn of an event of `conversations`."""
    try:
        foreign = read_foreign_event(body)
        event = ConversationEvent.model_validate(foreign.data)
        user = ids.actor_id(event.user_id)
        message = Message("user", event.user_message)
        check_message(message, services.settings.message_bytes)
        check_message(Message("assistant", event.assistant_reply), REPLY_BYTES)
        conversation = ids.session(ids.session_id(event.session_id))
    except (InvalidEvent, ValidationError, AgentError) as error:
        return status(services, wire.CONVERSATIONS, _invalid(error))
    turn = Turn(event.turn_id or foreign.id, "", ids.body_hash(message), user, message)
    usage = Usage(event.usage.input_tokens, event.usage.output_tokens)
    request = AdoptTurn(turn, Reply(event.assistant_reply, event.model, usage))
    outcome = await _adopt(services, request, conversation, foreign.at)
    return status(services, wire.CONVERSATIONS, outcome)


async def take_message(services: Services, body: bytes) -> EventStatus:
    """Counts the message of an event of `messages`."""
    try:
        foreign = read_foreign_event(body)
        event = MessageEvent.model_validate(foreign.data)
        user = ids.actor_id(event.user_id)
    except (InvalidEvent, ValidationError, AgentError) as error:
        return status(services, wire.MESSAGES, _invalid(error))
    turn_id = event.turn_id or foreign.id
    empty = (Message("user", ""), Message("assistant", ""))
    try:
        counted = TurnEvent("", turn_id, *empty, at=foreign.at, user=user)
        await services.actors.analytics.apply(user, [counted])
    except AgentError as error:
        return status(services, wire.MESSAGES, _refused(error))
    return status(services, wire.MESSAGES, "applied")


async def keep_conversation(services: Services, body: bytes) -> EventStatus:
    """Keeps an event of `conversations` that the broker has given up."""
    return await _keep(services, body, wire.CONVERSATIONS)


async def keep_message(services: Services, body: bytes) -> EventStatus:
    """Keeps an event of `messages` that the broker has given up."""
    return await _keep(services, body, wire.MESSAGES)


async def _keep(services: Services, body: bytes, topic: str) -> EventStatus:
    """Keeps an event, unless its user was forgotten after it was published."""
    try:
        foreign = read_foreign_event(body)
        user = ids.actor_id(str(foreign.data.get("user_id")))
        if await services.reader.forgotten_since(user, foreign.at):
            return EventStatus(status="SUCCESS")
    except InvalidEvent as error:
        return await keep(services, body, error.reason, topic)
    except Invalid:
        log.debug("a dead letter names no user")
    return await keep(services, body, FAILED, topic)


async def _adopt(
    services: Services, request: AdoptTurn, conversation: str, at: float | None
) -> EventOutcome:
    user = request.turn.user
    try:
        # What was published before the user was forgotten is forgotten, too. This is checked again
        # once the session is open: a deletion that starts later finds the session on the list.
        if await services.reader.forgotten_since(user, at):
            return "applied"
        await open_session(services.reader, services.actors.sessions, user, conversation)
        if await services.reader.forgotten_since(user, at):
            return "applied"
        await services.actors.chat.adopt(conversation, request)
    except AgentError as error:
        if error.status == Gone.status:
            return "applied"  # The session was deleted with its user, or its turn was cleared.
        return _refused(error)
    return "applied"


def _refused(error: AgentError) -> EventOutcome:
    """What becomes of an event that an actor refused."""
    if isinstance(error, TryLater):
        return "retry"
    log.warning("an event of another service was refused: %s", error.title)
    return "dropped" if 400 <= error.status < 500 else "retry"


def _invalid(error: InvalidEvent | ValidationError | AgentError) -> EventOutcome:
    reason = fields(error) if isinstance(error, ValidationError) else str(error)
    log.warning("an event of another service cannot be applied: %s", reason)
    return "retry" if isinstance(error, InvalidEvent) and not error.permanent else "dropped"
