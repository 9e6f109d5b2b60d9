"""The feed delivers events to the consumers that no turn waits for."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import cast

import pytest

from agent_actors.errors import Invalid, Unavailable
from agent_actors.protocol import wire
from agent_actors.protocol.clients import BatchClient
from agent_actors.protocol.codec import encode
from agent_actors.protocol.events import TurnEvent
from agent_actors.protocol.messages import Message
from agent_actors.state.documents.conversation import Head, Segment, segment_of
from agent_actors.state.reader import StateReader
from agent_actors.state.store import StateStore
from agent_actors.users.feed import CHARACTERS, PAIRS, PER_USER, TRIES, EventFeed
from tests.fakes import FakeActorClient, a_pair
from tests.hand_clock import HandClock, settle

WHOSE: ContextVar[str] = ContextVar("whose", default="nobody's")


@dataclass
class Taking(BatchClient):
    """A consumer: keeps every batch, once it is let go."""

    batches: list[tuple[str, list[int | None]]] = field(default_factory=list)
    contexts: list[str] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)
    """The answers to requests for its mark."""
    early: list[set[int]] = field(default_factory=list)
    """The numbers that come too early, by batch."""
    errors: list[Exception] = field(default_factory=list)
    free: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.free.set()

    async def apply(self, user: str, events: Sequence[TurnEvent]) -> tuple[str, ...]:
        await self.free.wait()
        self.contexts.append(WHOSE.get())
        self.batches.append((user, [event.seq for event in events]))
        if self.errors:
            raise self.errors.pop(0)
        early = self.early.pop(0) if self.early else set()
        return tuple(event.event_id for event in events if event.seq in early)

    async def mark(self, user: str, conversation: str) -> int:
        return self.marks.pop(0) if self.marks else 0

    @property
    def numbers(self) -> list[list[int | None]]:
        return [seqs for _, seqs in self.batches]


class Bench:
    """A feed of two consumers, at most one batch in a second."""

    def __init__(self) -> None:
        self.clock = HandClock()
        self.one, self.two = Taking(), Taking()
        self.client = FakeActorClient()
        reader = StateReader(StateStore(self.client, self.clock, 5.0), 256)
        self.feed = EventFeed((self.one, self.two), reader, self.clock, 1.0)

    def history(self, turns: int, *, low: int = 1, user: str = "ada") -> None:
        """What the conversation ada has."""
        head = Head(user=user, seq=turns, low=low)
        documents: dict[str, object] = {"head": head}
        for seq in range(low, turns + 1):
            number = segment_of(seq)
            former = cast(Segment, documents.get(f"h{number}", Segment()))
            documents[f"h{number}"] = Segment(pairs=(*former.pairs, a_pair(seq)))
        self.client.state[wire.CHAT, "ada"].update(
            {key: encode(document) for key, document in documents.items()}
        )

    async def add(self, *seqs: int, user: str = "ada") -> None:
        for seq in seqs:
            self.feed.add(event(seq, user))
        await settle()


def event(seq: int | None, user: str = "ada") -> TurnEvent:
    said = Message("user", "hi"), Message("assistant", "hello")
    return TurnEvent("ada", f"event {seq}", *said, seq, user=user)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    yield bench
    await bench.feed.stop()


async def test_the_first_event_is_delivered_at_once(bench: Bench):
    """To every consumer."""
    await bench.add(1)

    assert bench.one.batches == bench.two.batches == [("ada", [1])]


async def test_further_events_are_delivered_together(bench: Bench):
    """Once in a period, in the order in which they came; after a pause at once again."""
    await bench.add(1)
    await bench.add(2)
    await bench.add(3)
    assert bench.one.numbers == [[1]]

    await bench.clock.advance(1)
    assert bench.one.numbers == [[1], [2, 3]]
    await bench.clock.advance(1)
    await bench.add(4)
    assert bench.one.numbers[2:] == [[4]]


async def test_an_event_that_comes_during_a_delivery_is_not_lost(bench: Bench):
    """It is in the next one."""
    bench.one.free.clear()
    await bench.add(1)
    await bench.add(2)
    bench.one.free.set()
    await settle()
    await bench.clock.advance(1)

    assert bench.one.numbers == [[1], [2]]


async def test_users_do_not_wait_for_each_other(bench: Bench):
    """Each has a period of its own."""
    await bench.add(1)
    await bench.add(1, user="eve")

    assert bench.one.batches == [("ada", [1]), ("eve", [1])]


async def test_what_a_consumer_has_missed_is_read_from_the_history(bench: Bench):
    """Whatever the reason, the consumer gets all missing events, in order."""
    bench.history(5)
    bench.one.early = [{5}]
    bench.one.marks = [2, 5]
    await bench.add(5)

    assert bench.one.numbers == [[5], [3, 4, 5]]
    assert bench.two.numbers == [[5]]


async def test_a_long_gap_is_closed_in_some_batches(bench: Bench):
    """A consumer that was added later gets a whole conversation."""
    bench.history(2 * PAIRS + 1)
    bench.one.early = [{2 * PAIRS + 1}]
    bench.one.marks = [0, PAIRS, 2 * PAIRS, 2 * PAIRS + 1]
    await bench.add(2 * PAIRS + 1)

    assert [len(batch) for batch in bench.one.numbers] == [1, PAIRS, PAIRS, 1]


@pytest.mark.parametrize(("user", "missed"), [("ada", [[4, 5]]), ("bob", [])])
async def test_what_was_erased_or_is_another_users_is_not_read(
    bench: Bench, user: str, missed: list[list[int | None]]
):
    """A consumer starts after what was erased; an event may name any conversation."""
    bench.history(5, low=4, user=user)
    bench.one.early = [{5}]
    bench.one.marks = [0, 5]
    await bench.add(5)

    assert bench.one.numbers == [[5], *missed]


async def test_the_size_of_a_batch_is_limited(bench: Bench):
    """Long messages are delivered one by one."""
    for seq in (1, 2):
        bench.feed.add(replace(event(seq), input=Message("user", "x" * CHARACTERS)))
    await bench.clock.advance(5)

    assert bench.one.numbers == [[1], [2]]


async def test_a_consumer_that_is_away_is_tried_again(bench: Bench):
    """After a pause that doubles; the other consumer is not called again."""
    bench.one.errors = [Unavailable("away"), Unavailable("away")]
    await bench.add(1)
    for pause, tries in ((0.1, 1), (0.1, 2), (0.3, 2), (0.2, 3)):
        await bench.clock.advance(pause)

        assert len(bench.one.batches) == tries
    assert len(bench.two.batches) == 1


async def test_a_consumer_that_stays_away_is_left_behind(
    bench: Bench, caplog: pytest.LogCaptureFixture
):
    """Its mark shows it, and the conversation publishes again; later events are delivered."""
    bench.one.errors = [Unavailable("away")] * TRIES
    await bench.add(1)
    await bench.clock.advance(5)
    await bench.add(2)

    assert bench.one.numbers == [*[[1]] * TRIES, [2]]
    assert "1 event(s) will be delivered later" in caplog.text


async def test_a_batch_that_is_refused_is_not_offered_again(
    bench: Bench, caplog: pytest.LogCaptureFixture
):
    """It would be refused again; it is logged."""
    bench.one.errors = [Invalid("no")]
    await bench.add(1)
    await bench.clock.advance(5)

    assert bench.one.numbers == [[1]]
    assert "Invalid request" in caplog.text


async def test_what_waits_for_a_user_is_bounded(bench: Bench):
    """What comes beyond is read from the history later."""
    bench.one.free.clear()
    await bench.add(0)
    await bench.add(*range(1, PER_USER + 2))
    bench.one.free.set()
    await settle()
    await bench.clock.advance(1)

    assert [len(batch) for batch in bench.one.numbers] == [1, PER_USER]


async def test_what_waits_in_all_is_bounded(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    """There is room again after a delivery."""
    monkeypatch.setattr("agent_actors.users.feed.WAITING", 2)
    bench.one.free.clear()
    for user in ("ada", "eve", "bob"):
        await bench.add(1, user=user)
    bench.one.free.set()
    await settle()
    await bench.clock.advance(1)
    await bench.add(2, user="bob")

    assert bench.one.batches == [("ada", [1]), ("eve", [1]), ("bob", [2])]


async def test_an_event_can_be_delivered_now(bench: Bench):
    """All consumers have applied it when that returns; else it raises, and is sent again."""
    await bench.feed.apply(event(None))
    assert bench.one.numbers == bench.two.numbers == [[None]]

    bench.two.errors = [Unavailable("away")]
    with pytest.raises(Unavailable):
        await bench.feed.apply(event(None))


async def test_draining_delivers_what_waits(bench: Bench):
    """At once, and returns when that is done."""
    await bench.add(1)
    await bench.add(2, 3)
    await bench.feed.drain()

    assert bench.one.numbers == [[1], [2, 3]]
    assert bench.clock.waiting == 0


async def test_draining_does_not_wait_for_what_stays_away(bench: Bench):
    """Tries are as many, without their pauses."""
    bench.one.errors = [Unavailable("away")] * TRIES
    await bench.add(1)
    await bench.feed.drain()

    assert len(bench.one.batches) == TRIES


async def test_a_stop_ends_what_is_under_way(bench: Bench):
    """A second stop finds nothing."""
    bench.one.free.clear()
    await bench.add(1)
    for _ in range(2):
        await bench.feed.stop()
    bench.one.free.set()
    await settle()

    assert bench.one.batches == []


async def test_a_batch_inherits_nothing_of_the_turn_that_added_it(bench: Bench):
    """With a caller's reentrancy id, its calls could enter during a running turn."""
    WHOSE.set("the turn's")
    await bench.add(1)

    assert bench.one.contexts == ["nobody's"]
