"""The lock of one actor: one turn at a time, or one chain of calls, of whose turns one acts.

A turn and those that come back to its actor in one chain of calls share the id of the chain, so
nothing tells a call back, for which the turn waits, from a second branch of the chain. Whoever asks
somebody lets the others of its chain act, and goes on when none of them does.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar


class TurnLock(asyncio.Lock):
    """A FIFO lock, with the number of turns that hold or want it."""

    def __init__(self) -> None:
        super().__init__()
        self.users = 0
        self.inside = 0
        self._chain: str | None = None
        self._acting = asyncio.Lock()

    @asynccontextmanager
    async def entered(self, chain: str | None) -> AsyncIterator[None]:
        """Waits for the turns before this one, then holds the actor until the block ends.

        Args:
            chain: The chain of calls that may come back, if any may.
        """
        if chain is None or chain != self._chain:
            await self.acquire()
            self._chain = chain
        self.inside += 1
        try:
            if chain is None:
                # In process a callee begins in its caller's context: that stay is not its own.
                token = _stay.set(None)
                try:
                    yield
                finally:
                    _stay.reset(token)
            else:
                async with _Stay(self._acting).held():
                    yield
        finally:
            self.inside -= 1
            if not self.inside:
                self._chain = None
                self.release()


class _Stay:
    """The stay of one turn in an actor that its chain may call back.

    Args:
        acting: Held by the turn that acts.
    """

    def __init__(self, acting: asyncio.Lock) -> None:
        self._acting = acting
        self._acts = False
        self._asking = 0
        self._coming_back = False
        self._over = False

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """From when it may act to its end."""
        await self._acting.acquire()
        self._acts = True
        token = _stay.set(self)
        try:
            yield
        finally:
            _stay.reset(token)
            # What it still asks, since it was left behind, must not act for it afterwards.
            self._over = True
            if self._acts:
                self._acting.release()

    @asynccontextmanager
    async def asking(self) -> AsyncIterator[None]:
        """Lets others act; a turn may ask several at once, and acts when the last has answered."""
        self._asking += 1
        if self._acts and not self._over:
            self._acts = False
            self._acting.release()
        try:
            yield
        finally:
            self._asking -= 1
            if not self._asking and not self._coming_back and not self._over:
                await self._come_back()

    async def _come_back(self) -> None:
        self._coming_back = True
        try:
            await self._acting.acquire()
        finally:
            self._coming_back = False
        self._acts = not self._asking and not self._over
        if not self._acts:
            self._acting.release()


_stay: ContextVar[_Stay | None] = ContextVar("stay", default=None)
"""The stay of the turn that runs here, where it may be called back."""


@asynccontextmanager
async def asking() -> AsyncIterator[None]:
    """While the block lasts, the turn that runs here waits for somebody else's answer."""
    stay = _stay.get()
    if stay is None:
        yield
    else:
        async with stay.asking():
            yield
