"""Publishes the events of a conversation. History is the outbox: events are made from it (I4)."""

import logging
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from agent_actors.clock import Clock
from agent_actors.errors import AgentError
from agent_actors.observability import tracing
from agent_actors.protocol import ids, wire
from agent_actors.protocol.codec import adapter
from agent_actors.protocol.events import CloudEvent, ConversationCleared, TurnEvent, turn_payload
from agent_actors.state.documents.conversation import Head, Pair

log = logging.getLogger(__name__)

SOURCE = "agent-actors"

Publish = Callable[[str, str, CloudEvent], Awaitable[None]]
"""Publishes an event: the pub/sub component, the topic, the event."""


def turn_event(conversation: str, head: Head, pair: Pair) -> TurnEvent:
    """The event of a committed turn. Only its `floor` depends on when it is made."""
    exchange = pair.exchange
    return TurnEvent(
        conversation=conversation,
        event_id=ids.event_id(conversation, pair.seq),
        input=exchange.input,
        output=exchange.output,
        seq=pair.seq,
        turn_id=pair.turn_id,
        model=pair.output.model,
        usage=pair.output.usage,
        floor=head.low - 1,
        occurred_at=pair.occurred_at,
        user=head.user,
        schedule=pair.schedule,
    )


class Outbox:
    """Publishes on the topic `user-chat`.

    A failure is only logged. The conversation's recovery reminder publishes again what a consumer
    has not applied.
    """

    def __init__(self, publish: Publish, clock: Clock, call_time: float) -> None:
        self._publish = publish
        self._clock = clock
        self._call_time = call_time

    async def publish(self, conversation: str, head: Head, pair: Pair) -> None:
        """Publishes that a turn was committed."""
        event = turn_event(conversation, head, pair)
        await self._send(event.event_id, wire.EVENT_TYPE, conversation, turn_payload(event))

    async def publish_cleared(self, conversation: str, head: Head, at: datetime) -> None:
        """Publishes that a conversation was cleared."""
        payload = ConversationCleared(
            version=wire.EVENT_VERSION,
            event_id=ids.clearing_id(conversation, head.clearing),
            event_type="ConversationCleared",
            actor_id=conversation,
            actor_type=wire.CHAT,
            user_id=head.user,
            upto=head.clearing,
            occurred_at=at.isoformat(),
            session_id=ids.session_of(conversation),
        )
        data = adapter(ConversationCleared).dump_python(payload, mode="json")
        await self._send(payload.event_id, wire.CLEARED_TYPE, conversation, data)

    async def _send(self, event_id: str, kind: str, conversation: str, data: Any) -> None:
        # The attributes are those of OpenTelemetry's conventions for messaging.
        attributes: dict[str, tracing.Value] = {
            "messaging.system": "dapr",
            "messaging.operation.name": "send",
            "messaging.operation.type": "send",
            "messaging.destination.name": wire.USER_CHAT,
            "messaging.message.id": event_id,
        }
        with tracing.span(f"send {wire.USER_CHAT}", "producer", attributes):
            trace = tracing.traceparent()
            event = CloudEvent(event_id, SOURCE, kind, conversation, data, trace)
            try:
                async with self._clock.timeout(self._call_time):
                    await self._publish(wire.PUBSUB, wire.USER_CHAT, event)
            except (AgentError, TimeoutError) as error:
                log.warning("event %s was not published: %s", event_id, type(error).__name__)
                tracing.mark_failed(type(error).__name__)
