"""MemoryAgentActor: what a user said lately, fed by events, each effective once, in order (I4)."""

from dataclasses import replace

from agent_actors import slots
from agent_actors.contracts import MemoryAgentInterface
from agent_actors.documents import Mark, Memory
from agent_actors.messages import MarkOf, Message, Remember, Remembered
from agent_actors.turns import TurnActor, turn

ENTRIES = 3
"""Entries of a memory."""
SEEN = 64
"""Ids of foreign events that are remembered."""


class MemoryAgentActor(TurnActor, MemoryAgentInterface):
    """The memory of one user, over all conversations."""

    @turn
    async def update_memory(self, event: Remember) -> Remembered:
        """Applies an event. One that is missing before it makes it a gap: nothing is saved."""
        if event.seq is None:
            return await self._foreign(event)
        mark = await self._mark(event.conversation)
        if event.seq <= mark:
            return Remembered("duplicate")
        if event.seq > mark + 1:
            return Remembered("gap")
        memory = remembering(await self._stored(), event)
        # Effect and mark in one transaction: in two, a crash between would lose or double it.
        await self.state.save(
            {slots.MEMORY: memory, slots.mark(event.conversation): Mark(seq=event.seq)}
        )
        return Remembered("applied")

    @turn
    async def get_memory(self) -> tuple[Message, ...]:
        """The entries, newest last."""
        return (await self._stored()).entries

    @turn
    async def get_mark(self, request: MarkOf) -> int:
        """The number of the last event of a conversation that is effective; 0 before the first."""
        return await self._mark(request.conversation)

    async def _foreign(self, event: Remember) -> Remembered:
        """An event without a number, of another producer: once per id, among the last ids."""
        memory = await self._stored()
        if event.event_id in memory.seen:
            return Remembered("duplicate")
        memory = remembering(memory, event)
        seen = (*memory.seen, event.event_id)[-SEEN:]
        await self.state.save({slots.MEMORY: replace(memory, seen=seen)})
        return Remembered("applied")

    async def _stored(self) -> Memory:
        return await self.state.load(slots.MEMORY) or Memory()

    async def _mark(self, conversation: str) -> int:
        return (await self.state.load(slots.mark(conversation)) or Mark()).seq


def remembering(memory: Memory, event: Remember) -> Memory:
    """The memory with one exchange more, and no more than its entries."""
    return replace(memory, entries=(*memory.entries, event.input, event.output)[-ENTRIES:])
