"""Kafka input bindings: posts the records of topics to a route, like daprd.

When the route has answered 200, the record is done and the next one of its partition is posted. Any
other answer: the same record is posted again, while other partitions continue.
"""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from agent_actors.background import Background
from agent_actors.clock import Clock
from agent_actors.errors import AgentError, Conflict, StartupError, TryLater
from agent_actors.runtime import Deliver, Headers
from agent_actors.runtime.embedded.kafka.component import KafkaInput
from agent_actors.runtime.embedded.topics import RouteFailed, posted
from agent_actors.runtime.embedded.turns import begin_work

if TYPE_CHECKING:
    from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

_log = logging.getLogger(__name__)

WAITING = 64
"""Records of a partition that wait in memory; at this number the partition is paused."""
POLL = 0.2
"""Seconds after which the client's thread checks whether it should end."""
LEAVE = 3.0
"""Seconds in which a consumer commits its offsets and leaves its group."""
TOMBSTONE = b"null"
"""The body that daprd posts for a record without a value."""
PARTIAL = frozenset({"_RESOLVE", "_TRANSPORT"})
"""One attempt to reach one broker has failed; another error comes if all of them are down."""
LETTER: Headers = ((b"content-type", b"application/cloudevents+json"),)
_JSON = (b"content-type", b"application/json")

_Partition = tuple[str, int]


class KafkaInputs:
    """The Kafka bindings of a runtime."""

    def __init__(self, inputs: Sequence[KafkaInput], clock: Clock) -> None:
        self._routes = {each.name: each.route for each in inputs}
        self._readers = [_Reader(each, clock) for each in inputs]
        self._deliver: Deliver | None = None

    def start(self, deliver: Deliver) -> None:
        """Begins to read; if a broker is unavailable, the client waits for it in the background.

        Raises:
            StartupError: The client refuses the settings.
        """
        self._deliver = deliver
        for reader in self._readers:
            reader.start(deliver)

    def refuse(self) -> None:
        """From now on no record is posted."""
        for reader in self._readers:
            reader.refuse()

    async def drain(self) -> None:
        """Returns when no record is being posted, after `refuse`."""
        await asyncio.gather(*(reader.drain() for reader in self._readers))

    async def stop(self) -> None:
        """Stops every consumer; records that are not done are read again later."""
        await asyncio.gather(*(reader.stop() for reader in self._readers))

    def has(self, topic: str) -> bool:
        """Whether the dead letters of that topic are records of a binding."""
        return topic in self._routes

    async def redeliver(self, topic: str, envelope: bytes) -> None:
        """Posts a dead letter to its binding's route, once and now.

        Raises:
            Conflict: The route refused it.
            Unavailable: The route may accept it later.
        """
        deliver = self._deliver
        if deliver is None:
            raise Conflict("The runtime is not running; the letter is kept.")
        try:
            answer = await deliver(self._routes[topic], envelope, LETTER)
        except TryLater:
            raise
        except AgentError as error:
            raise Conflict(error.detail) from None
        if answer.status != 200:
            raise Conflict(f"The letter failed again and is kept: the answer was {answer.status}.")


class _Reader:
    """The reader of a binding: a thread that polls the broker, and a task for each partition."""

    def __init__(self, spec: KafkaInput, clock: Clock) -> None:
        self._spec = spec
        self._clock = clock
        self._lanes: dict[_Partition, _Lane] = {}
        self._posting = Background("a Kafka input stopped")
        self._refusing = asyncio.Event()
        self._closed = asyncio.Event()
        self._ending = threading.Event()
        self._started = False
        self._orders: deque[Callable[[Consumer], object]] = deque()
        """Calls of the client that the thread should make."""
        self._deliver: Deliver
        self._loop: asyncio.AbstractEventLoop
        self._troubles: set[str] = set()
        """Errors of the broker that were logged and are not over."""

    def start(self, deliver: Deliver) -> None:
        from confluent_kafka import Consumer, KafkaException

        self._loop = asyncio.get_running_loop()
        self._deliver = deliver
        try:
            consumer = Consumer(
                _configuration(self._spec, lambda error: self._call(self._trouble, error))
            )
        except KafkaException as error:
            reason = error.args[0].str()
            raise StartupError(f"The binding {self._spec.name!r} cannot start: {reason}") from None
        self._started = True
        name = f"agent-actors-{self._spec.name}"
        threading.Thread(target=self._read, args=[consumer], name=name, daemon=True).start()

    def refuse(self) -> None:
        self._refusing.set()

    async def drain(self) -> None:
        await self._posting.drain()

    async def stop(self) -> None:
        self.refuse()
        await self._posting.stop()
        if not self._started:
            return
        self._ending.set()
        try:
            async with self._clock.timeout(LEAVE):
                await self._closed.wait()
        except TimeoutError:
            _log.warning(
                "binding %s: its consumer did not leave its group in time", self._spec.name
            )

    # -- the thread of the client -----------------------------------------------------------

    def _read(self, consumer: "Consumer") -> None:
        """Passes records to the event loop, which makes all decisions."""

        def revoke(_: object, partitions: "list[TopicPartition]") -> None:
            self._run_orders(consumer)  # Offsets are committed with the partitions.
            self._call(self._drop, [(each.topic, each.partition) for each in partitions])

        def assign(_: object, partitions: "list[TopicPartition]") -> None:
            self._call(self._begin, [(each.topic, each.partition) for each in partitions])

        topics = list(self._spec.topics)
        consumer.subscribe(topics, on_assign=assign, on_revoke=revoke, on_lost=revoke)
        while not self._ending.is_set():
            self._run_orders(consumer)
            message = consumer.poll(POLL)
            if message is not None:
                self._call(self._receive, message)
        self._run_orders(consumer)
        consumer.close()
        self._call(self._closed.set)

    def _run_orders(self, consumer: "Consumer") -> None:
        """Makes the loop's calls here: two threads in the client at once can deadlock.

        A call fails if another consumer has the partition by now.
        """
        from confluent_kafka import KafkaException

        while self._orders:
            order = self._orders.popleft()
            try:
                order(consumer)
            except KafkaException as error:
                _log.debug("binding %s: %s", self._spec.name, error)

    def _call(self, function: Callable[..., object], *arguments: Any) -> None:
        with suppress(RuntimeError):  # The loop is closed.
            self._loop.call_soon_threadsafe(function, *arguments)

    # -- the loop ---------------------------------------------------------------------------

    def _receive(self, message: "Message") -> None:
        error = message.error()
        if error is not None:
            self._trouble(error)
            return
        self._recovered()
        where = (str(message.topic()), int(message.partition() or 0))
        lane = self._lanes.setdefault(where, _Lane())
        lane.waiting.append(message)
        if len(lane.waiting) == 1:
            self._posting.begin(self._serve(where, lane))
        elif len(lane.waiting) >= WAITING and not lane.paused:
            lane.paused = True
            self._orders.append(lambda client: client.pause([_partition(where)]))

    async def _serve(self, where: _Partition, lane: "_Lane") -> None:
        """Posts the waiting records of a partition, one after the other."""
        begin_work()
        while lane.waiting and await self._posted(lane, lane.waiting[0]):
            # The client commits the offset of a record that is done, about once a second.
            done = lane.waiting.popleft()
            self._orders.append(partial(_store, done))
        if lane.paused and not lane.waiting:
            lane.paused = False
            self._orders.append(partial(_resume, where))

    async def _posted(self, lane: "_Lane", message: "Message") -> bool:
        """Posts a record until the route accepts it; False if that is no longer our task."""
        tries = 0
        while not lane.gone and not self._refusing.is_set():
            reason = await self._post(message)
            if reason is None:
                return not lane.gone
            tries += 1
            level = logging.WARNING if tries == 1 else logging.DEBUG
            _log.log(level, "binding %s: record %s/%s/%s will be posted again: %s", self._spec.name,
                     message.topic(), message.partition(), message.offset(), reason)  # fmt: skip
            with suppress(TimeoutError):
                async with self._clock.timeout(self._spec.pause):
                    await self._refusing.wait()
        return False

    async def _post(self, message: "Message") -> str | None:
        """Posts a record once; returns why the route did not accept it, or None if it did."""
        value = message.value()
        body = TOMBSTONE if value is None else bytes(value)
        # The record's position, but none of the headers that its producer has chosen.
        headers = (
            _JSON,
            (b"__topic", str(message.topic()).encode()),
            (b"__partition", str(message.partition()).encode()),
            (b"__offset", str(message.offset()).encode()),
            (b"__timestamp", b"%d" % max(message.timestamp()[1], -1)),
        )
        try:
            answer = await posted(self._deliver, self._spec.route, body, headers)
        except (RouteFailed, TimeoutError) as error:
            return str(error) or f"{self._spec.route} took too long"
        return None if answer.status == 200 else f"{self._spec.route} answered {answer.status}"

    def _begin(self, partitions: list[_Partition]) -> None:
        """This consumer now has these partitions, and none of their records wait.

        The client keeps a partition paused even while other consumers have it.
        """
        self._recovered()
        self._orders.extend(partial(_resume, each) for each in partitions)

    def _drop(self, partitions: list[_Partition]) -> None:
        """Another consumer has these partitions from now on, or this one begins anew."""
        for each in partitions:
            lane = self._lanes.pop(each, None)
            if lane is not None:
                lane.gone = True

    def _trouble(self, error: "KafkaError") -> None:
        """Logs an error of the broker once, until it is over: the client retries by itself."""
        if error.name() not in self._troubles and error.name() not in PARTIAL:
            self._troubles.add(error.name())
            _log.warning("binding %s is waiting for Kafka: %s", self._spec.name, error.str())

    def _recovered(self) -> None:
        if self._troubles:
            self._troubles.clear()
            _log.info("binding %s is reading from Kafka", self._spec.name)


@dataclass(slots=True)
class _Lane:
    """The waiting records of a partition; `gone` if another consumer has the partition now."""

    waiting: "deque[Message]" = field(default_factory=deque)
    paused: bool = False
    gone: bool = False


def _store(message: "Message", client: "Consumer") -> None:
    client.store_offsets(message)


def _resume(where: _Partition, client: "Consumer") -> None:
    client.resume([_partition(where)])


def _partition(where: _Partition) -> "TopicPartition":
    from confluent_kafka import TopicPartition

    return TopicPartition(*where)


def _configuration(spec: KafkaInput, on_error: "Callable[[KafkaError], None]") -> dict[str, Any]:
    return {
        "bootstrap.servers": spec.brokers,
        "group.id": spec.group,
        "client.id": spec.client_id,
        "auto.offset.reset": "latest" if spec.begin == "newest" else "earliest",
        # Commits by itself, but only stored offsets: of records that the route has accepted.
        "enable.auto.commit": True,
        "auto.commit.interval.ms": 1000,
        "enable.auto.offset.store": False,
        "session.timeout.ms": int(spec.session_timeout * 1000),
        "heartbeat.interval.ms": int(spec.heartbeat * 1000),
        # How often the client looks for topics that do not exist yet.
        "topic.metadata.refresh.interval.ms": 5000,
        "allow.auto.create.topics": False,
        "reconnect.backoff.ms": 500,
        "reconnect.backoff.max.ms": 2000,
        "queued.max.messages.kbytes": 16_384,
        "error_cb": on_error,
        "log_level": 0,  # The client would log to stderr; important errors come to `error_cb`.
    }
