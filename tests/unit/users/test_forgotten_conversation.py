"""Consumers: what a conversation was about is forgotten, and nothing else (`clearing_forgets`)."""

import pytest

from agent_actors.protocol import wire
from agent_actors.protocol.messages import HighWaterMark, Person, UserSummary
from agent_actors.state import slots
from agent_actors.state.documents.users import Origin
from agent_actors.users.consumer import without_turns
from agent_actors.users.memory import MemoryAgentActor
from tests.unit.users.consumers import Bench, event

FORGETFUL = (wire.MEMORY, wire.SESSION)
OTHER = "session:x"


@pytest.fixture(params=FORGETFUL)
def bench(request: pytest.FixtureRequest) -> Bench:
    return Bench(request.param)


@pytest.fixture
def memory() -> Bench:
    return Bench(wire.MEMORY)


async def forget(bench: Bench, conversation: str, upto: int) -> None:
    await bench.actor.forget_conversation(HighWaterMark(conversation, upto))  # type: ignore[attr-defined]


def stored(bench: Bench) -> str:
    return b" ".join(bench.client.state[bench.key].values()).decode()


def actor(bench: Bench) -> MemoryAgentActor:
    assert isinstance(bench.actor, MemoryAgentActor)
    return bench.actor


async def test_its_turns_are_forgotten(bench: Bench):
    """Turns of other conversations stay."""
    await bench.take(event(1), event(1, OTHER), event(2))
    await forget(bench, OTHER, 1)
    assert "said 1" in stored(bench)
    await forget(bench, "ada", 2)

    assert "said" not in stored(bench)
    assert (await bench.mark(), await bench.mark(OTHER)) == (2, 1)


async def test_an_event_that_is_late_has_no_effect(bench: Bench):
    """The mark has moved up to the clearing; later events take effect."""
    await bench.take(event(1))
    await forget(bench, "ada", 3)

    assert await bench.take(event(2), event(3)) == []
    assert "said" not in stored(bench)
    await bench.take(event(4))
    assert "said 4" in stored(bench)


async def test_forgetting_twice_is_forgetting_once(bench: Bench):
    """Turns after the clearing stay, however often the clearing is repeated."""
    await bench.take(event(1))
    await forget(bench, "ada", 1)
    await bench.take(event(2))
    before, saves = stored(bench), bench.saves
    await forget(bench, "ada", 1)

    assert (stored(bench), bench.saves) == (before, saves)
    assert "said 2" in before


async def test_turns_after_the_clearing_stay(bench: Bench):
    """Even if their events came before that of the clearing."""
    await bench.take(event(1), event(2))
    await forget(bench, "ada", 1)

    assert "said 1" not in stored(bench)
    assert "said 2" in stored(bench)


async def test_a_summary_that_is_being_made_is_ignored(memory: Bench):
    """It may be of what was cleared."""
    await memory.take(event(1))
    await forget(memory, "ada", 1)
    await actor(memory).keep_summary(UserSummary(1, "Ada spoke of 1."))

    assert (await actor(memory).recall()).person == Person.new("ada")
    await memory.take(event(2))
    await actor(memory).keep_summary(UserSummary(3, "Ada spoke of 2."))
    assert (await actor(memory).recall()).person.user_summary == "Ada spoke of 2."


async def test_a_summary_that_was_made_goes_too(memory: Bench):
    """It may be of what was cleared; the next one is made of what is left."""
    await memory.take(event(1), event(1, OTHER))
    await actor(memory).keep_summary(UserSummary(2, "Ada spoke of 1."))
    await forget(memory, "ada", 1)

    assert (await actor(memory).recall()).person == Person.new("ada")


async def test_a_summary_that_was_set_stays(memory: Bench):
    """It was set from outside and is not based on a conversation."""
    told = Person("Ada", "formal", "Ada counts.")
    await actor(memory).initialize(told)
    await memory.take(event(1))
    await forget(memory, "ada", 1)

    assert (await actor(memory).recall()).person == told


async def test_what_an_older_release_wrote_stays(memory: Bench):
    """That release did not save origins."""
    await memory.take(event(1), event(2))
    document = memory.client.value(memory.key, slots.MEMORY)
    old = {name: value for name, value in document.items() if "origins" not in name} | {"v": 2}
    memory.client.state[memory.key]["memory"] = str(old).replace("'", '"').encode()
    memory.activate()
    await memory.take(event(1, OTHER))
    await forget(memory, OTHER, 1)
    kept = [entry.content for entry in await actor(memory).get_memory()]

    assert kept == ["answered 2"]


@pytest.mark.parametrize(
    ("origins", "kept"),
    [((), "abc"), (("x",), "ab"), (("x", "y", "x"), "b"), (("y", "y", "y"), "abc")],
)
def test_items_are_distinguished_by_their_origins(origins: tuple[str, ...], kept: str):
    """The last ones have an origin each; of those before it is not known."""
    known = tuple(Origin(each, 1) for each in origins)
    items, left = without_turns("abc", known, HighWaterMark("x", 1))

    assert "".join(items) == kept
    assert len(left) == len(items)


def test_a_later_turn_is_distinguished_from_an_earlier_one():
    """Of the same conversation."""
    origins = (Origin("x", 1), Origin("x", 2), Origin("x", 3))

    assert without_turns("abc", origins, HighWaterMark("x", 2)) == (("c",), (Origin("x", 3),))
