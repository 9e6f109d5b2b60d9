"""The turn protocol on the real actors: random schedules, and every single fault of short stories.

`PROTOCOL_SCHEDULES` sets how many random schedules there are; a failing one prints its trace.
"""

import asyncio
import os

import pytest
from dapr.actor import ActorId

from tests.protocol import scenarios, schedule
from tests.protocol.people import People
from tests.protocol.verify import verify
from tests.protocol.world import Sizes, Violation, World

SCHEDULES = int(os.environ.get("PROTOCOL_SCHEDULES", "1200"))
CHUNK = 100
EVERY = int(os.environ.get("PROTOCOL_EVERY", "5"))
"""Of the single faults of a story, every so many-th is tried; 1 tries all of them (2 minutes)."""


@pytest.mark.parametrize("first", range(0, SCHEDULES, CHUNK))
def test_random_schedules_keep_every_promise(first):
    """Whatever crashes, moves, fails or is lost, every turn happens once and nothing is left."""
    for seed in range(first, min(first + CHUNK, SCHEDULES)):
        keeps_its_promises(seed)


@pytest.mark.parametrize("story", scenarios.STORIES)
def test_no_single_fault_breaks_a_story(story):
    """A story with one fault, at any step and of any operation, keeps every promise."""
    offset = scenarios.STORIES.index(story) % EVERY

    assert scenarios.explore(story, EVERY, offset) > 0


def test_an_actor_that_comes_back_does_not_trust_what_was_cached_meanwhile():
    """A request that reaches the app after its DELETE leaves no stale activation behind."""
    sizes = Sizes()
    with schedule.shrunk(sizes), asyncio.Runner() as runner:
        runner.run(_comes_back(World(scenarios.Steady(), sizes)))


async def _comes_back(world: World) -> None:
    await world.begin()
    people, late = People(world), world.processes[1]
    world.sidecar.place[scenarios.CHAT] = 0
    reading = late.managers["ChatAgent"].dispatch(ActorId("c1"), "GetConversationHistory", b"")
    world.spawn(reading, late)
    await world.settle()
    await schedule.come_to_rest(world)
    world.spawn(people.say("c1", "u", "first", "K1", 20.0))
    await world.settle()
    await schedule.come_to_rest(world)
    await world.put_away(scenarios.CHAT, 1)
    world.spawn(people.say("c1", "u", "second", "K2", 20.0))
    await world.settle()
    await schedule.come_to_rest(world)
    verify(world)


def keeps_its_promises(seed: int) -> None:
    """Runs a schedule; one that fails is run again with a trace."""
    try:
        schedule.run(seed)
    except Violation as violation:
        trace: list[str] = []
        with pytest.raises(Violation):
            schedule.run(seed, trace)
        pytest.fail("\n".join((*trace, str(violation))))
