"""Time as an argument: code reads and waits on a `Clock`, so that tests can move it by hand."""

import asyncio
import time
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """A wall clock, a monotonic clock, and the two ways to wait."""

    def now(self) -> datetime:
        """The wall time, in UTC."""
        ...

    def monotonic(self) -> float:
        """A time in seconds that never goes back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Returns when that many seconds have passed."""
        ...

    def timeout(self, seconds: float) -> AbstractAsyncContextManager[object]:
        """Like `asyncio.timeout`: raises `TimeoutError` when the block lasts longer."""
        ...


class SystemClock:
    """The time of this machine."""

    def now(self) -> datetime:
        """The wall time, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """A time in seconds that never goes back."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Returns when that many seconds have passed."""
        await asyncio.sleep(seconds)

    def timeout(self, seconds: float) -> AbstractAsyncContextManager[object]:
        """`asyncio.timeout` itself."""
        return asyncio.timeout(seconds)
