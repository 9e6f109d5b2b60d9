"""`/subscribe`: applies the events of the topic `user-chat` to memory.

The answer is SUCCESS once the effect is saved, RETRY if it may work later, and DROP only for what
can never work (I5). daprd takes any other word as RETRY.
"""

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from fastapi import APIRouter, Request

from agent_actors.errors import AgentError, TryLater
from agent_actors.observability import tracing
from agent_actors.observability.counters import EventOutcome
from agent_actors.protocol import wire
from agent_actors.protocol.events import ConversationCleared, TurnEvent
from agent_actors.protocol.messages import EventResult
from agent_actors.routes.edge.bodies import EventStatus
from agent_actors.routes.edge.dependencies import Services, callback
from agent_actors.routes.edge.problems import responses
from agent_actors.routes.sidecar.envelope import InvalidEvent, read_event

log = logging.getLogger(__name__)

router = APIRouter(tags=["events"])

_STATUSES: Mapping[EventOutcome, Literal["SUCCESS", "RETRY", "DROP"]] = {
    "applied": "SUCCESS",
    "duplicate": "SUCCESS",
    "retry": "RETRY",
    "dropped": "DROP",
}
CATCH_UP = 8
"""How often memory is given missed turns for one event; after that, the event is retried."""
FAILED = "it failed each time it was delivered"
"""Why an event is a dead letter that the broker has given up."""
_ATTRIBUTES = {
    "messaging.system": "dapr",
    "messaging.operation.name": "process",
    "messaging.operation.type": "process",
    "messaging.destination.name": wire.USER_CHAT,
}


@router.post("/subscribe", responses=responses(403))
async def subscribe(request: Request) -> EventStatus:
    """Apply one event to the memory of its user; it takes effect once, however often it comes."""
    return await take(callback(request), await request.body())


@router.post("/subscribe/dead", responses=responses(403))
async def subscribe_dead(request: Request) -> EventStatus:
    """Keep what could not be applied, unless it has been since, or history can send it again."""
    return await take_dead(callback(request), await request.body())


async def take(services: Services, body: bytes) -> EventStatus:
    """Applies an event of `user-chat`."""
    return status(services, wire.USER_CHAT, await _take(services, body))


async def take_dead(services: Services, body: bytes) -> EventStatus:
    """Keeps an event that was given up, unless it is applied, or history can publish it again."""
    try:
        event = read_event(body).event
    except InvalidEvent as error:
        return await keep(services, body, error.reason)
    if isinstance(event, ConversationCleared) or await _is_recoverable(services, event):
        return EventStatus(status="SUCCESS")
    return await keep(services, body, FAILED)


def status(services: Services, topic: str, outcome: EventOutcome) -> EventStatus:
    """Counts what became of an event; the answer to the broker."""
    services.counters.event_taken(topic, outcome)
    return EventStatus(status=_STATUSES[outcome])


async def keep(
    services: Services, body: bytes, reason: str, topic: str = wire.USER_CHAT
) -> EventStatus:
    """Keeps an event that could not be applied as a dead letter."""
    await services.dead_letters.keep(reason=reason, event=body, topic=topic, tries=0)
    services.counters.dead_letter_kept(topic)
    return EventStatus(status="SUCCESS")


async def _take(services: Services, body: bytes) -> EventOutcome:
    try:
        delivery = read_event(body)
    except InvalidEvent as error:
        log.warning("event %s cannot be applied: %s", error.event_id, error.reason)
        return "dropped" if error.permanent else "retry"
    trace = delivery.traceparent
    with tracing.span(f"process {wire.USER_CHAT}", "consumer", _ATTRIBUTES, parent=trace):
        if isinstance(delivery.event, ConversationCleared):
            return await _forget(services, delivery.event)
        return await _apply(services, delivery.event)


async def _apply(services: Services, event: TurnEvent) -> EventOutcome:
    """Applies an event to memory now, because the next turn reads it, and to the others soon after.

    The conversation publishes its own events again until every consumer has applied them. Nobody
    does that for an event of another service: all consumers apply it before it is acknowledged.
    """
    try:
        if event.seq is None:
            await services.feed.apply(event)
        result = await _remember(services, event)
    except TryLater:
        return "retry"
    except AgentError as error:
        log.warning("event %s failed: %s", event.event_id, error.title)
        return "dropped" if 400 <= error.status < 500 else "retry"
    if result.status == "gap":
        return "retry"
    if event.seq is not None:
        services.feed.add(event)
    if result.status == "applied" and event.occurred_at:
        lag = services.clock.now() - datetime.fromisoformat(event.occurred_at)
        services.counters.event_lagged(lag.total_seconds())
    return result.status


async def _remember(services: Services, event: TurnEvent) -> EventResult:
    """Applies an event to memory, after the events that memory has missed before it."""
    memory, user = services.actors.memory, event.user
    result = await memory.remember(user, event)
    for _ in range(CATCH_UP):
        if result.status != "gap":
            break
        missed = await services.feed.missed(memory, user, event.conversation)
        if not missed:
            break
        for each in missed:
            await memory.remember(user, each)
        result = await memory.remember(user, event)
    return result


async def _forget(services: Services, event: ConversationCleared) -> EventOutcome:
    """Has the turns of a cleared conversation forgotten; its recovery reminder does so, too."""
    conversation, user = event.actor_id, event.user_id
    try:
        head = await services.reader.head(conversation)
        if head.user != user or not 0 < event.upto <= head.start:
            log.warning("an event says that %s was cleared, but it was not", conversation)
            return "dropped"
        for each in (services.actors.memory, services.actors.sessions):
            await each.forget_conversation(user, conversation, event.upto)
    except AgentError as error:
        log.warning("%s will be forgotten later: %s", conversation, error.title)
        return "retry"
    return "applied"


async def _is_recoverable(services: Services, event: TurnEvent) -> bool:
    """Whether memory has applied an event, or the conversation can publish it again.

    An event of another service is settled if its user was forgotten after it was published.
    """
    if event.seq is None:
        return await services.reader.forgotten_since(event.user, event.at)
    if event.seq <= await services.reader.mark(event.user, event.conversation):
        return True
    head = await services.reader.head(event.conversation)
    return head.user == event.user and head.low <= event.seq <= head.seq
