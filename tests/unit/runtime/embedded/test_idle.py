import asyncio

from agent_actors.protocol.ids import ActorRef
from agent_actors.runtime.embedded.idle import IdleActors
from agent_actors.settings.actors import ActorRules
from tests.hand_clock import HandClock, settle

TIMES = {"quick": 5.0, "slow": 50.0}


async def sweep(idle: IdleActors, clock: HandClock, gone: list[tuple[float, str]]) -> None:
    while True:
        await idle.wait()
        while (actor := idle.overdue()) is not None:
            idle.remove(actor)
            gone.append((clock.monotonic(), actor.id))


async def test_each_actor_is_idle_for_the_time_of_its_type():
    """Actors of one type go in order of time, and no type waits for another."""
    clock, gone = HandClock(), list[tuple[float, str]]()
    idle = IdleActors(clock, lambda name: ActorRules(TIMES[name], 1.0))
    task = asyncio.create_task(sweep(idle, clock, gone))
    idle.add(ActorRef("slow", "a"))
    await clock.advance(1)
    idle.add(ActorRef("quick", "b"))
    await clock.advance(1)
    idle.add(ActorRef("quick", "c"))
    await clock.advance(100)

    assert gone == [(6, "b"), (7, "c"), (50, "a")]

    task.cancel()


async def test_an_actor_with_a_turn_is_not_idle():
    """The time of an actor that was removed starts anew."""
    clock, gone = HandClock(), list[tuple[float, str]]()
    idle = IdleActors(clock, lambda name: ActorRules(TIMES[name], 1.0))
    task = asyncio.create_task(sweep(idle, clock, gone))
    idle.add(ActorRef("quick", "a"))
    await clock.advance(4)
    idle.remove(ActorRef("quick", "a"))
    idle.remove(ActorRef("quick", "nobody"))

    assert ActorRef("quick", "a") not in idle

    await clock.advance(100)
    idle.add(ActorRef("quick", "a"))

    assert ActorRef("quick", "a") in idle

    await clock.advance(5)
    await settle()

    assert gone == [(109, "a")]

    task.cancel()
