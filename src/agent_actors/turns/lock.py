"""The lock of one actor: one turn at a time, or one chain of calls, of whose turns one acts.

A turn and those that come back to its actor in one chain of calls share the id of the chain, so
nothing tells a call back, for which the turn waits, from a second branch of the chain. Whoever asks
somebody lets the others of its chain act, and goes on when none of them does.
"""

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from contextvars import ContextVar, Token
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class TurnLocks(Generic[K]):
    """The locks of the actors that have turns; nothing is kept of the others."""

    def __init__(self) -> None:
        self._locks: dict[K, TurnLock] = {}

    def entered(self, actor: K, chain: str | None) -> "TurnEntry[K]":
        """Waits for the turns before this one, then holds the actor until the block ends.

        Args:
            actor: The key of the actor.
            chain: The chain of calls that may come back, if any may.
        """
        return TurnEntry(self, actor, chain)

    def inside(self, actor: K) -> int:
        """How many turns are in an actor, of the one chain that holds it."""
        lock = self._locks.get(actor)
        return 0 if lock is None else lock.inside

    def __len__(self) -> int:
        """How many actors have turns, or turns that wait."""
        return len(self._locks)

    def of(self, actor: K) -> "TurnLock":
        """The lock of an actor, for one turn more."""
        lock = self._locks.get(actor)
        if lock is None:
            lock = self._locks[actor] = TurnLock()
        lock.users += 1
        return lock

    def leave(self, actor: K, lock: "TurnLock") -> None:
        """A turn less."""
        lock.users -= 1
        if not lock.users:
            del self._locks[actor]


class TurnLock(asyncio.Lock):
    """A FIFO lock, with the number of turns that hold or want it."""

    def __init__(self) -> None:
        super().__init__()
        self.users = 0
        self.inside = 0
        self.chain: str | None = None
        self._acting: asyncio.Lock | None = None

    @property
    def acting(self) -> asyncio.Lock:
        """What the turn of a chain holds that acts."""
        if self._acting is None:
            self._acting = asyncio.Lock()
        return self._acting

    def leave(self) -> None:
        """A turn has ended; the last of its chain lets the next one in."""
        self.inside -= 1
        if not self.inside:
            self.chain = None
            self.release()


class TurnEntry(Generic[K]):
    """A turn in an actor. A class, since every call of an actor passes here: generators cost."""

    __slots__ = ("_actor", "_chain", "_lock", "_locks", "_stay", "_token")

    def __init__(self, locks: TurnLocks[K], actor: K, chain: str | None) -> None:
        self._locks = locks
        self._actor = actor
        self._chain = chain
        self._stay: _Stay | None = None

    async def __aenter__(self) -> None:
        self._lock = self._locks.of(self._actor)
        entered = False
        try:
            await self._enter(self._lock)
            entered = True
        finally:
            if not entered:  # Cut while it waited.
                self._locks.leave(self._actor, self._lock)
        # In process a callee begins in its caller's context: that stay is not its own.
        self._token: Token[_Stay | None] = _stay.set(self._stay)

    async def __aexit__(self, *_: object) -> None:
        _stay.reset(self._token)
        if self._stay is not None:
            self._stay.end()
        self._lock.leave()
        self._locks.leave(self._actor, self._lock)

    async def _enter(self, lock: TurnLock) -> None:
        if self._chain is None or self._chain != lock.chain:
            await lock.acquire()
            lock.chain = self._chain
        lock.inside += 1
        if self._chain is None:
            return
        self._stay = stay = _Stay(lock.acting)
        try:
            await stay.begin()
        finally:
            if not stay.acts:
                lock.leave()


class _Stay:
    """The stay of one turn in an actor that its chain may call back.

    Args:
        acting: Held by the turn that acts.
    """

    def __init__(self, acting: asyncio.Lock) -> None:
        self._acting = acting
        self.acts = False
        self._asking = 0
        self._coming_back = False
        self._over = False

    async def begin(self) -> None:
        """Returns when it may act."""
        await self._acting.acquire()
        self.acts = True

    def end(self) -> None:
        """What it still asks, since it was left behind, must not act for it afterwards."""
        self._over = True
        if self.acts:
            self._acting.release()

    @asynccontextmanager
    async def asking(self) -> AsyncIterator[None]:
        """Lets others act; a turn may ask several at once, and acts when the last has answered."""
        self._asking += 1
        if self.acts and not self._over:
            self.acts = False
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
        self.acts = not self._asking and not self._over
        if not self.acts:
            self._acting.release()


_stay: ContextVar[_Stay | None] = ContextVar("stay", default=None)
"""The stay of the turn that runs here, where it may be called back."""


_NOBODY_COMES_BACK = nullcontext()


def asking() -> AbstractAsyncContextManager[None]:
    """While the block lasts, the turn that runs here waits for somebody else's answer."""
    stay = _stay.get()
    return _NOBODY_COMES_BACK if stay is None else stay.asking()
