"""`/subscribe`: events of the topic `user-chat`, applied to memory; `/events/dead`: what was not.

SUCCESS is answered only after the effect is saved, RETRY when it may work later, DROP only for what
can never work (I5). Other words mean RETRY to daprd.
"""

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, Field

from agent_actors.errors import AgentError, NotFound, TryLater
from agent_actors.observability import tracing
from agent_actors.observability.counters import EventOutcome
from agent_actors.protocol import wire
from agent_actors.protocol.dead_letters import DeadLetter
from agent_actors.protocol.messages import EventResult, TurnEvent
from agent_actors.routes.edge.dependencies import Services, callback, operator
from agent_actors.routes.edge.problems import responses
from agent_actors.routes.sidecar.envelope import ClearedEvent, Event, InvalidEvent, read_event

log = logging.getLogger(__name__)

router = APIRouter(tags=["events"])


Status = Literal["SUCCESS", "RETRY", "DROP"]
_VERDICTS: Mapping[EventOutcome, Status] = {
    "applied": "SUCCESS",
    "duplicate": "SUCCESS",
    "retry": "RETRY",
    "dropped": "DROP",
}
CATCH_UP = 8
"""Times that memory is given missed turns for one event; then the event comes again."""
_TAKEN = {
    "messaging.system": "dapr",
    "messaging.operation.name": "process",
    "messaging.operation.type": "process",
    "messaging.destination.name": wire.USER_CHAT,
}
LETTER = {
    "id": "5f0c3c5e-7b0f-5c53-9d0e-3a1f0c9c1b7a",
    "topic": wire.USER_CHAT,
    "reason": "it names no user",
    "tries": 0,
    "at": "2026-01-01T12:00:00Z",
    "event": {"id": "x", "data": {}},
}
"""An example of a dead letter."""


class EventStatus(BaseModel):
    """What becomes of the event, in daprd's words."""

    status: Status = Field(examples=["SUCCESS"])


class DeadLetterList(BaseModel):
    """Events that could not be applied, newest first."""

    dead: list[DeadLetter] = Field(examples=[[LETTER]])


@router.post("/subscribe", responses=responses(403))
async def subscribe(request: Request) -> EventStatus:
    """Apply one event to the memory of its user; effective once, however often it comes."""
    return await take(callback(request), await request.body())


@router.post("/subscribe/dead", responses=responses(403))
async def subscribe_dead(request: Request) -> EventStatus:
    """Keep what could not be applied, unless it has been since, or history can send it again."""
    return await take_dead(callback(request), await request.body())


@router.get("/events/dead", responses=responses(403, 422, 503))
async def dead(
    request: Request, limit: Annotated[int, Query(ge=1, le=1000)] = 100
) -> DeadLetterList:
    """Events that could not be applied, newest first."""
    return DeadLetterList(dead=list(await operator(request).dead_letters.list(limit)))


@router.post(
    "/events/dead/{letter_id}/requeue",
    responses=responses(403, 404, 409, 422, 503),
)
async def requeue(
    letter_id: Annotated[str, Path(examples=[LETTER["id"]])], request: Request
) -> EventStatus:
    """Deliver a dead letter once more; it is forgotten if that succeeds."""
    if await operator(request).dead_letters.requeue(letter_id) is None:
        raise NotFound(f"There is no dead letter {letter_id!r}.")
    return EventStatus(status="SUCCESS")


async def take(services: Services, body: bytes) -> EventStatus:
    """What becomes of an event of `user-chat`, as it was delivered."""
    probed = services.probes.answer(body)
    if probed is not None:
        return EventStatus(status=probed)
    return counted(services, wire.USER_CHAT, await _take(services, body))


def counted(services: Services, topic: str, taken: EventOutcome) -> EventStatus:
    """What became of an event, told to the counters and to the broker."""
    services.counters.event_taken(topic, taken)
    return EventStatus(status=_VERDICTS[taken])


async def _take(services: Services, body: bytes) -> EventOutcome:
    try:
        event = read_event(body)
    except InvalidEvent as unusable:
        log.warning("event %s cannot be applied: %s", unusable.event_id, unusable.reason)
        return "dropped" if unusable.for_ever else "retry"
    with tracing.span(f"process {wire.USER_CHAT}", "consumer", _TAKEN, parent=event.traceparent):
        if isinstance(event, ClearedEvent):
            return await _forget(services, event)
        return await _apply(services, event)


async def take_dead(services: Services, body: bytes) -> EventStatus:
    """Keeps what was given up, unless memory has passed it, or history can send it again."""
    try:
        event = read_event(body)
    except InvalidEvent as unusable:
        return await keep(services, body, unusable.reason)
    if isinstance(event, ClearedEvent) or await _recoverable(services, event):
        return EventStatus(status="SUCCESS")
    return await keep(services, body, "it failed each time it was delivered")


async def _apply(services: Services, event: Event) -> EventOutcome:
    """Memory at once, since the next turn asks it; the others soon after.

    Whatever of our own events a consumer has not applied, the conversation publishes again. One of
    another producer nobody publishes again: it is applied by all before it is acknowledged.
    """
    user, remember = event.user, event.remember
    try:
        if remember.seq is None:
            await services.feed.apply(user, remember)
        remembered = await _remember(services, user, remember)
    except TryLater:
        return "retry"
    except AgentError as error:
        log.warning("event %s failed: %s", remember.event_id, error.title)
        return "dropped" if 400 <= error.status < 500 else "retry"
    if remembered.status == "gap":
        return "retry"
    if remember.seq is not None:
        services.feed.add(user, remember)
    if remembered.status == "applied":
        _tell_lag(services, remember)
    return remembered.status


def _tell_lag(services: Services, event: TurnEvent) -> None:
    if event.occurred_at:
        lag = services.clock.now() - datetime.fromisoformat(event.occurred_at)
        services.counters.event_lagged(lag.total_seconds())


async def _forget(services: Services, event: ClearedEvent) -> EventOutcome:
    """Has a conversation forgotten that was cleared; its reminder sees to it, too."""
    user, passed = event.user, event.passed
    try:
        head = await services.reader.head(passed.conversation)
        if head.user != user or not 0 < passed.seq <= head.start:
            log.warning("an event says that %s was cleared, which it was not", passed.conversation)
            return "dropped"
        for each in (services.memory, services.sessions):
            await each.forget_conversation(user, passed.conversation, passed.seq)
    except AgentError as error:
        log.warning("%s is to be forgotten later: %s", passed.conversation, error.title)
        return "retry"
    return "applied"


async def _remember(services: Services, user: str, event: TurnEvent) -> EventResult:
    """What became of an event at memory, which is given first what it has missed."""
    remembered = await services.memory.remember(user, event)
    for _ in range(CATCH_UP):
        if remembered.status != "gap":
            break
        missed = await services.feed.missed(services.memory, user, event.conversation)
        if not missed:
            break
        for each in missed:
            await services.memory.remember(user, each)
        remembered = await services.memory.remember(user, event)
    return remembered


async def _recoverable(services: Services, event: Event) -> bool:
    """Has memory passed it, or can the conversation publish it again?

    One of another producer is over where its user was forgotten since.
    """
    remember: TurnEvent = event.remember
    if remember.seq is None:
        return await services.reader.forgotten_since(event.user, remember.at)
    mark = await services.reader.mark(event.user, remember.conversation)
    if remember.seq <= mark:
        return True
    head = await services.reader.head(remember.conversation)
    return head.user == event.user and head.low <= remember.seq <= head.seq


async def keep(
    services: Services, body: bytes, reason: str, topic: str = wire.USER_CHAT
) -> EventStatus:
    """Keeps an event that could not be applied."""
    await services.dead_letters.keep(reason=reason, event=body, topic=topic, tries=0)
    services.counters.dead_letter_kept(topic)
    return EventStatus(status="SUCCESS")
