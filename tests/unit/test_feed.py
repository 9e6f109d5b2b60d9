"""The feed: consumers that nobody waits for get each event soon, in order, and few calls."""

from collections.abc import AsyncIterator, Sequence

import pytest

from agent_actors.clients import BatchClient
from agent_actors.errors import Defect, Unavailable
from agent_actors.feed import PAUSE, PER_USER, ROUNDS, TRIES, Feed
from agent_actors.messages import Message, Remember
from tests.hand_clock import HandClock, settle

PERIOD = 10.0


class FakeConsumer(BatchClient):
    """Writes down what it is given, one conversation in order; fails as it is told."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.reached = 0
        self.errors: list[Exception] = []

    @property
    def seen(self) -> list[int]:
        return [seq for batch in self.batches for seq in batch]

    async def apply(self, user: str, events: Sequence[Remember]) -> tuple[str, ...]:
        if self.errors:
            raise self.errors.pop(0)
        self.batches.append([event.seq or 0 for event in events])
        early: list[str] = []
        for event in events:
            if event.seq == self.reached + 1:
                self.reached = event.seq
            elif (event.seq or 0) > self.reached:
                early.append(event.event_id)
        return tuple(early)


def an_event(seq: int) -> Remember:
    return Remember("ada", f"e{seq}", Message("user", "hi"), Message("assistant", "ho"), seq)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def consumers() -> list[FakeConsumer]:
    return [FakeConsumer(), FakeConsumer()]


@pytest.fixture
async def feed(clock: HandClock, consumers: list[FakeConsumer]) -> AsyncIterator[Feed]:
    made = Feed(consumers, clock, PERIOD)
    yield made
    await made.stop()


async def test_the_first_event_goes_at_once(feed: Feed, consumers: list[FakeConsumer]):
    """Whoever says one thing sees it counted at once, by every consumer."""
    feed.add("ada", an_event(1))
    await settle()

    assert [each.batches for each in consumers] == [[[1]], [[1]]]


async def test_the_next_ones_go_together(
    feed: Feed, clock: HandClock, consumers: list[FakeConsumer]
):
    """Within a period after it, one call carries what came meanwhile."""
    for seq in range(1, 6):
        feed.add("ada", an_event(seq))
        await settle()
    before = [list(each.batches) for each in consumers]
    await clock.advance(PERIOD)

    assert before == [[[1]], [[1]]]
    assert [each.batches for each in consumers] == [[[1], [2, 3, 4, 5]]] * 2


async def test_users_do_not_wait_for_each_other(feed: Feed, consumers: list[FakeConsumer]):
    """Each user's first event goes at once."""
    feed.add("ada", an_event(1))
    feed.add("bob", an_event(1))
    await settle()

    assert len(consumers[0].batches) == 2


async def test_an_event_that_is_early_comes_again(
    feed: Feed, clock: HandClock, consumers: list[FakeConsumer]
):
    """Another replica holds the one before it; it is offered until that has come."""
    feed.add("ada", an_event(2))
    await settle()
    for consumer in consumers:
        consumer.reached = 1
    await clock.advance(PERIOD)
    await clock.advance(PERIOD)

    assert [each.batches for each in consumers] == [[[2], [2]]] * 2


async def test_an_event_that_stays_early_is_given_up(
    feed: Feed, clock: HandClock, consumers: list[FakeConsumer]
):
    """Its conversation publishes it again; nothing of it is kept here."""
    feed.add("ada", an_event(2))
    await clock.advance(PERIOD * (ROUNDS + 3))

    assert consumers[0].seen == [2] * ROUNDS
    assert not clock.waiting


async def test_a_consumer_that_is_away_is_asked_again(
    feed: Feed, clock: HandClock, consumers: list[FakeConsumer]
):
    """The other one does not wait, and gets nothing twice for it."""
    consumers[0].errors = [Unavailable("away")] * (TRIES - 1)
    feed.add("ada", an_event(1))
    await settle()
    first = [list(each.seen) for each in consumers]
    await clock.advance(PAUSE * 2**TRIES)

    assert first == [[], [1]]
    assert [each.seen for each in consumers] == [[1], [1]]


@pytest.mark.parametrize("error", [Unavailable("away"), Defect("broken")])
async def test_a_consumer_that_stays_away_is_left_to_the_conversation(
    feed: Feed, clock: HandClock, consumers: list[FakeConsumer], error: Exception
):
    """The batch is given up, later ones are not."""
    consumers[0].errors = [error] * (TRIES if isinstance(error, Unavailable) else 1)
    feed.add("ada", an_event(1))
    await clock.advance(PERIOD * 3)
    feed.add("ada", an_event(1))
    await settle()

    assert [each.seen for each in consumers] == [[1], [1, 1]]


async def test_what_waits_goes_before_a_stop(feed: Feed, consumers: list[FakeConsumer]):
    """`drain` does not wait for the period to be over."""
    feed.add("ada", an_event(1))
    await settle()
    feed.add("ada", an_event(2))
    await feed.drain()

    assert [each.batches for each in consumers] == [[[1], [2]]] * 2


async def test_what_waits_is_bounded(feed: Feed, clock: HandClock, consumers: list[FakeConsumer]):
    """More than a batch can have is published again by its conversation."""
    for seq in range(1, PER_USER + 10):
        feed.add("ada", an_event(seq))
    await clock.advance(PERIOD * 3)

    assert consumers[0].seen == list(range(1, PER_USER + 1))


async def test_one_event_can_be_handed_over_now(feed: Feed, consumers: list[FakeConsumer]):
    """The caller learns that a consumer is away, since nobody publishes the event again."""
    await feed.apply("ada", an_event(1))
    consumers[1].errors = [Unavailable("away")]
    with pytest.raises(Unavailable):
        await feed.apply("ada", an_event(2))

    assert consumers[0].seen == [1, 2]


async def test_a_feed_that_was_served_keeps_nothing(
    feed: Feed, clock: HandClock, consumers: list[FakeConsumer]
):
    """A user who fell silent costs no memory and no timer."""
    feed.add("ada", an_event(1))
    await clock.advance(PERIOD * 2)

    assert not clock.waiting
    assert consumers[0].seen == [1]
