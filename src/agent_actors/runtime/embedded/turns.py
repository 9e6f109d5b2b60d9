"""One turn at a time: who may enter an actor, and when it is put away.

Every turn is a task of its own: the SDK writes a context variable, and a caller that leaves must
not cut it. The lock belongs to the turn, not to its caller; daprd frees its own when a caller
leaves (docs/dapr-behaviour.md#turns).

Where the rules of a type let calls back in, each call belongs to a chain: the call that began it,
and all that are made on its behalf. A call of the chain that is in an actor enters at once.
"""

import asyncio
import logging
import traceback
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import ContextVar
from functools import partial
from typing import Any, TypeVar
from uuid import uuid4

from dapr.actor import ActorRuntime
from dapr.common.reentrancy_context import reentrancy_ctx

from agent_actors.clock import Clock
from agent_actors.errors import Defect, TryLater, Unavailable
from agent_actors.runtime.embedded.idle import IdleActors, Key
from agent_actors.settings.actors import RulesOf
from agent_actors.turns.lock import TurnLock, pass_on

T = TypeVar("T")

_log = logging.getLogger(__name__)
_AT_ONCE = 100
_LAST_MOMENT = 1.0
_STOPPING = "The service is stopping; try again later."
_work: ContextVar["asyncio.Task[Any] | None"] = ContextVar("work", default=None)


def begin_work() -> None:
    """Marks this task as work the runtime has begun: it may call actors while turns drain."""
    _work.set(asyncio.current_task())


class _Slot:
    """An actor of this process: its lock, and how many turns run or wait for the lock."""

    __slots__ = ("active", "lock", "outlived", "saving", "turns")

    def __init__(self) -> None:
        self.lock = TurnLock()
        self.turns = 0
        self.active = False
        self.outlived = False
        self.saving: asyncio.Future[Any] | None = None

    async def enter(self, chain: str | None) -> None:
        """Enters the lock; raises `CancelledError` without it where the caller leaves first.

        A turn that calls back may begin only once it is known what became of a save that the turn
        around it gave up: it must read that.
        """
        await self.lock.enter(chain)
        if self.saving is None:
            return
        try:
            await asyncio.wait({self.saving})
        except asyncio.CancelledError:
            self.lock.leave()
            raise


class ActorTurns:
    """The actors of this process, one turn at a time each, in the order of the calls.

    Args:
        clock: Says when an actor is idle.
        rules_of: How actors of a type are kept.
    """

    def __init__(self, clock: Clock, rules_of: RulesOf) -> None:
        self._clock = clock
        self._rules_of = rules_of
        self._slots: dict[Key, _Slot] = {}
        self._idle = IdleActors(clock, rules_of)
        self._running: set[asyncio.Task[Any]] = set()
        self._open = self._stopping = False
        self._sweeper: asyncio.Task[None] | None = None
        self._leaving: Callable[[str, str], None] = _nobody

    def start(self, leaving: Callable[[str, str], None] | None = None) -> None:
        """Begins to take turns and to put idle actors away.

        Args:
            leaving: Is told the type and id of each actor that is put away, before it is.
        """
        self._leaving = leaving or _nobody
        self._open = True
        self._sweeper = asyncio.create_task(self._sweep(), name="idle actors")

    async def call(
        self, actor_type: str, actor_id: str, method: str, data: bytes, chain: str | None = None
    ) -> bytes:
        """Runs a method and returns what it returned.

        Args:
            actor_type: The type of the actor.
            actor_id: Its id.
            method: What is called.
            data: Its argument.
            chain: The id of the chain of calls that this one belongs to. A type whose rules let
                nobody back in hands it on, as daprd does, and heeds it not.

        Raises:
            Unavailable: The runtime is stopping, or something the actor needs is away.
            Defect: The method failed or is none (the log says where), or the chain is too deep.
        """
        reentrant = self._rules_of(actor_type).reentrant
        if reentrant and chain is None:
            chain = str(uuid4())
        work = partial(ActorRuntime.dispatch, actor_type, actor_id, method, data, chain)
        enters = chain if reentrant else None
        result: bytes = await self._turn((actor_type, actor_id), method, work, chain=enters)
        return result

    async def remind(self, actor_type: str, actor_id: str, name: str, body: bytes) -> None:
        """Runs a reminder as a turn; raises like `call`."""
        work = partial(ActorRuntime.fire_reminder, actor_type, actor_id, name, body)
        await self._turn((actor_type, actor_id), f"reminder {name}", work)

    async def tick(self, actor_type: str, actor_id: str, name: str, body: bytes) -> None:
        """Runs a timer as a turn, which does not keep an idle actor; raises like `call`."""
        work = partial(ActorRuntime.fire_timer, actor_type, actor_id, name, body)
        await self._turn((actor_type, actor_id), f"timer {name}", work, use=False)

    def active(self, actor_type: str, actor_id: str) -> bool:
        """Whether the actor was activated and not put away since."""
        slot = self._slots.get((actor_type, actor_id))
        return slot is not None and slot.active

    def hold(self, actor_type: str, actor_id: str, saving: "asyncio.Future[Any]") -> None:
        """Lets no other turn begin before it is decided what became of a save.

        A turn that gave up a slow save has ended; the save may take effect all the same. The next
        turn would read what was there before, and save it over this one.
        """
        self._slots[actor_type, actor_id].saving = saving

    @property
    def resident(self) -> int:
        """How many actors have anything in memory here."""
        return len(self._slots)

    def refuse(self) -> None:
        """From now on only what is already begun may call."""
        self._open, self._stopping = False, True

    async def drain(self) -> None:
        """Returns when no turn runs."""
        while self._running:
            await asyncio.wait(set(self._running))

    async def stop(self) -> None:
        """Ends every turn, then puts every actor away."""
        self.refuse()
        await _end(self._sweeper)
        for task in self._running:
            task.cancel()
        await self._drain_shortly()
        for key, slot in list(self._slots.items()):
            if slot.turns == 0:
                self._put_away(key, slot)
        await self._drain_shortly()
        self._slots.clear()
        self._idle.clear()

    async def _drain_shortly(self) -> None:
        # What does not heed its cancellation must not keep the process.
        with suppress(TimeoutError):
            async with self._clock.timeout(_LAST_MOMENT):
                await self.drain()

    async def _turn(
        self,
        key: Key,
        what: str,
        work: "partial[Coroutine[Any, Any, T]]",
        *,
        chain: str | None = None,
        use: bool = True,
    ) -> T:
        self._admit(key, chain)
        slot = self._enter(key, use=use)
        try:
            # A caller that leaves while it waits here leaves the queue.
            await slot.enter(chain)
        except asyncio.CancelledError:
            self._leave(key, slot)
            raise
        if self._refused():
            slot.lock.leave()
            self._leave(key, slot)
            raise Unavailable(_STOPPING)
        slot.active = True
        task = self._begin(key, slot, what, work)
        ended = asyncio.get_running_loop().create_future()
        task.add_done_callback(lambda _: None if ended.done() else ended.set_result(None))
        await ended
        return _outcome(task, key, what)

    def _admit(self, key: Key, chain: str | None) -> None:
        if self._refused():
            raise Unavailable(_STOPPING if self._stopping else "The runtime has not been started.")
        if key[0] not in ActorRuntime.get_registered_actor_types():
            raise Defect(f"There is no actor type {key[0]!r} in this service.")
        slot = self._slots.get(key)
        depth = self._rules_of(key[0]).depth
        lock = None if slot is None else slot.lock
        if lock is not None and chain and lock.chain == chain and lock.inside >= depth:
            raise Defect(
                f"A chain of calls is {depth} times in the actor {key[0]}/{key[1]} already, and its"
                " reentrancy depth lets it in no more."
            )

    def _refused(self) -> bool:
        return not self._open and not _begun()

    def _enter(self, key: Key, *, use: bool = True) -> _Slot:
        slot = self._slots.get(key)
        if slot is None:
            slot = self._slots[key] = _Slot()
        slot.turns += 1
        if use:
            self._idle.remove(key)
            slot.outlived = False
        return slot

    def _leave(self, key: Key, slot: _Slot) -> None:
        slot.turns -= 1
        if slot.turns:
            return
        if not slot.active:
            self._slots.pop(key, None)
        elif slot.outlived:
            self._put_away(key, slot)
        elif key not in self._idle:
            self._idle.add(key)

    def _begin(
        self, key: Key, slot: _Slot, what: str, work: "partial[Coroutine[Any, Any, T]]"
    ) -> "asyncio.Task[T]":
        task = asyncio.create_task(_as_work(work, slot.lock))
        self._running.add(task)
        task.add_done_callback(partial(self._ended, key, slot, what))
        return task

    def _ended(self, key: Key, slot: _Slot, what: str, task: "asyncio.Task[Any]") -> None:
        self._running.discard(task)
        if slot.saving is None or slot.saving.done():
            self._free(key, slot)
        else:
            slot.saving.add_done_callback(lambda _: self._free(key, slot))
        if not task.cancelled() and (error := task.exception()) is not None:
            # Never the text of the exception: it may repeat what was said.
            level = logging.WARNING if isinstance(error, TryLater) else logging.ERROR
            _log.log(level, "%s of %s/%s failed: %s", what, *key, _trace(error))

    def _free(self, key: Key, slot: _Slot) -> None:
        if slot.saving is not None and slot.saving.done():
            slot.saving = None
        slot.lock.leave()
        self._leave(key, slot)

    async def _sweep(self) -> None:
        while True:
            await self._idle.wait()
            for _ in range(_AT_ONCE):
                key = self._idle.overdue()
                if key is None:
                    break
                self._idle.remove(key)
                slot = self._slots[key]
                if slot.turns:
                    # A timer's turn runs, or waits; it goes with the end of that.
                    slot.outlived = True
                else:
                    self._put_away(key, slot)

    def _put_away(self, key: Key, slot: _Slot) -> None:
        """Starts to put an actor away on which no turn runs or waits; new turns wait for it."""
        self._leaving(*key)
        self._enter(key)
        slot.active = False
        slot.lock.take()
        self._begin(key, slot, "deactivation", partial(_deactivate, *key))


async def _as_work(work: "partial[Coroutine[Any, Any, T]]", lock: TurnLock) -> T:
    begin_work()
    pass_on(lock)
    # A call sets its own; what fires by itself must not be let in as if its caller had called.
    reentrancy_ctx.set(None)
    try:
        return await work()
    finally:
        # The task is in its own context: a cycle that only the collector would find.
        _work.set(None)


async def _deactivate(actor_type: str, actor_id: str) -> None:
    await ActorRuntime.deactivate(actor_type, actor_id)


def _nobody(actor_type: str, actor_id: str) -> None:
    """Nobody is told."""


def _begun() -> bool:
    task = _work.get()
    return task is not None and not task.done()


async def _end(task: "asyncio.Task[Any] | None") -> None:
    if task is not None:
        task.cancel()
        await asyncio.wait({task})


def _outcome(task: "asyncio.Task[T]", key: Key, what: str) -> T:
    if task.cancelled():
        raise Unavailable(f"The turn of actor {key[1]!r} was cut off; try again later.")
    error = task.exception()
    if error is None:
        return task.result()
    if isinstance(error, Unavailable):
        raise Unavailable(error.detail)
    raise Defect(f"{what!r} of the actor {key[0]}/{key[1]} failed; the log says where.")


def _trace(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    where = " < ".join(f"{frame.filename}:{frame.lineno}" for frame in reversed(frames))
    return f"{type(error).__name__} at {where}"
