"""A queue of entries by time, and one waiter who takes each entry when it is due."""

import asyncio
import heapq
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from typing import Generic, TypeVar

from agent_actors.clock import Clock

T = TypeVar("T")

_LONGEST_WAIT = 30.0
"""Seconds. The wall clock may be set, and the monotonic clock stops while a laptop sleeps."""


class Agenda(Generic[T]):
    """A queue by time; `now` is the present time in seconds, by which entries are due."""

    def __init__(self, clock: Clock, now: Callable[[], float]) -> None:
        self._clock = clock
        self._now = now
        self._entries: list[tuple[float, int, T]] = []
        self._order = count()
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, due: float, entry: T) -> None:
        """Adds an entry; the waiter wakes up if it is the first one now."""
        heapq.heappush(self._entries, (due, next(self._order), entry))
        if self._entries[0][2] is entry:
            self._changed.set()

    def prune(self, keep: Callable[[T], bool]) -> None:
        """Removes the entries that are not to be kept."""
        self._entries = [entry for entry in self._entries if keep(entry[2])]
        heapq.heapify(self._entries)

    async def take(self) -> tuple[float, T]:
        """Waits until the first entry is due, and removes it."""
        while True:
            wait = _LONGEST_WAIT
            if self._entries:
                wait = min(wait, self._entries[0][0] - self._now())
            if wait <= 0:
                due, _, entry = heapq.heappop(self._entries)
                return due, entry
            self._changed.clear()
            with suppress(TimeoutError):
                async with self._clock.timeout(wait):
                    await self._changed.wait()
