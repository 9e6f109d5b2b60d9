"""A model that answers when it is let through: slow, failing, raising, or killing its process."""

import asyncio
from typing import TYPE_CHECKING

from agent_actors.errors import ModelFailed
from agent_actors.model import Model, Prompt, SummaryPrompt
from agent_actors.protocol.messages import Reply, Usage
from tests.protocol.sidecar import TURN

if TYPE_CHECKING:
    from tests.protocol.process import Process


DIGIT = 100
"""Each answer's tokens are a power of it, so that a sum of tokens says which were added up."""


def a_reply(said: str, number: int) -> Reply:
    """An answer that is like no other."""
    return Reply(f"{said}#{number}", usage=Usage(0, DIGIT**number))


class WatchedModel(Model):
    """The model of one process; every reply has the number of its call, so no two are alike."""

    def __init__(self, process: "Process") -> None:
        self._process = process
        self._world = process.world
        self.uses_history = process.world.sizes.sums_up

    async def reply(self, prompt: Prompt) -> Reply:
        """The answer, when the world lets it through."""
        call = self._world.ledger.call_of(prompt.conversation, prompt.turn_id)
        if TURN.get() is not None:
            self._world.violate("the model's task inherited the context of its caller")
        try:
            await self._think(prompt)
        except asyncio.CancelledError:
            call.failed = True
            raise
        fault = self._world.strikes("model")
        if fault is not None:
            call.failed = True
            if fault == "after":
                raise RuntimeError(prompt.message.content)
            raise ModelFailed("The model failed.")
        return a_reply(prompt.message.content, call.number)

    async def summarise(self, digest: SummaryPrompt) -> str:
        """All of it, so that whatever is left of it shows."""
        await self._world.gate("summary")
        if self._world.strikes("model"):
            raise ModelFailed("The model failed.")
        return " ".join((digest.previous, *(entry.content for entry in digest.messages)))

    async def _think(self, prompt: Prompt) -> None:
        world = self._world
        if prompt.message.content in world.poison:
            world.seen["killed by the model"] += 1
            world.doomed.append(self._process)
            await asyncio.Event().wait()
        for _ in range(world.chance.choice(world.model_gates)):
            await world.gate("model")
        pause = world.chance.choice(world.model_pauses)
        if pause:
            await world.clock.sleep(pause)
