"""MemoryAgentActor: what it remembers, and of whom; what holds for every consumer is elsewhere."""

from typing import Any, cast

import pytest

from agent_actors.errors import Unavailable
from agent_actors.protocol import wire
from agent_actors.protocol.events import TurnEvent
from agent_actors.protocol.messages import Failure, Message, Person, UserSummary
from agent_actors.state import slots
from agent_actors.users.memory import ENTRIES, FRESH, FRESH_CHARACTERS, MemoryAgentActor
from tests.unit.users.consumers import Bench, event

ADA = Person("Ada", "formal", "Ada counts.")
NEW = Person("ada", "casual", "ada is a new user.")


class MemoryBench(Bench):
    """The memory of ada."""

    def __init__(self) -> None:
        super().__init__(wire.MEMORY)

    @property
    def memory(self) -> MemoryAgentActor:
        return cast(MemoryAgentActor, self.actor)

    async def person(self) -> Person:
        return (await self.memory.recall()).person

    async def entries(self) -> list[str]:
        return [entry.content for entry in await self.memory.get_memory()]

    @property
    def fresh(self) -> list[str]:
        """What the next summary is made of."""
        stored: Any = self.client.value(self.key, slots.MEMORY)
        return [entry["content"] for entry in stored["fresh"]]


@pytest.fixture
def bench() -> MemoryBench:
    return MemoryBench()


async def test_the_last_three_entries_are_kept(bench: MemoryBench):
    """Newest last, never more; at first there are none."""
    assert await bench.entries() == []

    await bench.take(event(1), event(2))
    assert await bench.entries() == ["answered 1", "said 2", "answered 2"]

    await bench.take(*[event(seq) for seq in range(3, 20)])
    assert await bench.entries() == ["answered 18", "said 19", "answered 19"]
    assert len(await bench.entries()) == ENTRIES


async def test_an_event_is_told_how_it_was_taken(bench: MemoryBench):
    """Applied, a duplicate, or too early; memory takes one at a time."""
    found = [(await bench.offer(event(seq))).status for seq in (2, 1, 1, 2)]

    assert found == ["gap", "applied", "duplicate", "applied"]


async def test_a_broken_store_is_no_empty_memory(bench: MemoryBench):
    """Reads fail, and an event does not overwrite what is there."""
    await bench.take(event(1))
    bench.activate()
    bench.client.fail("get", Unavailable("away"))

    assert isinstance(await bench.offer(event(2)), Failure)
    await bench.take(event(2))
    assert await bench.entries() == ["answered 1", "said 2", "answered 2"]


async def test_a_missing_mark_is_not_a_missing_memory(bench: MemoryBench):
    """A document that lacks its neighbour is kept as it is."""
    await bench.take(event(1))
    del bench.client.state[bench.key]["s:ada"]
    bench.activate()

    assert (await bench.entries(), await bench.mark()) == (["said 1", "answered 1"], 0)


async def test_of_a_new_user_the_usual_is_known(bench: MemoryBench):
    """The name is the id; nothing is saved for the question."""
    assert await bench.person() == NEW
    assert bench.saves == 0


async def test_a_recollection_is_entries_and_person(bench: MemoryBench):
    """One call tells a turn all it needs of the user."""
    await bench.take(event(1))
    await bench.memory.initialize(ADA)
    recalled = await bench.memory.recall()

    assert recalled.entries == (Message("user", "said 1"), Message("assistant", "answered 1"))
    assert recalled.person == ADA


async def test_who_the_user_is_survives_an_activation(bench: MemoryBench):
    """It lies in a document of its own."""
    await bench.memory.initialize(ADA)
    bench.activate()

    assert await bench.person() == ADA


async def test_exchanges_that_no_summary_knows_are_counted(bench: MemoryBench):
    """With each event, also with one that came before; not with one that came too early."""
    await bench.take(event(1), event(2), event(2), event(9))
    assert bench.unsummed == [1, 2, 2]
    await bench.memory.keep_summary(UserSummary(2, "Said 1 and 2."))
    await bench.take(event(2), event(3))

    assert bench.unsummed == [1, 2, 2, 0, 1]


async def test_a_summary_is_kept(bench: MemoryBench):
    """The rest of what is known of the user stays."""
    await bench.memory.initialize(ADA)
    await bench.take(event(1))
    await bench.memory.keep_summary(UserSummary(1, "Ada has said 1."))

    assert await bench.person() == Person("Ada", "formal", "Ada has said 1.")
    assert bench.fresh == []


async def test_what_came_while_a_summary_was_made_is_left_for_the_next(bench: MemoryBench):
    """It knows the first two of three exchanges."""
    await bench.take(event(1), event(2), event(3))
    await bench.memory.keep_summary(UserSummary(2, "Said 1 and 2."))

    assert bench.fresh == ["said 3", "answered 3"]


async def test_an_older_summary_is_ignored(bench: MemoryBench):
    """Two replicas may make one at the same time: the one that knows more stays."""
    await bench.take(event(1), event(2))
    await bench.memory.keep_summary(UserSummary(2, "newer"))
    saves = bench.saves
    for events in (1, 2):
        await bench.memory.keep_summary(UserSummary(events, "older"))

    assert (await bench.person()).user_summary == "newer"
    assert bench.saves == saves


async def test_a_summary_of_more_than_was_said_is_ignored(bench: MemoryBench):
    """It cannot be of this memory."""
    await bench.take(event(1))
    await bench.memory.keep_summary(UserSummary(2, "other"))

    assert await bench.person() == NEW


async def test_who_is_introduced_is_not_overwritten_by_what_was_said_before(bench: MemoryBench):
    """A summary that was under way is ignored, and what it was made of is not used again."""
    await bench.take(event(1), event(2))
    await bench.memory.initialize(ADA)
    await bench.memory.keep_summary(UserSummary(2, "older"))

    assert await bench.person() == ADA
    assert bench.fresh == []
    await bench.take(event(3))
    assert bench.unsummed[-1] == 1


async def test_what_a_summary_is_made_of_is_bounded(bench: MemoryBench):
    """The last entries, each cut; the entries that the model sees are whole."""
    said = Message("user", "x" * (FRESH_CHARACTERS + 1))
    events = [
        TurnEvent("ada", f"e{seq}", said, Message("assistant", f"{seq}"), seq)
        for seq in range(1, FRESH // 2 + 3)
    ]
    await bench.take(*events)

    assert len(bench.fresh) == FRESH
    assert bench.fresh[:2] == ["x" * FRESH_CHARACTERS, "3"]
    assert said in await bench.memory.get_memory()


async def test_a_summary_that_knows_more_than_is_left_for_it_leaves_all_that_is_newer(
    bench: MemoryBench,
):
    """Where more came meanwhile than is kept, nothing is cut away twice."""
    await bench.take(*[event(seq) for seq in range(1, FRESH)])
    await bench.memory.keep_summary(UserSummary(1, "Said 1."))

    assert len(bench.fresh) == FRESH


async def test_of_a_forgotten_user_the_usual_is_known(bench: MemoryBench):
    """Neither name nor summary nor entries are left."""
    await bench.memory.initialize(ADA)
    await bench.take(event(1))
    await bench.forget(("ada", 1))

    assert (await bench.person(), await bench.memory.get_memory()) == (NEW, ())
    assert bench.client.value(bench.key, slots.PROFILE) is None
