"""Kafka input bindings: what a topic has is posted to a route, as daprd posts it.

A record counts as taken once its route has answered 200, and only then the next one of its
partition is posted. One that is not taken comes again, until it is; other partitions go on.
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
"""Records of a partition that wait in memory; with these it is paused."""
POLL = 0.2
"""Seconds after which the client's thread looks whether it is to end."""
LEAVE = 3.0
"""Seconds that a consumer gets to say what it has taken, and that it leaves."""
TOMBSTONE = b"null"
"""What daprd posts of a record without a value."""
PARTIAL = frozenset({"_RESOLVE", "_TRANSPORT"})
"""One broker that cannot be reached, at one try; when it is all of them, that is told, too."""
LETTER: Headers = ((b"content-type", b"application/cloudevents+json"),)
_JSON = (b"content-type", b"application/json")

_Partition = tuple[str, int]


class KafkaInputs:
    """The Kafka bindings of a runtime.

    Args:
        inputs: What the component files say.
        clock: The time.
    """

    def __init__(self, inputs: Sequence[KafkaInput], clock: Clock) -> None:
        self._routes = {each.name: each.route for each in inputs}
        self._readers = [_Reader(each, clock) for each in inputs]
        self._deliver: Deliver | None = None

    def start(self, deliver: Deliver) -> None:
        """Begins to read; a broker that is away is waited for in the background.

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
        """Ends every consumer; what was not taken comes again."""
        await asyncio.gather(*(reader.stop() for reader in self._readers))

    def has(self, topic: str) -> bool:
        """Are the dead letters of that topic records of a binding?"""
        return topic in self._routes

    async def redeliver(self, topic: str, envelope: bytes) -> None:
        """Posts a dead letter to its binding's route, once and now.

        Raises:
            Conflict: The route did not take it.
            Unavailable: It may later.
        """
        deliver = self._deliver
        if deliver is None:
            raise Conflict("The runtime does not run; the letter is kept.")
        try:
            answer = await deliver(self._routes[topic], envelope, LETTER)
        except TryLater:
            raise
        except AgentError as error:
            raise Conflict(error.detail) from None
        if answer.status != 200:
            raise Conflict(f"The letter failed again and is kept: it was answered {answer.status}.")


class _Reader:
    """One binding: a thread that polls the broker, and a task for each partition that has records.

    Args:
        spec: The binding.
        clock: The time.
    """

    def __init__(self, spec: KafkaInput, clock: Clock) -> None:
        self._spec = spec
        self._clock = clock
        self._lanes: dict[_Partition, _Lane] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._refusing = asyncio.Event()
        self._closed = asyncio.Event()
        self._ending = threading.Event()
        self._started = False
        self._orders: deque[Callable[[Consumer], object]] = deque()
        """What the thread is to do with its client."""
        self._deliver: Deliver
        self._loop: asyncio.AbstractEventLoop
        self._troubles: set[str] = set()
        """Those of the broker that were told, and have not passed."""

    def start(self, deliver: Deliver) -> None:
        from confluent_kafka import Consumer, KafkaException

        self._loop = asyncio.get_running_loop()
        self._deliver = deliver
        try:
            consumer = Consumer(_configuration(self._spec, self._on_error))
        except KafkaException as error:
            reason = error.args[0].str()
            raise StartupError(f"The binding {self._spec.name!r} cannot start: {reason}") from None
        self._started = True
        name = f"agent-actors-{self._spec.name}"
        threading.Thread(target=self._read, args=[consumer], name=name, daemon=True).start()

    def refuse(self) -> None:
        self._refusing.set()

    async def drain(self) -> None:
        if self._tasks:
            await asyncio.wait(set(self._tasks))

    async def stop(self) -> None:
        self.refuse()
        for task in self._tasks:
            task.cancel()
        await self.drain()
        if not self._started:
            return
        self._ending.set()
        try:
            async with self._clock.timeout(LEAVE):
                await self._closed.wait()
        except TimeoutError:
            _log.warning("binding %s: its consumer could not leave in time", self._spec.name)

    # -- the thread of the client -----------------------------------------------------------

    def _read(self, consumer: "Consumer") -> None:
        """Hands over what comes; everything is decided in the loop."""
        consumer.subscribe(
            list(self._spec.topics),
            on_assign=self._on_assign,
            on_revoke=self._on_revoke,
            on_lost=self._on_revoke,
        )
        while not self._ending.is_set():
            self._obey(consumer)
            message = consumer.poll(POLL)
            if message is not None:
                self._call(self._arrived, message)
        self._obey(consumer)
        consumer.close()
        self._call(self._closed.set)

    def _obey(self, consumer: "Consumer") -> None:
        """Does what the loop has asked for: two threads in the client at once can lock each other.

        What it will not do is about a partition that is somebody else's by now.
        """
        from confluent_kafka import KafkaException

        while self._orders:
            order = self._orders.popleft()
            try:
                order(consumer)
            except KafkaException as error:
                _log.debug("binding %s: %s", self._spec.name, error)

    def _on_assign(self, _: "Consumer", partitions: "list[TopicPartition]") -> None:
        self._call(self._begin, [(each.topic, each.partition) for each in partitions])

    def _on_revoke(self, consumer: "Consumer", partitions: "list[TopicPartition]") -> None:
        self._obey(consumer)  # What was taken is committed with the partitions.
        self._call(self._drop, [(each.topic, each.partition) for each in partitions])

    def _on_error(self, error: "KafkaError") -> None:
        self._call(self._trouble, error)

    def _call(self, function: Callable[..., object], *arguments: Any) -> None:
        with suppress(RuntimeError):  # The loop is closed: nobody is there to hear it.
            self._loop.call_soon_threadsafe(function, *arguments)

    # -- the loop ---------------------------------------------------------------------------

    def _arrived(self, message: "Message") -> None:
        error = message.error()
        if error is not None:
            self._trouble(error)
            return
        self._recovered()
        where = (str(message.topic()), int(message.partition() or 0))
        lane = self._lanes.setdefault(where, _Lane())
        lane.waiting.append(message)
        if len(lane.waiting) == 1:
            task = asyncio.create_task(self._serve(where, lane))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif len(lane.waiting) >= WAITING and not lane.paused:
            lane.paused = True
            self._orders.append(partial(_pause, where))

    async def _serve(self, where: _Partition, lane: "_Lane") -> None:
        """Posts what waits, one after the other."""
        begin_work()
        while lane.waiting and await self._taken(lane, lane.waiting[0]):
            self._orders.append(partial(_store, lane.waiting.popleft()))
        if lane.paused and not lane.waiting:
            lane.paused = False
            self._orders.append(partial(_resume, where))

    async def _taken(self, lane: "_Lane", message: "Message") -> bool:
        """Posts a record until it is taken; false where that is not for us to wait for."""
        tries = 0
        while not lane.gone and not self._refusing.is_set():
            reason = await self._post(message)
            if reason is None:
                return not lane.gone
            tries += 1
            level = logging.WARNING if tries == 1 else logging.DEBUG
            _log.log(level, "binding %s: the record %s is tried again: %s", self._spec.name,
                     _position(message), reason)  # fmt: skip
            await self._rest()
        return False

    async def _post(self, message: "Message") -> str | None:
        """Why the route did not take a record, or None where it did. Whatever it does is one."""
        value = message.value()
        body = TOMBSTONE if value is None else bytes(value)
        try:
            answer = await posted(self._deliver, self._spec.route, body, _headers(message))
        except (RouteFailed, TimeoutError) as error:
            return str(error) or f"{self._spec.route} took too long"
        return None if answer.status == 200 else f"{self._spec.route} answered {answer.status}"

    async def _rest(self) -> None:
        with suppress(TimeoutError):
            async with self._clock.timeout(self._spec.pause):
                await self._refusing.wait()

    def _begin(self, partitions: list[_Partition]) -> None:
        """They are ours, and nothing of them waits.

        The client keeps a partition paused while it is not ours, and no lane would resume it.
        """
        self._recovered()
        self._orders.extend(partial(_resume, each) for each in partitions)

    def _drop(self, partitions: list[_Partition]) -> None:
        """Somebody else reads them from now on, or we do so anew."""
        for each in partitions:
            lane = self._lanes.pop(each, None)
            if lane is not None:
                lane.gone = True

    def _trouble(self, error: "KafkaError") -> None:
        """Told once, until it has passed: the client tries again by itself."""
        if error.name() not in self._troubles and error.name() not in PARTIAL:
            self._troubles.add(error.name())
            _log.warning("binding %s waits for Kafka: %s", self._spec.name, error.str())

    def _recovered(self) -> None:
        if self._troubles:
            self._troubles.clear()
            _log.info("binding %s reads from Kafka", self._spec.name)


@dataclass(slots=True)
class _Lane:
    """The records of a partition that have come; `gone` when it is not ours any more."""

    waiting: "deque[Message]" = field(default_factory=deque)
    paused: bool = False
    gone: bool = False


def _headers(message: "Message") -> Headers:
    """Where a record is, and nothing that whoever wrote it has chosen."""
    _, milliseconds = message.timestamp()
    return (
        _JSON,
        (b"__topic", str(message.topic()).encode()),
        (b"__partition", str(message.partition()).encode()),
        (b"__offset", str(message.offset()).encode()),
        (b"__timestamp", b"%d" % max(milliseconds, -1)),
    )


def _store(message: "Message", client: "Consumer") -> None:
    """The record was taken; the client says so to the broker, about once a second."""
    client.store_offsets(message)


def _pause(where: _Partition, client: "Consumer") -> None:
    client.pause([_partition(where)])


def _resume(where: _Partition, client: "Consumer") -> None:
    client.resume([_partition(where)])


def _partition(where: _Partition) -> "TopicPartition":
    from confluent_kafka import TopicPartition

    return TopicPartition(*where)


def _position(message: "Message") -> str:
    return f"{message.topic()}/{message.partition()}/{message.offset()}"


def _configuration(spec: KafkaInput, on_error: "Callable[[KafkaError], None]") -> dict[str, Any]:
    return {
        "bootstrap.servers": spec.brokers,
        "group.id": spec.group,
        "client.id": spec.client_id,
        "auto.offset.reset": "latest" if spec.begin == "newest" else "earliest",
        # Said to the broker by itself, but only what was stored: a record whose route took it.
        "enable.auto.commit": True,
        "auto.commit.interval.ms": 1000,
        "enable.auto.offset.store": False,
        "session.timeout.ms": int(spec.session_timeout * 1000),
        "heartbeat.interval.ms": int(spec.heartbeat * 1000),
        # A topic that is not there yet is looked for this often.
        "topic.metadata.refresh.interval.ms": 5000,
        "allow.auto.create.topics": False,
        "reconnect.backoff.ms": 500,
        "reconnect.backoff.max.ms": 2000,
        "queued.max.messages.kbytes": 16_384,
        "error_cb": on_error,
        "log_level": 0,  # It would write to stderr; what matters comes by `error_cb`.
    }
