"""Wakes who waits for a turn, in the process where it was committed."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager


class TurnBell:
    """A bell per conversation: rung after each save that ended a turn.

    It only shortens the wait; what is true is what is saved, and a turn that was committed in
    another process rings no bell here.
    """

    def __init__(self) -> None:
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)

    def ring(self, conversation: str) -> None:
        """A turn of this conversation has ended."""
        for event in self._waiting.get(conversation, ()):
            event.set()

    def ring_all(self) -> None:
        """Wakes everyone, as when the process stops."""
        for conversation in self._waiting:
            self.ring(conversation)

    @contextmanager
    def listen(self, conversation: str) -> Iterator[asyncio.Event]:
        """An event that is set at the next ring; its holder clears it to hear another one."""
        event = asyncio.Event()
        self._waiting[conversation].add(event)
        try:
            yield event
        finally:
            self._waiting[conversation].discard(event)
            if not self._waiting[conversation]:
                del self._waiting[conversation]
