"""The subscriptions of this service: which function takes what a topic or binding delivers."""

from collections.abc import Awaitable, Callable, Mapping

from agent_actors.errors import Conflict, TryLater
from agent_actors.observability.counters import EventOutcome
from agent_actors.protocol import wire
from agent_actors.routes.edge.bodies import EventStatus
from agent_actors.routes.edge.dependencies import Services
from agent_actors.routes.sidecar import events, lesson_events, receive
from agent_actors.routes.sidecar.deliveries import Callback, InputCallback
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
_OUTCOMES: Mapping[str, EventOutcome] = {
    "Message processed": "applied",
    "Message accepted": "applied",
    "Message ignored": "dropped",
    "Message parked": "dropped",
}


def callbacks(services: Services) -> Mapping[str, Callback]:
    """The subscriptions by path, for delivery without routing."""
    return {path: _callback(services, take) for path, take in ROUTES.items()}


def _callback(services: Services, take: Take) -> Callback:
    topic, retried = _TOPIC.get(take), RedeliveryLog()

    async def answer(body: bytes) -> bytes:
        if topic and retried.pop(body):
            services.counters.event_redelivered(topic)
        result = await take(services, body)
        if result.status == "RETRY":
            retried.add(body)
        return result.model_dump_json().encode()

    return answer


def inputs(services: Services) -> Mapping[str, InputCallback]:
    """The input bindings by path. The errors they raise are meant for the binding."""
    retried = RedeliveryLog()

    async def answer(body: bytes, headers: Headers) -> bytes:
        delivery = body, tuple(headers)
        if retried.pop(delivery):
            services.counters.event_redelivered(receive.BINDING)
        try:
            result = await receive.receive(services, body, headers)
        except TryLater:
            retried.add(delivery)
            services.counters.event_taken(receive.BINDING, "retry")
            raise
        services.counters.event_taken(receive.BINDING, _OUTCOMES[result.status])
        return result.model_dump_json(exclude_none=True).encode()

    return dict.fromkeys(INPUTS, answer)


async def redeliver(services: Services, topic: str, body: bytes) -> None:
    """Applies the event of a dead letter.

    Raises:
        Conflict: It failed again, or nothing subscribes to its topic any more.
    """
    if topic == receive.BINDING:
        await receive.requeue(services, body)
        return
    if services.notifications is not None and topic == services.notifications.topic:
        await services.notifications.resend(body)
        return
    take = TOPICS.get(topic)
    if take is None:
        raise Conflict(f"Nothing subscribes to the topic {topic!r}; the letter is kept.")
    result = await take(services, body)
    if result.status != "SUCCESS":
        raise Conflict(f"The event failed again ({result.status}); its letter is still there.")
