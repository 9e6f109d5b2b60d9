"""What holds for every consumer of events: each takes effect once and in order."""

import pytest

from agent_actors.errors import Unavailable
from agent_actors.protocol import wire
from agent_actors.protocol.messages import Failure
from agent_actors.state import slots
from agent_actors.users.consumer import SEEN
from tests.unit.users.consumers import DOCUMENTS, KINDS, Bench, event

BATCHED = (wire.SESSION, wire.ANALYTICS)


@pytest.fixture(params=KINDS)
def bench(request: pytest.FixtureRequest) -> Bench:
    return Bench(request.param)


@pytest.fixture(params=BATCHED)
def batched(request: pytest.FixtureRequest) -> Bench:
    return Bench(request.param)


async def test_events_are_effective_in_order(bench: Bench):
    """Each once, and the mark is the last one's number."""
    assert await bench.take(event(1), event(2), event(3)) == []
    assert (bench.effects, await bench.mark()) == (3, 3)


async def test_an_event_that_comes_again_has_no_effect(bench: Bench):
    """It saves nothing, also in a fresh activation."""
    await bench.take(event(1), event(2))
    saves = bench.saves
    bench.activate()

    assert await bench.take(event(1), event(2)) == []
    assert (bench.effects, bench.saves) == (2, saves)


async def test_an_event_that_comes_too_early_has_none(bench: Bench):
    """Its id is returned and nothing is saved; it takes effect after the one before it."""
    assert await bench.take(event(2)) == ["event ada 2"]
    assert (bench.saves, await bench.mark()) == (0, 0)

    assert await bench.take(event(1), event(2)) == []
    assert (bench.effects, await bench.mark()) == (2, 2)


async def test_effect_and_mark_are_saved_at_once(bench: Bench):
    """A crash can leave neither without the other."""
    await bench.take(event(1))

    (save,) = bench.client.did("save")
    assert save == ("save", *bench.key, DOCUMENTS[bench.kind].key, "s:ada")
    assert bench.client.value(bench.key, slots.mark("ada")) == {"v": 2, "seq": 1, "forgotten": 0}


async def test_a_consumer_has_a_mark_for_each_conversation(bench: Bench):
    """The consumer is the user's, the marks are the conversations'."""
    await bench.take(event(1), event(1, "session:x"), event(2))

    assert (await bench.mark(), await bench.mark("session:x"), bench.effects) == (2, 1, 3)
    assert await bench.mark("session:y") == 0


async def test_consumers_do_not_share_marks():
    """What one has applied is still owed to the others."""
    memory, analytics = Bench(wire.MEMORY), Bench(wire.ANALYTICS)
    analytics.client = memory.client
    analytics.activate()
    await memory.take(event(1))

    assert (await memory.mark(), await analytics.mark()) == (1, 0)


async def test_what_was_erased_is_not_waited_for(bench: Bench):
    """A consumer that was added later starts after the event's `floor`; no mark moves back."""
    assert await bench.take(event(5, floor=3)) == ["event ada 5"]
    assert await bench.take(event(4, floor=3), event(5, floor=3)) == []
    assert await bench.take(event(5, floor=4), event(6, floor=4)) == []
    assert (bench.effects, await bench.mark()) == (3, 6)


async def test_a_foreign_event_is_effective_once_per_id(bench: Bench):
    """It has no number: its id is kept, and no mark moves."""
    events = [event(None, event_id=each) for each in ("x", "x", "y")]

    assert await bench.take(*events) == []
    assert await bench.take(*events) == []
    assert (bench.effects, await bench.mark()) == (2, 0)


async def test_the_ids_of_foreign_events_are_bounded(bench: Bench):
    """The last 64 are known, the one before them would be effective again."""
    for number in range(SEEN + 1):
        await bench.take(event(None, event_id=f"e{number}"))
    saves = bench.saves
    await bench.take(event(None, event_id="e1"))

    assert bench.saves == saves
    assert len(bench.client.value(bench.key, DOCUMENTS[bench.kind])["seen"]) == SEEN

    await bench.take(event(None, event_id="e0"))
    assert bench.saves == saves + 1


@pytest.mark.parametrize("worked", [False, True])
async def test_a_save_that_fails_doubles_nothing(bench: Bench, worked: bool):
    """Whether it had worked or not: offered again, the event takes effect once."""
    bench.client.fail("save", Unavailable("away"), after=worked)
    refused = await bench.offer(event(1))
    await bench.take(event(1))

    assert isinstance(refused, Failure)
    assert (bench.effects, await bench.mark()) == (1, 1)


@pytest.mark.parametrize("known", [True, False])
async def test_a_forgotten_user_leaves_only_marks(bench: Bench, known: bool):
    """They move past every turn: what is on its way has no effect, what comes after it has one."""
    if known:
        await bench.take(event(1))
    await bench.forget(("ada", 3), ("session:x", 7))

    assert bench.effects == 0
    assert await bench.take(event(2), event(3)) == []
    assert (bench.effects, await bench.mark()) == (0, 3)
    assert await bench.take(event(4), event(8, "session:x")) == []
    assert (bench.effects, await bench.mark(), await bench.mark("session:x")) == (2, 4, 8)


async def test_marks_never_go_back(bench: Bench):
    """Even if a deletion that started earlier arrives later, or twice."""
    await bench.take(*[event(seq) for seq in range(1, 6)])
    await bench.forget(("ada", 5))
    await bench.take(event(6))
    await bench.forget(("ada", 5))

    assert await bench.mark() == 6


@pytest.mark.parametrize(
    ("at", "effective"), [(9.0, False), (10.0, False), (10.5, True), (None, True)]
)
async def test_foreign_events_from_before_the_end_have_no_effect(
    bench: Bench, at: float | None, effective: bool
):
    """They have no numbers, so the time at which they were published counts, if it is known."""
    await bench.forget(at=10.0)
    bench.activate()
    await bench.take(event(None, event_id="x", at=at))

    assert bench.effects == effective


async def test_our_own_events_are_recognised_by_their_numbers(bench: Bench):
    """The time of the deletion does not matter for them."""
    await bench.forget(("ada", 1), at=10.0)
    await bench.take(event(2, at=9.0))

    assert bench.effects == 1


async def test_the_end_is_saved_at_once(bench: Bench):
    """A crash leaves no mark without its effect."""
    await bench.take(event(1))
    await bench.forget(("ada", 3), ("session:x", 7))
    save = bench.client.did("save")[-1]

    assert {DOCUMENTS[bench.kind].key, "s:ada", "s:session:x", slots.TOMBSTONE.key} <= set(save)


async def test_a_batch_is_one_save(batched: Bench):
    """Effects and marks of all its events, in one transaction."""
    await batched.take(event(1), event(1, "session:x"), event(2), event(None, event_id="e"))

    (save,) = batched.client.did("save")
    assert set(save[3:]) == {DOCUMENTS[batched.kind].key, "s:ada", "s:session:x"}
    assert (batched.effects, await batched.mark()) == (4, 2)


async def test_an_event_that_is_twice_in_a_batch_is_effective_once(batched: Bench):
    """The second one is known by the first, though nothing is saved between."""
    twice = [event(1), event(1), event(None, event_id="e"), event(None, event_id="e")]

    assert await batched.take(*twice) == []
    assert batched.effects == 2


async def test_of_a_batch_only_the_early_ones_are_left(batched: Bench):
    """The others are effective; what is early stands before what it waits for, too."""
    assert await batched.take(event(3), event(1), event(2), event(9, "session:x")) == [
        "event ada 3",
        "event session:x 9",
    ]
    assert (batched.effects, await batched.mark()) == (2, 2)


async def test_a_batch_without_anything_new_saves_nothing(batched: Bench):
    """All of it came before, or too early."""
    await batched.take(event(1))
    await batched.take(event(1), event(3))

    assert batched.saves == 1
