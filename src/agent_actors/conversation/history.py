"""What a conversation's actor reads of the past: pairs, outcomes, and the model's window."""

import asyncio
from collections.abc import Sequence

from agent_actors.conversation.limits import ChatLimits
from agent_actors.protocol.messages import Turn
from agent_actors.state import slots
from agent_actors.state.cache import ActorState
from agent_actors.state.documents import (
    Head,
    OutcomeRecord,
    Pair,
    find_pair,
    find_record,
    older_records,
    segment_of,
)

TOKEN_BYTES = 4
"""Bytes taken for one token: near enough for a bound, and no tokenizer knows every model."""


class History:
    """The older documents of one conversation, read when they are needed.

    Args:
        state: The actor's.
        limits: The conversation's.
    """

    def __init__(self, state: ActorState, limits: ChatLimits) -> None:
        self._state = state
        self._limits = limits
        self._older: tuple[int, tuple[Pair, ...]] | None = None

    def void(self) -> None:
        """Forgets the segments before the tail, which are kept between turns."""
        self._older = None

    async def segment(self, number: int) -> tuple[Pair, ...]:
        """The stored pairs of a segment; none where there is none."""
        document = await self._state.load(slots.segment(number))
        return document.pairs if document else ()

    async def pair(self, head: Head, seq: int) -> Pair | None:
        """The pair of that number, if it is stored."""
        return find_pair(head.tail, seq) or find_pair(await self.segment(segment_of(seq)), seq)

    async def record(self, head: Head, turn: Turn) -> OutcomeRecord | None:
        """How that turn ended, if it is remembered."""
        found = find_record(head.recent, turn.turn_id, turn.key_hash)
        if found is not None:
            return found
        numbers = older_records(head, self._limits.outcomes_kept)
        older = await self._state.load_all([slots.records(n) for n in numbers])
        for document in reversed(older):
            found = document.find(turn.turn_id, turn.key_hash)
            if found is not None:
                return found
        return None

    async def window(self, head: Head) -> tuple[Pair, ...]:
        """The last pairs that the model sees, oldest first: whole ones, as many as fit."""
        pairs = [pair for pair in await self._last_pairs(head) if pair.seq > head.start]
        return fitting(pairs, self._limits)

    async def _last_pairs(self, head: Head) -> tuple[Pair, ...]:
        """The tail and the segments before it: pairs never change, so those are kept."""
        first = head.tail[0].seq if head.tail else head.seq + 1
        if len(head.tail) >= self._limits.window_turns or first - 1 <= head.start:
            return head.tail
        if self._older is None or self._older[0] != first:
            self._older = (first, await self._before(head, first))
        return (*(pair for pair in self._older[1] if pair.seq < first), *head.tail)

    async def _before(self, head: Head, first: int) -> tuple[Pair, ...]:
        """The pairs of as many segments before the tail as the window may need."""
        oldest = max(head.start + 1, first - self._limits.window_turns)
        numbers = range(segment_of(oldest), segment_of(first - 1) + 1)
        read = await asyncio.gather(*map(self.segment, numbers))
        return tuple(pair for pairs in read for pair in pairs)


def fitting(pairs: Sequence[Pair], limits: ChatLimits) -> tuple[Pair, ...]:
    """The last of these pairs: whole ones, as many as the model's window takes."""
    window: list[Pair] = []
    room = limits.window_tokens * TOKEN_BYTES
    for pair in reversed(pairs[len(pairs) - min(limits.window_turns, len(pairs)) :]):
        room -= pair.size
        if room < 0:
            break
        window.append(pair)
    return tuple(reversed(window))
