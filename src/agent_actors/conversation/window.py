"""The model's window: the last pairs of a conversation that the model is shown."""

from collections.abc import Sequence

from agent_actors.settings import Settings
from agent_actors.state.documents.conversation import Head, Pair
from agent_actors.state.history import History

TOKEN_BYTES = 4
"""Bytes taken for one token: good enough for a bound, and no tokenizer knows every model."""


class ModelWindow:
    """Reads the window, and keeps the pairs before the tail between turns: pairs never change."""

    def __init__(self, history: History, settings: Settings) -> None:
        self._history = history
        self._settings = settings
        self._before: tuple[int, tuple[Pair, ...]] | None = None
        """The number of the tail's first pair, and the pairs before it."""

    def void(self) -> None:
        """Drops the pairs that are kept."""
        self._before = None

    async def pairs(self, head: Head) -> tuple[Pair, ...]:
        """The pairs in the window, oldest first."""
        first = max(head.start + 1, head.seq - self._settings.window_turns + 1)
        tail = head.tail[0].seq if head.tail else head.seq + 1
        before: tuple[Pair, ...] = ()
        if first < tail:
            if self._before is None or self._before[0] != tail:
                self._before = (tail, await self._history.pairs(head, first, tail - 1))
            before = self._before[1]
        return fitting(
            [pair for pair in (*before, *head.tail) if pair.seq >= first], self._settings
        )


def fitting(pairs: Sequence[Pair], settings: Settings) -> tuple[Pair, ...]:
    """The last pairs that fit into the window; none is shortened."""
    window: list[Pair] = []
    room = settings.window_tokens * TOKEN_BYTES
    for pair in reversed(pairs[len(pairs) - min(settings.window_turns, len(pairs)) :]):
        room -= pair.size
        if room < 0:
            break
        window.append(pair)
    return tuple(reversed(window))
