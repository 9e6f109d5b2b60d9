"""A clock that stands still until a test moves it."""

import asyncio
import heapq
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from itertools import count
from types import TracebackType
from typing import Any

from agent_actors.runtime.embedded.disk.database import Database, Operation

_START = datetime(2026, 1, 1, tzinfo=UTC)
_ROUNDS = 6
_PAUSE = 0.001
_PATIENCE = 1.0
"""Seconds that a write gets; one that a test holds back takes longer."""
_writes: set[asyncio.Future[Any]] = set()
"""What the threads of databases are at work on."""
_submit = Database.submit


def _watched(database: Database, operation: Operation[Any]) -> asyncio.Future[Any]:
    decided = _submit(database, operation)
    _writes.add(decided)
    decided.add_done_callback(_writes.discard)
    return decided


Database.submit = _watched  # type: ignore[assignment, method-assign]


class HandClock:
    """`agent_actors.clock.Clock`, moved by hand.

    `advance` goes from one due waiter to the next and lets the loop come to rest before each, so a
    loop that sleeps one second wakes sixty times in `advance(60)`.

    Args:
        start: The wall time at the beginning; in UTC.
    """

    def __init__(self, start: datetime = _START) -> None:
        self._start = start
        self._passed = 0.0
        self._waiters: list[tuple[float, int, _Waiter]] = []
        self._order = count()

    def now(self) -> datetime:
        """The wall time, in UTC."""
        return self._start + timedelta(seconds=self._passed)

    def monotonic(self) -> float:
        """Seconds since the beginning."""
        return self._passed

    async def sleep(self, seconds: float) -> None:
        """Returns when the clock was moved that far; at once (but not synchronously) for 0."""
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiter = self._wait(seconds, lambda: _resolve(woken))
        try:
            await woken
        finally:
            waiter.gone = True

    def timeout(self, seconds: float) -> AbstractAsyncContextManager[object]:
        """Like `asyncio.timeout`, on this clock."""
        return _HandTimeout(self, seconds)

    @property
    def waiting(self) -> int:
        """How many sleeps and time-outs wait for the clock to be moved."""
        return sum(not waiter.gone for _, _, waiter in self._waiters)

    async def advance(self, seconds: float) -> None:
        """Moves time, step by step through everything that falls due."""
        target = self._passed + seconds
        await settle()
        while (due := self._next_due()) <= target:
            self._passed = max(self._passed, due)
            self._wake_due()
            await settle()
        self._passed = target

    def jump(self, seconds: float) -> None:
        """Moves time at once and wakes nobody: the machine slept, or the process was away."""
        self._passed += seconds

    def _next_due(self) -> float:
        while self._waiters and self._waiters[0][2].gone:
            heapq.heappop(self._waiters)
        return self._waiters[0][0] if self._waiters else float("inf")

    def _wake_due(self) -> None:
        while self._waiters and self._waiters[0][0] <= self._passed:
            waiter = heapq.heappop(self._waiters)[2]
            if not waiter.gone:
                waiter.gone = True
                waiter.wake()

    def _wait(self, seconds: float, wake: Callable[[], None]) -> "_Waiter":
        if seconds <= 0:
            asyncio.get_running_loop().call_soon(wake)
            return _Waiter(wake, gone=True)
        waiter = _Waiter(wake)
        heapq.heappush(self._waiters, (self._passed + seconds, next(self._order), waiter))
        return waiter


class _Waiter:
    def __init__(self, wake: Callable[[], None], *, gone: bool = False) -> None:
        self.wake = wake
        self.gone = gone


class _HandTimeout:
    def __init__(self, clock: HandClock, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self._timeout = asyncio.timeout(None)
        self._waiter: _Waiter | None = None

    async def __aenter__(self) -> asyncio.Timeout:
        entered = await self._timeout.__aenter__()
        self._waiter = self._clock._wait(self._seconds, self._expire)
        return entered

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._waiter is not None:
            self._waiter.gone = True
        self._seconds = -1
        await self._timeout.__aexit__(kind, error, trace)

    def _expire(self) -> None:
        if self._seconds >= 0:
            self._timeout.reschedule(asyncio.get_running_loop().time())


async def settle(rounds: int = _ROUNDS) -> None:
    """Lets the loop come to rest, and the threads of databases: a few milliseconds of real time.

    What another thread has not finished by then is awaited with a condition of its own.
    """
    loop = asyncio.get_running_loop()
    for _ in range(rounds):
        writes = [write for write in _writes if write.get_loop() is loop]
        if writes:
            await asyncio.wait(writes, timeout=_PATIENCE)
        woken: asyncio.Future[None] = loop.create_future()
        loop.call_later(_PAUSE, _resolve, woken)
        await woken


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
