"""The composition as a whole."""

import gc

from agent_actors.actors.chat import ChatAgent
from agent_actors.actors.memory import MemoryAgentActor
from agent_actors.actors.response import ResponseAgent
from agent_actors.documents import Head, Memory
from agent_actors.runtime.embedded import EmbeddedRuntime
from tests.conftest import Serve
from tests.fakes import eventually

KEPT_WHILE_ACTIVE = (ChatAgent, ResponseAgent, MemoryAgentActor, Head, Memory)


def resident() -> int:
    """Actors and their documents that are in memory, after a collection."""
    gc.collect()
    return sum(isinstance(each, KEPT_WHILE_ACTIVE) for each in gc.get_objects())


async def test_idle_conversations_are_not_resident(serve: Serve):
    """Thirty conversations that were put away leave neither an actor nor a document behind."""
    before = resident()
    async with serve(idle_timeout=0.2, recovery_period=0.3) as served:
        for number in range(30):
            answer = await served.say(f"user{number}", "hi")
            assert answer.status_code == 200
        runtime = served.services.runtime
        assert isinstance(runtime, EmbeddedRuntime)
        await eventually(lambda: runtime._turns.resident == 0)

        assert resident() <= before
