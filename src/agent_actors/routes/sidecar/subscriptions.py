"""The subscriptions of this service: which route takes the events of which topic, or binding."""

from collections.abc import Awaitable, Callable, Mapping

from agent_actors.errors import Conflict, TryLater
from agent_actors.observability.counters import EventOutcome
from agent_actors.protocol import wire
from agent_actors.routes.edge.dependencies import Services
from agent_actors.routes.sidecar import events, lesson_events, receive
from agent_actors.routes.sidecar.deliveries import Callback, Input
from agent_actors.routes.sidecar.events import EventStatus
from agent_actors.routes.sidecar.redeliveries import RedeliveryLog
from agent_actors.runtime import Headers

Take = Callable[[Services, bytes], Awaitable[EventStatus]]

ROUTES: Mapping[str, Take] = {
    "/subscribe": events.take,
    "/subscribe/dead": events.take_dead,
    "/conversations": lesson_events.take_conversation,
    "/conversations/dead": lesson_events.keep_conversation,
    "/messages": lesson_events.take_message,
    "/messages/dead": lesson_events.keep_message,
}
INPUTS = ("/receive-message",)
"""The routes of input bindings."""
PATHS = frozenset({*ROUTES, *INPUTS})
TOPICS: Mapping[str, Take] = {
    wire.USER_CHAT: events.take,
    wire.CONVERSATIONS: lesson_events.take_conversation,
    wire.MESSAGES: lesson_events.take_message,
}

_TOPIC = {take: topic for topic, take in TOPICS.items()}
_RECEIVED: Mapping[str, EventOutcome] = {
    "Message processed": "applied",
    "Message accepted": "applied",
    "Message ignored": "dropped",
    "Message parked": "dropped",
}


def callbacks(services: Services) -> Mapping[str, Callback]:
    """The callback routes by their paths, for delivery in process."""

    def called(take: Take) -> Callback:
        topic, asked = _TOPIC.get(take), RedeliveryLog()

        async def answer(body: bytes) -> bytes:
            if topic and asked.came(body):
                services.counters.event_redelivered(topic)
            verdict = await take(services, body)
            if verdict.status == "RETRY":
                asked.ask(body)
            return verdict.model_dump_json().encode()

        return answer

    return {path: called(take) for path, take in ROUTES.items()}


def inputs(services: Services) -> Mapping[str, Input]:
    """The routes of input bindings by their paths; what they raise is for the binding to read."""
    asked = RedeliveryLog()

    async def answer(body: bytes, headers: Headers) -> bytes:
        delivered = body, tuple(headers)
        if asked.came(delivered):
            services.counters.event_redelivered(receive.BINDING)
        try:
            received = await receive.receive(services, body, headers)
        except TryLater:
            asked.ask(delivered)
            services.counters.event_taken(receive.BINDING, "retry")
            raise
        services.counters.event_taken(receive.BINDING, _RECEIVED[received.status])
        return received.model_dump_json(exclude_none=True).encode()

    return dict.fromkeys(INPUTS, answer)


async def redeliver(services: Services, topic: str, body: bytes) -> None:
    """Applies an event that had been given up.

    Raises:
        Conflict: It failed again, or nobody takes its topic any more.
    """
    if topic == receive.BINDING:
        await receive.requeue(services, body)
        return
    if services.notifications is not None and topic == services.notifications.topic:
        await services.notifications.again(body)
        return
    take = TOPICS.get(topic)
    if take is None:
        raise Conflict(f"Nothing subscribes to the topic {topic!r}; the letter is kept.")
    verdict = await take(services, body)
    if verdict.status != "SUCCESS":
        raise Conflict(f"The event failed again ({verdict.status}); its letter is still there.")
