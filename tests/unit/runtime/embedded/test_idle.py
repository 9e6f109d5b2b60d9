import asyncio

from agent_actors.runtime.embedded.idle import IdleActors
from agent_actors.settings.actors import ActorRules
from tests.hand_clock import HandClock, settle

TIMES = {"quick": 5.0, "slow": 50.0}


async def sweep(idle: IdleActors, clock: HandClock, gone: list[tuple[float, str]]) -> None:
    while True:
        await idle.wait()
        while (key := idle.overdue()) is not None:
            idle.remove(key)
            gone.append((clock.monotonic(), key[1]))


async def test_each_actor_is_idle_for_the_time_of_its_type():
    """Whoever came first goes first within a type, and a type does not wait for another."""
    clock, gone = HandClock(), list[tuple[float, str]]()
    idle = IdleActors(clock, lambda name: ActorRules(TIMES[name], 1.0))
    task = asyncio.create_task(sweep(idle, clock, gone))
    idle.add(("slow", "a"))
    await clock.advance(1)
    idle.add(("quick", "b"))
    await clock.advance(1)
    idle.add(("quick", "c"))
    await clock.advance(100)

    assert gone == [(6, "b"), (7, "c"), (50, "a")]

    task.cancel()


async def test_who_has_something_to_do_is_not_idle():
    """An actor that was taken off the list begins anew."""
    clock, gone = HandClock(), list[tuple[float, str]]()
    idle = IdleActors(clock, lambda name: ActorRules(TIMES[name], 1.0))
    task = asyncio.create_task(sweep(idle, clock, gone))
    idle.add(("quick", "a"))
    await clock.advance(4)
    idle.remove(("quick", "a"))
    idle.remove(("quick", "nobody"))

    assert ("quick", "a") not in idle

    await clock.advance(100)
    idle.add(("quick", "a"))

    assert ("quick", "a") in idle

    await clock.advance(5)
    await settle()

    assert gone == [(109, "a")]

    task.cancel()
