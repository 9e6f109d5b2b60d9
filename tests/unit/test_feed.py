"""The feed: events to the consumers that nobody waits for."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field

import pytest

from agent_actors.clients import BatchClient
from agent_actors.errors import Invalid, Unavailable
from agent_actors.feed import PER_USER, ROUNDS, TRIES, Feed
from agent_actors.messages import Message, Remember
from tests.hand_clock import HandClock, settle

WHOSE: ContextVar[str] = ContextVar("whose", default="nobody's")


@dataclass
class Taking(BatchClient):
    """A consumer: keeps every batch, once it is let go."""

    batches: list[tuple[str, list[int | None]]] = field(default_factory=list)
    contexts: list[str] = field(default_factory=list)
    early: list[set[int]] = field(default_factory=list)
    """The numbers that come too early, by batch."""
    errors: list[Exception] = field(default_factory=list)
    free: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.free.set()

    async def apply(self, user: str, events: Sequence[Remember]) -> tuple[str, ...]:
        await self.free.wait()
        self.contexts.append(WHOSE.get())
        self.batches.append((user, [event.seq for event in events]))
        if self.errors:
            raise self.errors.pop(0)
        early = self.early.pop(0) if self.early else set()
        return tuple(event.event_id for event in events if event.seq in early)

    @property
    def numbers(self) -> list[list[int | None]]:
        return [seqs for _, seqs in self.batches]


class Bench:
    """A feed of two consumers, at most one batch in a second."""

    def __init__(self) -> None:
        self.clock = HandClock()
        self.one, self.two = Taking(), Taking()
        self.feed = Feed((self.one, self.two), self.clock, 1.0)

    async def add(self, *seqs: int, user: str = "ada") -> None:
        for seq in seqs:
            self.feed.add(user, event(seq))
        await settle()


def event(seq: int | None) -> Remember:
    said = Message("user", "hi"), Message("assistant", "hello")
    return Remember("ada", f"event {seq}", *said, seq)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    yield bench
    await bench.feed.stop()


async def test_the_first_event_is_handed_over_at_once(bench: Bench):
    """To every consumer."""
    await bench.add(1)

    assert bench.one.batches == bench.two.batches == [("ada", [1])]


async def test_what_comes_soon_after_goes_together(bench: Bench):
    """Once in a period, in the order in which it came."""
    await bench.add(1)
    await bench.add(2)
    await bench.add(3)
    assert bench.one.numbers == [[1]]

    await bench.clock.advance(1)
    assert bench.one.numbers == [[1], [2, 3]]


async def test_after_a_pause_an_event_goes_at_once_again(bench: Bench):
    """Nothing is kept of a user of whom nothing waits."""
    await bench.add(1)
    await bench.clock.advance(1)
    await bench.add(2)

    assert bench.one.numbers == [[1], [2]]


async def test_what_comes_while_a_batch_is_handed_over_is_not_lost(bench: Bench):
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


async def test_an_event_that_comes_too_early_is_offered_again(bench: Bench):
    """To all, with what has come since, until the one before it was there."""
    bench.one.early = [{3}, {3}, set()]
    await bench.add(3)
    await bench.add(2)
    await bench.clock.advance(1)
    await bench.clock.advance(1)
    await bench.clock.advance(5)

    assert bench.one.numbers == bench.two.numbers == [[3], [3, 2], [3]]


async def test_an_event_that_stays_too_early_is_left(bench: Bench):
    """After some rounds: the conversation publishes what is missing, and then this one, too."""
    bench.one.early = [{3}] * 100
    await bench.add(3)
    await bench.clock.advance(100)

    assert bench.one.numbers == [[3]] * ROUNDS


async def test_a_consumer_that_is_away_is_tried_again(bench: Bench):
    """After a pause that doubles; the other one is not asked again."""
    bench.one.errors = [Unavailable("away"), Unavailable("away")]
    await bench.add(1)
    for pause, tries in ((0.1, 1), (0.1, 2), (0.3, 2), (0.2, 3)):
        await bench.clock.advance(pause)

        assert len(bench.one.batches) == tries
    assert len(bench.two.batches) == 1


async def test_a_consumer_that_stays_away_is_left_behind(
    bench: Bench, caplog: pytest.LogCaptureFixture
):
    """Its mark says so, and the conversation publishes again; later events go on."""
    bench.one.errors = [Unavailable("away")] * TRIES
    await bench.add(1)
    await bench.clock.advance(5)
    await bench.add(2)

    assert bench.one.numbers == [*[[1]] * TRIES, [2]]
    assert "1 events wait" in caplog.text


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
    """What comes beyond is published again later."""
    bench.one.free.clear()
    await bench.add(0)
    await bench.add(*range(1, PER_USER + 2))
    bench.one.free.set()
    await settle()
    await bench.clock.advance(1)

    assert [len(batch) for batch in bench.one.numbers] == [1, PER_USER - 1]


async def test_what_waits_in_all_is_bounded(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    """And there is room again when it was handed over."""
    monkeypatch.setattr("agent_actors.feed.WAITING", 2)
    bench.one.free.clear()
    for user in ("ada", "eve", "bob"):
        await bench.add(1, user=user)
    bench.one.free.set()
    await settle()
    await bench.clock.advance(1)
    await bench.add(2, user="bob")

    assert bench.one.batches == [("ada", [1]), ("eve", [1]), ("bob", [2])]


async def test_an_event_can_be_handed_over_now(bench: Bench):
    """One of another producer, before it is acknowledged: all consumers have it then."""
    await bench.feed.apply("ada", event(None))

    assert bench.one.numbers == bench.two.numbers == [[None]]


async def test_an_event_that_was_not_taken_by_all_is_told(bench: Bench):
    """Its producer sends it again."""
    bench.two.errors = [Unavailable("away")]

    with pytest.raises(Unavailable):
        await bench.feed.apply("ada", event(None))


async def test_draining_hands_over_what_waits(bench: Bench):
    """At once, and returns when that is done."""
    await bench.add(1)
    await bench.add(2, 3)
    await bench.feed.drain()

    assert bench.one.numbers == [[1], [2, 3]]
    assert bench.clock.waiting == 0


async def test_draining_does_not_wait_for_what_stays_away(bench: Bench):
    """Tries and rounds are as many, without their pauses."""
    bench.one.errors = [Unavailable("away")] * TRIES
    bench.two.early = [{1}] * 100
    await bench.add(1)
    await bench.feed.drain()

    assert len(bench.two.batches) == ROUNDS


async def test_a_stop_ends_what_is_under_way(bench: Bench):
    """A second stop finds nothing."""
    bench.one.free.clear()
    await bench.add(1)
    for _ in range(2):
        await bench.feed.stop()
    bench.one.free.set()
    await settle()

    assert bench.one.batches == []


async def test_a_batch_inherits_nothing_of_the_turn_that_told_of_it(bench: Bench):
    """A caller's reentrancy id would let its calls in beside a running turn."""
    WHOSE.set("the turn's")
    await bench.add(1)

    assert bench.one.contexts == ["nobody's"]
