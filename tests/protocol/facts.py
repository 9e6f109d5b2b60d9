"""What single facts are told with: a world in which nothing happens by itself."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, cast

from dapr.actor import ActorId

from agent_actors.protocol import wire
from agent_actors.protocol.events import TurnEvent
from agent_actors.protocol.messages import Message
from agent_actors.users.memory import MemoryAgentActor
from tests.protocol.scenarios import ACTORS, Steady
from tests.protocol.schedule import come_to_rest, shrunk
from tests.protocol.world import Sizes, World

SIZES = Sizes(model_time=1e9)


def in_a_world(test: Callable[[World], Awaitable[None]]) -> Callable[[], None]:
    """Runs a test in a world of its own."""

    def run() -> None:
        with shrunk(SIZES), asyncio.Runner() as runner:
            runner.run(_begun(test))

    run.__name__, run.__doc__, run.__module__ = test.__name__, test.__doc__, test.__module__
    return run


async def _begun(test: Callable[[World], Awaitable[None]]) -> None:
    world = World(Steady(), SIZES)
    await world.begin()
    await test(world)


def an_object(world: World) -> MemoryAgentActor:
    """An object of the user's memory, as the SDK makes one."""
    context = world.processes[0].managers[wire.MEMORY]._runtime_ctx
    return cast(MemoryAgentActor, context.create_actor(ActorId(ACTORS[2][1])))


def an_event(seq: int) -> TurnEvent:
    """An event of the user's conversation."""
    said, answered = Message("user", "said"), Message("assistant", "answered")
    return TurnEvent("u", f"event-{seq}", said, answered, seq=seq)


async def taken(world: World, turn: Coroutine[Any, Any, Any]) -> Any:
    """What a turn returns that nothing happens to."""
    task = world.spawn(turn, world.processes[0])
    await let_all_through(world)
    return task.result()


async def to_rest(world: World) -> None:
    await world.settle()
    await come_to_rest(world)


async def let_through(world: World, what: str, method: str) -> None:
    """Until that is done, in a turn of that method; it is the only thing that waits."""
    while True:
        await world.settle()
        running = [request.method for request in world.sidecar.handlers]
        if method in running and world.gates[0].what.endswith(what):
            return
        await world.release(0)


async def let_all_through(world: World) -> None:
    await world.settle()
    while world.gates:
        await world.release(0)
