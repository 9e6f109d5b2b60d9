"""Topics: events are delivered in the background, in order per publisher while none fails.

Waiting events are in memory only: the publisher keeps what it owes (I4, docs/protocol.md). A
route's response is read as daprd reads it (docs/dapr-behaviour.md#pubsub); retries are those of a
Resiliency policy with exponential backoff.
"""

import asyncio
import logging
from collections import deque
from dataclasses import dataclass, field, replace
from random import Random

from pydantic_core import PydanticSerializationError, from_json, to_json

from agent_actors.clock import Clock
from agent_actors.errors import AgentError, Conflict, Invalid, Unavailable
from agent_actors.protocol.codec import json_object
from agent_actors.protocol.events import CloudEvent
from agent_actors.runtime import DeadLetters, Deliver, DeliveryResponse, Headers
from agent_actors.runtime.embedded.files.components import Components, Subscription
from agent_actors.runtime.embedded.time.agenda import Agenda
from agent_actors.runtime.embedded.turns import begin_work
from agent_actors.runtime.embedded.verdicts import DeliveryVerdict, judge

_log = logging.getLogger(__name__)
_AT_ONCE = 64
_ROUTE_TIME = 30.0
_LONGEST_WAIT = 60.0

_Lane = tuple[str, str, str, str]
"""Pub/sub component, topic, source and subject."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    """An event that is not delivered yet.

    `tries` counts its deliveries on the topic of its `subscription`; `before` those on the topic it
    came from, for an event that was moved to a dead-letter topic.
    """

    subscription: Subscription
    lane: _Lane
    id: str
    type: str
    envelope: bytes
    tries: int = 0
    before: int = 0


@dataclass(frozen=True, slots=True)
class DeliverySettings:
    """How deliveries are tried.

    After `tries` deliveries an event is a dead letter; `backoff` are the seconds before the second
    one, doubled each time, with jitter from `random`. No more events are taken once `waiting`
    events or `bytes` wait.
    """

    tries: int = 5
    backoff: float = 0.2
    random: Random = field(default_factory=Random)
    waiting: int = 100_000
    bytes: int = 256 * 1024 * 1024


class Topics:
    """The topics of the component files."""

    def __init__(
        self,
        components: Components,
        clock: Clock,
        delivery: DeliverySettings,
        graveyard: DeadLetters,
    ) -> None:
        self._pubsubs = components.pubsubs
        self._subscriptions = {(each.pubsub, each.topic): each for each in components.subscriptions}
        self._clock = clock
        self._delivery = delivery
        self._graveyard = graveyard
        self._deliver: Deliver | None = None
        self._lanes: dict[_Lane, deque[_Waiting]] = {}
        self._ready: asyncio.Queue[_Lane | None] = asyncio.Queue()
        self._retries: Agenda[_Waiting] = Agenda(clock, clock.monotonic)
        self._waiting = self._bytes = 0
        self._workers: list[asyncio.Task[None]] = []
        self._retrier: asyncio.Task[None] | None = None
        self._refusing = False

    def start(self, deliver: Deliver) -> None:
        """Starts to deliver."""
        self._deliver = deliver
        self._workers = [asyncio.create_task(self._work()) for _ in range(_AT_ONCE)]
        self._retrier = asyncio.create_task(self._retry())

    def refuse(self) -> None:
        """Starts no more deliveries."""
        self._refusing = True
        for _ in self._workers:
            self._ready.put_nowait(None)

    async def drain(self) -> None:
        """Returns when no delivery runs, after `refuse`."""
        if self._workers:
            await asyncio.wait(self._workers)

    async def stop(self) -> None:
        """Cancels running deliveries and drops waiting events, which their publishers still owe."""
        self.refuse()
        if self._retrier is None:
            return
        tasks = [*self._workers, self._retrier]
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

    @property
    def waiting(self) -> int:
        """The number of events that are not delivered yet."""
        return self._waiting

    def publish(self, pubsub: str, topic: str, event: CloudEvent) -> None:
        """Takes an event for delivery; an event without a subscription is accepted and dropped.

        Raises:
            Invalid: There is no such pub/sub component.
            Unavailable: Too many events wait, or the runtime does not run.
        """
        if pubsub not in self._pubsubs:
            raise Invalid(f"There is no pub/sub component {pubsub!r}.")
        if self._deliver is None or self._refusing:
            raise Unavailable("The topics are closed; try again later.")
        subscription = self._subscriptions.get((pubsub, topic))
        if subscription is None:
            return
        if self._waiting >= self._delivery.waiting or self._bytes >= self._delivery.bytes:
            raise Unavailable("Too many events wait to be delivered; try again later.")
        lane = (pubsub, topic, event.source, event.subject)
        envelope = self._envelope(pubsub, topic, event)
        self._waiting += 1
        self._bytes += len(envelope)
        self._line_up(_Waiting(subscription, lane, event.id, event.type, envelope))

    async def redeliver(self, topic: str, envelope: bytes) -> None:
        """Delivers a dead letter to its topic's route, once and at once.

        Raises:
            Conflict: The route did not take it, or there is none.
        """
        event = json_object(envelope)
        subscription = self._subscriptions.get((str(event.get("pubsubname")), topic))
        if subscription is None:
            raise Conflict(f"Nothing subscribes to the topic {topic!r}; the letter is kept.")
        answer = await self._offer(subscription, str(event.get("type", "")), envelope)
        if answer.end != "done":
            raise Conflict(f"The letter failed again and is kept: {answer.reason}.")

    def _envelope(self, pubsub: str, topic: str, event: CloudEvent) -> bytes:
        envelope = {
            "id": event.id,
            "source": event.source,
            "type": event.type,
            "subject": event.subject,
            "specversion": "1.0",
            "datacontenttype": "application/json",
            "topic": topic,
            "pubsubname": pubsub,
            "time": self._clock.now().isoformat().replace("+00:00", "Z"),
            "data": event.data,
        }
        if event.traceparent is not None:
            envelope["traceparent"] = event.traceparent
        try:
            return to_json(envelope)
        except PydanticSerializationError as error:
            raise Invalid(
                "The event is not JSON (a value or a character that JSON has not)."
            ) from error

    def _settle(self, event: _Waiting) -> None:
        self._waiting -= 1
        self._bytes -= len(event.envelope)

    def _line_up(self, event: _Waiting) -> None:
        lane = self._lanes.get(event.lane)
        if lane is not None:
            lane.append(event)
            return
        self._lanes[event.lane] = deque([event])
        self._ready.put_nowait(event.lane)

    async def _work(self) -> None:
        """Delivers one event of a lane, then puts the lane behind the others."""
        begin_work()
        while (name := await self._ready.get()) is not None and not self._refusing:
            lane = self._lanes[name]
            await self._serve(lane[0])
            lane.popleft()
            if lane:
                self._ready.put_nowait(name)
            else:
                del self._lanes[name]

    async def _retry(self) -> None:
        while True:
            _, event = await self._retries.take()
            self._line_up(event)

    async def _serve(self, event: _Waiting) -> None:
        answer = await self._offer(event.subscription, event.type, event.envelope)
        if answer.end == "done":
            self._settle(event)
            return
        tried = replace(event, tries=event.tries + 1)
        if answer.end == "retry" and tried.tries < self._delivery.tries:
            self._later(tried)
        else:
            await self._bury(tried, answer.reason)

    async def _offer(
        self, subscription: Subscription, kind: str, envelope: bytes
    ) -> DeliveryVerdict:
        """One delivery, with a verdict whatever the route does."""
        path = subscription.route(kind)
        deliver = self._deliver
        if path is None:
            return DeliveryVerdict(
                "drop" if subscription.dead_letter_topic else "done", "no rule matches"
            )
        if deliver is None:
            return DeliveryVerdict("retry", "the runtime is stopping")
        try:
            async with self._clock.timeout(_ROUTE_TIME):
                answer = await posted(deliver, path, envelope)
        except TimeoutError:
            return DeliveryVerdict("retry", f"{path} took too long")
        except RouteFailed as failed:
            return DeliveryVerdict("retry", str(failed))
        return judge(path, answer)

    def _later(self, event: _Waiting) -> None:
        wait = min(_LONGEST_WAIT, self._delivery.backoff * 2 ** min(16, event.tries - 1))
        wait *= self._delivery.random.uniform(0.8, 1.2)
        self._retries.add(self._clock.monotonic() + wait, event)

    async def _bury(self, event: _Waiting, reason: str) -> None:
        """Moves an event to its dead-letter topic if that has a route, else to the dead letters."""
        own = event.subscription
        tries = event.before + event.tries
        _log.warning("event %s of topic %s is a dead letter after %d deliveries: %s",
                     event.id, own.topic, tries, reason)  # fmt: skip
        grave = self._subscriptions.get((own.pubsub, own.dead_letter_topic or ""))
        if grave is not None and grave is not own and not event.before:
            lane = (grave.pubsub, grave.topic, *event.lane[2:])
            self._line_up(replace(event, subscription=grave, lane=lane, tries=0, before=tries))
            return
        try:
            topic = str(from_json(event.envelope)["topic"])  # Where it was published.
            await self._graveyard.keep(topic, event.envelope, reason, tries)
        except AgentError as error:
            _log.warning("event %s cannot be kept yet: %s", event.id, error.detail)
            self._later(event)
        else:
            self._settle(event)


class RouteFailed(Exception):
    """A route raised an exception; the text names both, without the exception's text."""


async def posted(
    deliver: Deliver, path: str, body: bytes, headers: Headers = ()
) -> DeliveryResponse:
    """One delivery to a route of the app.

    Raises:
        RouteFailed: The route raised any other exception; the delivery loop must survive it.
        TimeoutError: The route raised it.
    """
    try:
        return await deliver(path, body, headers)
    except TimeoutError:
        raise
    except AgentError as error:
        raise RouteFailed(f"{path}: {error.detail}") from None
    except Exception as error:  # noqa: BLE001 - as promised
        raise RouteFailed(f"{path} raised {type(error).__name__}") from None
