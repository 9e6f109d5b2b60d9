"""Wakes callers that wait for a turn, in the process that committed it."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager


class TurnBell:
    """A bell per conversation, rung after each save that ends a turn.

    It only shortens the wait: callers read the saved state, since a turn that another process
    commits rings no bell here.
    """

    def __init__(self) -> None:
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)

    def ring(self, conversation: str) -> None:
        """Wakes callers that wait for a turn of this conversation."""
        for event in self._waiting.get(conversation, ()):
            event.set()

    def ring_all(self) -> None:
        """Wakes all callers, as when the process stops."""
        for conversation in self._waiting:
            self.ring(conversation)

    @contextmanager
    def listen(self, conversation: str) -> Iterator[asyncio.Event]:
        """An event that is set at the next ring; clear it to wait for another one."""
        event = asyncio.Event()
        self._waiting[conversation].add(event)
        try:
            yield event
        finally:
            self._waiting[conversation].discard(event)
            if not self._waiting[conversation]:
                del self._waiting[conversation]
