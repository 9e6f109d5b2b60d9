"""The lock of an actor: held by one turn, or by one chain of calls with one acting turn at a time.

A chain of calls is a call and all calls that are made on its behalf; where an actor type is
reentrant, a chain that holds an actor may call it back. All turns of a chain have the same id, so
the call back that a turn waits for looks like any other branch of the chain. That is why a turn
that calls another actor (`asking`) lets the other turns of its chain act, and acts again once none
of them does.

There is one lock per actor and process. On Dapr `TurnLocks` makes it for the turns that need it;
the embedded runtime holds the lock itself before a turn begins, and passes it on (`pass_on`).
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Hashable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from contextvars import ContextVar, Token
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class TurnLock:
    """A FIFO lock that the chain of calls holding it may enter again.

    `users` is the number of turns that hold the lock or wait for it, as its owner counts them;
    `inside` the number that hold it.
    """

    __slots__ = ("_acting", "_held", "_waiting", "chain", "inside", "users")

    def __init__(self) -> None:
        self.users = 0
        self.inside = 0
        self.chain: str | None = None
        self._held = False
        self._waiting: deque[asyncio.Future[None]] | None = None
        self._acting: asyncio.Lock | None = None

    @property
    def acting(self) -> asyncio.Lock:
        """Held by the turn of the chain that acts."""
        if self._acting is None:
            self._acting = asyncio.Lock()
        return self._acting

    async def enter(self, chain: str | None) -> None:
        """Waits for the turns before this one; a turn of the chain that holds the lock does not."""
        if chain is not None and chain == self.chain:
            self.inside += 1
            return
        if self._held:
            await self._wait()
        self.take(chain)

    def take(self, chain: str | None = None) -> None:
        """Enters the lock, which must be free."""
        self._held, self.chain, self.inside = True, chain, 1

    def leave(self) -> None:
        """Ends a turn; the last one of its chain lets the next turn in."""
        self.inside -= 1
        if not self.inside:
            self.chain = None
            self._hand_on()

    async def _wait(self) -> None:
        if self._waiting is None:
            self._waiting = deque()
        entered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(entered)
        try:
            await entered
        except asyncio.CancelledError:
            if not entered.cancelled():
                self._hand_on()
            raise

    def _hand_on(self) -> None:
        # The lock stays held meanwhile: nobody enters between a turn and the next in line.
        while self._waiting:
            entered = self._waiting.popleft()
            if not entered.done():
                entered.set_result(None)
                return
        self._held = False


class TurnLocks(Generic[K]):
    """The locks of the actors that have turns; nothing is kept for the others."""

    def __init__(self) -> None:
        self._locks: dict[K, TurnLock] = {}

    def __len__(self) -> int:
        """How many actors have turns, or turns that wait."""
        return len(self._locks)

    def inside(self, actor: K) -> int:
        """How many turns are in an actor, all of the chain that holds it."""
        lock = self._locks.get(actor)
        return 0 if lock is None else lock.inside

    async def enter(self, actor: K, chain: str | None) -> TurnLock:
        """Enters the lock of an actor and returns it."""
        lock = self._locks.get(actor)
        if lock is None:
            lock = self._locks[actor] = TurnLock()
        lock.users += 1
        entered = False
        try:
            await lock.enter(chain)
            entered = True
        finally:
            if not entered:  # The turn was cancelled while it waited.
                self._drop(actor, lock)
        return lock

    def leave(self, actor: K, lock: TurnLock) -> None:
        """Ends a turn."""
        lock.leave()
        self._drop(actor, lock)

    def _drop(self, actor: K, lock: TurnLock) -> None:
        lock.users -= 1
        if not lock.users:
            del self._locks[actor]


class TurnEntry(Generic[K]):
    """A block that waits for the turns before it, then holds an actor until it ends.

    `chain` is the chain of calls, where it may call the actor back. A class, since every call
    enters here and a generator is slower.
    """

    __slots__ = ("_actor", "_chain", "_lock", "_locks", "_passed_on", "_stay", "_token")

    def __init__(self, locks: TurnLocks[K], actor: K, chain: str | None) -> None:
        self._locks = locks
        self._actor = actor
        self._chain = chain
        self._stay: _Stay | None = None

    async def __aenter__(self) -> None:
        lock = _passed_on.get()
        self._passed_on = lock is not None
        if lock is None:
            lock = await self._locks.enter(self._actor, self._chain)
        else:
            _passed_on.set(None)  # It is for this turn only.
        self._lock = lock
        if self._chain is not None:
            self._stay = stay = _Stay(lock.acting)
            try:
                await stay.begin()
            finally:
                if not stay.acts:
                    self._leave()
        # In process a callee starts in its caller's context, but the caller's stay is not its own.
        self._token: Token[_Stay | None] = _stay.set(self._stay)

    async def __aexit__(self, *_: object) -> None:
        _stay.reset(self._token)
        if self._stay is not None:
            self._stay.end()
        self._leave()

    def _leave(self) -> None:
        if not self._passed_on:
            self._locks.leave(self._actor, self._lock)


_passed_on: ContextVar[TurnLock | None] = ContextVar("passed_on", default=None)
"""The lock that a runtime holds for the turn which begins here."""


def pass_on(lock: TurnLock | None) -> None:
    """Makes the next turn of this task run under a lock that the caller holds, and releases."""
    _passed_on.set(lock)


class _Stay:
    """The stay of one turn in an actor that its chain may call back."""

    def __init__(self, acting: asyncio.Lock) -> None:
        self._acting = acting
        self.acts = False
        self._asking = 0
        self._coming_back = False
        self._over = False

    async def begin(self) -> None:
        """Returns when the turn may act."""
        await self._acting.acquire()
        self.acts = True

    def end(self) -> None:
        """Ends the stay: a call that the turn left behind must not make it act again."""
        self._over = True
        if self.acts:
            self._acting.release()

    @asynccontextmanager
    async def asking(self) -> AsyncIterator[None]:
        """Lets other turns act; with several calls at once, until the last of them has returned."""
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
"""The stay of the turn that runs here, where the actor may be called back."""
_NOT_REENTRANT = nullcontext()


def asking() -> AbstractAsyncContextManager[None]:
    """A block in which the turn that runs here waits for another actor's answer."""
    stay = _stay.get()
    return _NOT_REENTRANT if stay is None else stay.asking()
