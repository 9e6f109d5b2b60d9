"""Kafka input bindings of the embedded runtime, with a fake client."""

import asyncio
import logging
import threading
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import confluent_kafka
import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from agent_actors.errors import Busy, Conflict, StartupError, Unavailable
from agent_actors.runtime import DeliveryResponse, Headers
from agent_actors.runtime.embedded.kafka import inputs
from agent_actors.runtime.embedded.kafka.component import KafkaInput
from agent_actors.runtime.embedded.kafka.inputs import KafkaInputs
from tests.fakes import eventually
from tests.hand_clock import HandClock, settle

SPEC = KafkaInput.model_validate(
    {
        "name": "bound",
        "route": "/there",
        "brokers": "nowhere:1",
        "topics": "t",
        "group": "g",
        "client_id": "c",
        "begin": "oldest",
    }
)


@dataclass
class FakeMessage:
    """A record, or an error in its place."""

    offset_: int
    value_: bytes | None = b"x"
    partition_: int = 0
    error_: KafkaError | None = None

    def error(self) -> KafkaError | None:
        return self.error_

    def topic(self) -> str:
        return "t"

    def partition(self) -> int:
        return self.partition_

    def offset(self) -> int:
        return self.offset_

    def timestamp(self) -> tuple[int, int]:
        return (1, 1_000 + self.offset_)

    def value(self) -> bytes | None:
        return self.value_


class FakeConsumer:
    """A client that gives prepared records and stores the calls it gets."""

    def __init__(self, configuration: dict[str, Any]) -> None:
        self.configuration = configuration
        self.coming: deque[FakeMessage | Callable[[], object]] = deque()
        self.stored: list[tuple[int, int]] = []
        self.flow: list[tuple[str, int]] = []
        self.threads: set[int] = set()
        self.refusal: KafkaException | None = None
        self.closed = threading.Event()
        self.open = threading.Event()
        self.open.set()

    def subscribe(self, topics: list[str], **callbacks: Any) -> None:
        self.topics = topics
        self.callbacks = callbacks

    def poll(self, timeout: float) -> FakeMessage | None:
        self.threads.add(threading.get_ident())
        if not self.coming:
            self.closed.wait(0.001)
            return None
        come = self.coming.popleft()
        if isinstance(come, FakeMessage):
            return come
        come()
        return None

    def store_offsets(self, message: FakeMessage) -> None:
        self.threads.add(threading.get_ident())
        if self.refusal is not None:
            raise self.refusal
        self.stored.append((message.partition_, message.offset_))

    def pause(self, partitions: list[TopicPartition]) -> None:
        self.flow.append(("pause", partitions[0].partition))

    def resume(self, partitions: list[TopicPartition]) -> None:
        self.flow.append(("resume", partitions[0].partition))

    def close(self) -> None:
        self.open.wait(10)
        self.closed.set()

    def rebalance(self, *partitions: int) -> Callable[[], object]:
        """Revokes the partitions and assigns them again."""
        moved = [TopicPartition("t", each) for each in partitions]

        def both() -> None:
            self.callbacks["on_revoke"](self, moved)
            self.callbacks["on_assign"](self, moved)

        return both


class Bound:
    """A running binding and its route."""

    def __init__(self) -> None:
        self.clock = HandClock()
        self.inputs = KafkaInputs([SPEC], self.clock)
        self.posted: list[tuple[int, int]] = []
        self.bodies: list[tuple[str, bytes, dict[bytes, bytes]]] = []
        self.answers: defaultdict[int, deque[object]] = defaultdict(deque)
        """By partition; by default 200."""
        self.client: FakeConsumer

    async def deliver(self, path: str, body: bytes, headers: Headers = ()) -> DeliveryResponse:
        told = dict(headers)
        partition = int(told.get(b"__partition", b"-1"))
        self.posted.append((partition, int(told.get(b"__offset", b"-1"))))
        self.bodies.append((path, body, told))
        answer = self.answers[partition].popleft() if self.answers[partition] else 200
        if isinstance(answer, asyncio.Event):
            await answer.wait()
            answer = 200
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, int)
        return DeliveryResponse(answer, b"")

    def come(self, *messages: FakeMessage | Callable[[], object]) -> None:
        self.client.coming.extend(messages)

    async def stored(self, *positions: tuple[int, int]) -> None:
        """Waits until exactly these offsets are stored."""
        await eventually(lambda: self.client.stored == [*positions])

    async def seen(self, *positions: tuple[int, int]) -> None:
        """Waits until exactly these records were posted."""
        await eventually(lambda: self.posted == [*positions])
        await settle()


@pytest.fixture
async def bound(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bound]:
    bound = Bound()

    def made(configuration: dict[str, Any]) -> FakeConsumer:
        bound.client = FakeConsumer(configuration)
        return bound.client

    monkeypatch.setattr(confluent_kafka, "Consumer", made)
    bound.inputs.start(bound.deliver)
    await eventually(lambda: hasattr(bound.client, "callbacks"))
    yield bound
    bound.client.open.set()
    await bound.inputs.stop()
    await eventually(bound.client.closed.is_set)


async def test_a_record_is_posted_as_daprd_does(bound: Bound):
    """The route gets the value and the position, but no headers of the producer."""
    bound.come(FakeMessage(7, b"value", 3), FakeMessage(8, None, 3))
    await bound.stored((3, 7), (3, 8))

    headers = {
        b"content-type": b"application/json",
        b"__topic": b"t",
        b"__partition": b"3",
        b"__offset": b"7",
        b"__timestamp": b"1007",
    }
    assert bound.bodies[0] == ("/there", b"value", headers)
    assert bound.bodies[1][1] == b"null"


async def test_only_offsets_of_accepted_records_are_stored(bound: Bound):
    """Only offsets of accepted records are stored and committed."""
    assert bound.client.topics == ["t"]
    assert bound.client.configuration["enable.auto.offset.store"] is False
    assert bound.client.configuration["auto.offset.reset"] == "earliest"
    assert bound.client.configuration["session.timeout.ms"] == 10_000


FAILURES = [503, 500, 404, 204, Unavailable("away"), Busy("busy"), RuntimeError("secret")]


@pytest.mark.parametrize("failure", FAILURES, ids=repr)
async def test_a_refused_record_comes_again(
    bound: Bound, failure: object, caplog: pytest.LogCaptureFixture
):
    """A refused record is posted again after the pause, and logged once; others go on."""
    bound.answers[0].extend([failure, failure, 200])
    bound.come(FakeMessage(0), FakeMessage(1), FakeMessage(0, partition_=1))
    await bound.stored((1, 0))
    await settle()

    assert sorted(bound.posted) == [(0, 0), (1, 0)]
    for seconds, tries in ((4.9, 1), (0.2, 2), (4.8, 2), (0.2, 3)):
        await bound.clock.advance(seconds)
        assert bound.posted.count((0, 0)) == tries
    await bound.stored((1, 0), (0, 0), (0, 1))
    warnings = [row for row in caplog.records if row.levelno == logging.WARNING]

    assert [each for each in bound.posted if each[0] == 0] == [(0, 0)] * 3 + [(0, 1)]
    assert len(warnings) == 1
    assert "t/0/0" in warnings[0].getMessage()
    assert "secret" not in caplog.text


async def test_the_client_belongs_to_one_thread(bound: Bound):
    """Two threads in the client at once can deadlock."""
    bound.come(FakeMessage(0))
    await bound.stored((0, 0))

    assert len(bound.client.threads) == 1
    assert threading.get_ident() not in bound.client.threads


async def test_a_partition_with_too_much_waiting_is_paused(bound: Bound):
    """The partition is paused until all waiting records are done."""
    gate = asyncio.Event()
    bound.answers[0].append(gate)
    bound.come(*(FakeMessage(number) for number in range(inputs.WAITING + 2)))
    await eventually(lambda: bound.client.flow == [("pause", 0)])
    gate.set()
    await bound.stored(*((0, number) for number in range(inputs.WAITING + 2)))

    await eventually(lambda: bound.client.flow == [("pause", 0), ("resume", 0)])


async def test_a_partition_that_was_lost_is_let_go(bound: Bound):
    """The running post ends without a stored offset; records are read anew."""
    gate = asyncio.Event()
    bound.answers[0].append(gate)
    bound.come(FakeMessage(0), FakeMessage(1))
    await bound.seen((0, 0))
    bound.come(bound.client.rebalance(0), FakeMessage(0), FakeMessage(1))
    await bound.stored((0, 0), (0, 1))
    gate.set()
    await settle()

    assert bound.posted == [(0, 0), (0, 0), (0, 1)]
    assert bound.client.stored == [(0, 0), (0, 1)]


async def test_a_partition_that_was_lost_while_paused_is_resumed(bound: Bound):
    """The client keeps a partition paused while another consumer has it."""
    bound.answers[0].append(asyncio.Event())
    bound.come(FakeMessage(0))
    await bound.seen((0, 0))
    more = [FakeMessage(number) for number in range(1, inputs.WAITING)]
    bound.come(*more, bound.client.rebalance(0), FakeMessage(0))
    await bound.stored((0, 0))

    assert bound.client.flow == [("pause", 0), ("resume", 0)]


async def test_an_offset_that_is_not_ours_is_left_alone(bound: Bound):
    """The client refuses to store it, and another consumer reads the record."""
    bound.client.refusal = KafkaException(KafkaError(KafkaError._STATE))
    bound.come(FakeMessage(0))
    await bound.seen((0, 0))
    bound.client.refusal = None
    bound.come(FakeMessage(1))

    await bound.stored((0, 1))


async def test_trouble_is_logged_once(bound: Bound, caplog: pytest.LogCaptureFixture):
    """An error of the broker is logged once, and so is its end."""
    away = KafkaError(KafkaError._ALL_BROKERS_DOWN)
    with caplog.at_level(logging.INFO):
        on_error = bound.client.configuration["error_cb"]
        bound.come(lambda: on_error(KafkaError(KafkaError._TRANSPORT)))
        for _ in range(3):
            bound.come(lambda: on_error(away), FakeMessage(-1, error_=away))
        bound.come(FakeMessage(0))
        await bound.stored((0, 0))
        bound.come(lambda: on_error(away))
        await eventually(lambda: caplog.text.count("is waiting for Kafka") == 2)

    assert caplog.text.count("is reading from Kafka") == 1


async def test_a_stop_lets_a_record_end(bound: Bound):
    """The running post ends; waiting records are not posted."""
    gate = asyncio.Event()
    bound.answers[0].append(gate)
    bound.come(FakeMessage(0), FakeMessage(1))
    await bound.seen((0, 0))
    bound.inputs.refuse()
    draining = asyncio.create_task(bound.inputs.drain())
    await settle()
    assert not draining.done()
    gate.set()
    await draining
    await bound.inputs.stop()

    assert bound.posted == [(0, 0)]
    assert bound.client.stored == [(0, 0)]
    assert bound.client.closed.is_set()


async def test_a_stop_does_not_wait_for_a_pause(bound: Bound):
    """A refused record is posted again after the next start."""
    bound.answers[0].append(503)
    bound.come(FakeMessage(0), FakeMessage(1))
    await bound.seen((0, 0))
    bound.inputs.refuse()
    await bound.inputs.drain()

    assert bound.posted == [(0, 0)]
    assert not bound.client.stored


async def test_a_stop_does_not_wait_for_a_broker(bound: Bound, caplog: pytest.LogCaptureFixture):
    """A client that cannot leave its group in time is abandoned."""
    bound.client.open.clear()
    stopping = asyncio.create_task(bound.inputs.stop())
    await settle()
    await bound.clock.advance(inputs.LEAVE + 0.1)
    await stopping

    assert "did not leave" in caplog.text


async def test_a_letter_is_posted_to_the_route(bound: Bound):
    """A dead letter is posted as a CloudEvent, and the caller gets the result."""
    await bound.inputs.redeliver("bound", b"{}")

    assert bound.inputs.has("bound")
    assert not bound.inputs.has("other")
    assert bound.bodies == [("/there", b"{}", {b"content-type": b"application/cloudevents+json"})]


@pytest.mark.parametrize(
    ("answer", "raised"),
    [(500, Conflict), (Conflict("no"), Conflict), (Unavailable("away"), Unavailable)],
)
async def test_a_letter_that_fails_stays(bound: Bound, answer: object, raised: type[Exception]):
    """An error that may pass is told apart from one that will not."""
    bound.answers[-1].append(answer)

    with pytest.raises(raised):
        await bound.inputs.redeliver("bound", b"{}")


async def test_settings_that_the_client_refuses_stop_the_start():
    """The text names the binding and says why."""
    inputs = KafkaInputs([SPEC.model_copy(update={"session_timeout": 0.0})], HandClock())

    with pytest.raises(StartupError, match=r"'bound'.*session\.timeout\.ms"):
        inputs.start(Bound().deliver)


async def test_without_a_start_nothing_is_redelivered():
    """A binding that was not started redelivers nothing and can be stopped."""
    inputs = KafkaInputs([SPEC], HandClock())
    with pytest.raises(Conflict):
        await inputs.redeliver("bound", b"{}")
    inputs.refuse()
    await inputs.drain()
    await inputs.stop()
