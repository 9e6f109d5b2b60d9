"""Things to be done at a time, and one waiter who takes them as they fall due."""

import asyncio
import heapq
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from typing import Generic, TypeVar

from agent_actors.clock import Clock

T = TypeVar("T")

# The wall time may be set, and a laptop's monotonic time stands still while it sleeps.
_LOOK_AGAIN = 30.0


class Agenda(Generic[T]):
    """A queue by time.

    Args:
        clock: What is waited on.
        now: The time that entries are due by, in seconds.
    """

    def __init__(self, clock: Clock, now: Callable[[], float]) -> None:
        self._clock = clock
        self._now = now
        self._entries: list[tuple[float, int, T]] = []
        self._order = count()
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, due: float, entry: T) -> None:
        """Enters something; what is due earlier than all else wakes the waiter."""
        heapq.heappush(self._entries, (due, next(self._order), entry))
        if self._entries[0][2] is entry:
            self._changed.set()

    def prune(self, keep: Callable[[T], bool]) -> None:
        """Forgets the entries that are void."""
        self._entries = [entry for entry in self._entries if keep(entry[2])]
        heapq.heapify(self._entries)

    async def take(self) -> tuple[float, T]:
        """Waits for the first entry to fall due, and removes it."""
        while (wait := self._until_first()) > 0:
            self._changed.clear()
            with suppress(TimeoutError):
                async with self._clock.timeout(wait):
                    await self._changed.wait()
        due, _, entry = heapq.heappop(self._entries)
        return due, entry

    def _until_first(self) -> float:
        if not self._entries:
            return _LOOK_AGAIN
        return min(_LOOK_AGAIN, self._entries[0][0] - self._now())
