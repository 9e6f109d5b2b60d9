"""The events a conversation owes. History is the outbox: an event is made from its pair (I4)."""

import logging
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from agent_actors.clock import Clock
from agent_actors.errors import AgentError
from agent_actors.observability import tracing
from agent_actors.protocol import ids, wire
from agent_actors.protocol.codec import adapter
from agent_actors.protocol.events import CloudEvent, ConversationCleared, ConversationUpdated
from agent_actors.protocol.messages import Message
from agent_actors.state.documents import Head, Pair

log = logging.getLogger(__name__)

SOURCE = "agent-actors"

Publish = Callable[[str, str, CloudEvent], Awaitable[None]]
"""Hands an event to a topic of a pub/sub component: component, topic, event."""


class Outbox:
    """Publishes turns on `user-chat`.

    Args:
        publish: The runtime's publish.
        clock: For the time-out.
        call_time: Seconds the broker may take.
    """

    def __init__(self, publish: Publish, clock: Clock, call_time: float) -> None:
        self._publish = publish
        self._clock = clock
        self._call_time = call_time

    async def publish(self, conversation: str, head: Head, pair: Pair) -> None:
        """Publishes the event of a committed turn to the conversation's user.

        A failure is only logged: the turn is saved, and the recovery reminder publishes what
        memory has not seen.
        """
        payload = conversation_updated(conversation, head, pair)
        data = adapter(ConversationUpdated).dump_python(payload, mode="json")
        await self._tell(payload.event_id, wire.EVENT_TYPE, conversation, data)

    async def publish_cleared(self, conversation: str, head: Head, at: datetime) -> None:
        """Publishes that a conversation was cleared; the recovery reminder sees to what it asks."""
        payload = conversation_cleared(conversation, head, at)
        data = adapter(ConversationCleared).dump_python(payload, mode="json")
        await self._tell(payload.event_id, wire.CLEARED_TYPE, conversation, data)

    async def _tell(self, event_id: str, kind: str, conversation: str, data: Any) -> None:
        with tracing.span(f"send {wire.USER_CHAT}", "producer", _sent(event_id)):
            told = tracing.traceparent()
            event = CloudEvent(event_id, SOURCE, kind, conversation, data, told)
            try:
                async with self._clock.timeout(self._call_time):
                    await self._publish(wire.PUBSUB, wire.USER_CHAT, event)
            except (AgentError, TimeoutError) as error:
                log.warning("event %s was not published: %s", event_id, type(error).__name__)
                tracing.mark_failed(type(error).__name__)


def _sent(event_id: str) -> dict[str, tracing.Value]:
    """As OpenTelemetry's conventions for messaging have it."""
    return {
        "messaging.system": "dapr",
        "messaging.operation.name": "send",
        "messaging.operation.type": "send",
        "messaging.destination.name": wire.USER_CHAT,
        "messaging.message.id": event_id,
    }


def conversation_cleared(conversation: str, head: Head, at: datetime) -> ConversationCleared:
    """The event of a clearing; but for the time, the same each time it is made."""
    return ConversationCleared(
        wire.EVENT_VERSION,
        ids.clearing_id(conversation, head.clearing),
        "ConversationCleared",
        conversation,
        wire.CHAT,
        head.user,
        head.clearing,
        at.isoformat(),
        ids.session_of(conversation),
    )


def conversation_updated(conversation: str, head: Head, pair: Pair) -> ConversationUpdated:
    """The event of a turn; but for `floor`, the same each time it is made."""
    output = Message("assistant", pair.output.content)
    return ConversationUpdated(
        version=wire.EVENT_VERSION,
        event_id=ids.event_id(conversation, pair.seq),
        event_type="ConversationUpdated",
        actor_id=conversation,
        actor_type=wire.CHAT,
        history_key=f"history-{conversation}",
        user_id=head.user,
        turn_id=pair.turn_id,
        seq=pair.seq,
        input=pair.input,
        output=output,
        user_message=pair.input.content,
        assistant_reply=pair.output.content,
        model=pair.output.model,
        usage=pair.output.usage,
        occurred_at=pair.occurred_at,
        session_id=ids.session_of(conversation),
        floor=head.low - 1,
        schedule=pair.schedule or None,
    )
