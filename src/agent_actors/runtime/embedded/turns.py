"""The actors of this process: one turn at a time each, and deactivated when they are idle.

Each turn is a task of its own: the SDK sets a context variable, and a caller that leaves must not
cancel the turn. The lock belongs to the turn, not to its caller; daprd frees its own when a caller
leaves (docs/dapr-behaviour.md#calls). The lock is passed on to the actor's turn, which takes no
other.

Where an actor type is reentrant, each call belongs to a chain: a first call, and all calls that are
made on its behalf. A call of the chain that is in an actor enters at once.
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
from agent_actors.protocol.ids import ActorRef
from agent_actors.runtime.embedded.idle import IdleActors
from agent_actors.settings.actors import RulesOf
from agent_actors.turns.lock import TurnLock, pass_on

T = TypeVar("T")

_log = logging.getLogger(__name__)
_AT_ONCE = 100
_LAST_MOMENT = 1.0
_STOPPING = "The service is stopping; try again later."
_work: ContextVar["asyncio.Task[Any] | None"] = ContextVar("work", default=None)


def begin_work() -> None:
    """Marks this task as running work, which may call actors while the runtime drains."""
    _work.set(asyncio.current_task())


class _Slot:
    """What the runtime keeps of an actor: its lock, the last save, and whether it is active.

    `outlived` is an actor whose idle timeout ended during a timer's turn.
    """

    __slots__ = ("active", "lock", "outlived", "saving")

    def __init__(self) -> None:
        self.lock = TurnLock()
        self.active = False
        self.outlived = False
        self.saving: asyncio.Future[Any] | None = None

    async def enter(self, chain: str | None) -> None:
        """Enters the lock.

        A turn of the chain that is inside also waits for a save that an outer turn has given up,
        since it must read what that save leaves behind.
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
    """The actors of this process, one turn at a time each, in the order of the calls."""

    def __init__(self, clock: Clock, rules_of: RulesOf) -> None:
        self._clock = clock
        self._rules_of = rules_of
        self._slots: dict[ActorRef, _Slot] = {}
        self._idle = IdleActors(clock, rules_of)
        self._running: set[asyncio.Task[Any]] = set()
        self._open = self._stopping = False
        self._sweeper: asyncio.Task[None] | None = None
        self._leaving: Callable[[str, str], None]

    def start(self, leaving: Callable[[str, str], None]) -> None:
        """Starts to take turns and to deactivate idle actors.

        Before an actor is deactivated, `leaving` is called with its type and id.
        """
        self._leaving = leaving
        self._open = True
        self._sweeper = asyncio.create_task(self._sweep(), name="idle actors")

    async def call(
        self, actor: ActorRef, method: str, data: bytes, chain: str | None = None
    ) -> bytes:
        """Runs a method, with its argument in JSON, and returns what it returned.

        `chain` is the id of the chain of calls that this one belongs to. An actor of a type that is
        not reentrant passes it on, as daprd does, and waits in line all the same.

        Raises:
            Unavailable: The runtime is stopping, or something the actor needs is unavailable.
            Defect: The method failed (the log says where) or does not exist, or the chain of calls
                is too deep.
        """
        reentrant = self._rules_of(actor.type).reentrant
        if reentrant and chain is None:
            chain = str(uuid4())
        work = partial(ActorRuntime.dispatch, *actor, method, data, chain)
        enters = chain if reentrant else None
        result: bytes = await self._turn(actor, method, work, chain=enters)
        return result

    async def remind(self, actor_type: str, actor_id: str, name: str, body: bytes) -> None:
        """Runs a reminder as a turn; raises like `call`."""
        work = partial(ActorRuntime.fire_reminder, actor_type, actor_id, name, body)
        await self._turn(ActorRef(actor_type, actor_id), f"reminder {name}", work)

    async def tick(self, actor_type: str, actor_id: str, name: str, body: bytes) -> None:
        """Runs a timer as a turn, which does not count as use; raises like `call`."""
        work = partial(ActorRuntime.fire_timer, actor_type, actor_id, name, body)
        await self._turn(ActorRef(actor_type, actor_id), f"timer {name}", work, use=False)

    def active(self, actor: ActorRef) -> bool:
        """Is the actor active?"""
        slot = self._slots.get(actor)
        return slot is not None and slot.active

    def hold(self, actor: ActorRef, saving: "asyncio.Future[Any]") -> None:
        """Starts no other turn of the actor before a save has ended.

        A turn may end before a slow save that it gave up, and the save may still take effect. The
        next turn would read the state before the save, and overwrite it.
        """
        self._slots[actor].saving = saving

    @property
    def resident(self) -> int:
        """The number of actors that have anything in memory here."""
        return len(self._slots)

    def refuse(self) -> None:
        """Refuses calls from now on, except those of running work."""
        self._open, self._stopping = False, True

    async def drain(self) -> None:
        """Returns when no turn runs."""
        while self._running:
            await asyncio.wait(set(self._running))

    async def stop(self) -> None:
        """Cancels the running turns, then deactivates every actor."""
        self.refuse()
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.wait({self._sweeper})
        for task in self._running:
            task.cancel()
        await self._drain_shortly()
        for actor, slot in list(self._slots.items()):
            if slot.lock.users == 0:
                self._deactivate(actor, slot)
        await self._drain_shortly()
        self._slots.clear()
        self._idle.clear()

    async def _drain_shortly(self) -> None:
        # A turn that ignores its cancellation must not keep the process alive.
        with suppress(TimeoutError):
            async with self._clock.timeout(_LAST_MOMENT):
                await self.drain()

    async def _turn(
        self,
        actor: ActorRef,
        what: str,
        work: "partial[Coroutine[Any, Any, T]]",
        *,
        chain: str | None = None,
        use: bool = True,
    ) -> T:
        self._admit(actor, chain)
        slot = self._enter(actor, use=use)
        try:
            # A caller that leaves while it waits here gives up its place in line.
            await slot.enter(chain)
        except asyncio.CancelledError:
            self._leave(actor, slot)
            raise
        if self._refused():
            slot.lock.leave()
            self._leave(actor, slot)
            raise Unavailable(_STOPPING)
        slot.active = True
        task = self._begin(actor, slot, what, work)
        ended = asyncio.get_running_loop().create_future()
        task.add_done_callback(lambda _: None if ended.done() else ended.set_result(None))
        await ended
        if task.cancelled():
            raise Unavailable(f"The call of actor {actor.id!r} was cut off; try again later.")
        error = task.exception()
        if error is None:
            return task.result()
        if isinstance(error, Unavailable):
            raise Unavailable(error.detail)
        raise Defect(f"{what!r} of the actor {actor.type}/{actor.id} failed; the log says where.")

    def _admit(self, actor: ActorRef, chain: str | None) -> None:
        if self._refused():
            raise Unavailable(_STOPPING if self._stopping else "The runtime has not been started.")
        if actor.type not in ActorRuntime.get_registered_actor_types():
            raise Defect(f"There is no actor type {actor.type!r} in this service.")
        slot = self._slots.get(actor)
        depth = self._rules_of(actor.type).depth
        if slot and chain and slot.lock.chain == chain and slot.lock.inside >= depth:
            raise Defect(
                f"A chain of calls is in the actor {actor.type}/{actor.id} {depth} times already,"
                " which is its reentrancy depth."
            )

    def _refused(self) -> bool:
        if self._open:
            return False
        task = _work.get()
        return task is None or task.done()

    def _enter(self, actor: ActorRef, *, use: bool = True) -> _Slot:
        slot = self._slots.get(actor)
        if slot is None:
            slot = self._slots[actor] = _Slot()
        slot.lock.users += 1
        if use:
            self._idle.remove(actor)
            slot.outlived = False
        return slot

    def _leave(self, actor: ActorRef, slot: _Slot) -> None:
        slot.lock.users -= 1
        if slot.lock.users:
            return
        if not slot.active:
            self._slots.pop(actor, None)
        elif slot.outlived:
            self._deactivate(actor, slot)
        elif actor not in self._idle:
            self._idle.add(actor)

    def _begin(
        self, actor: ActorRef, slot: _Slot, what: str, work: "partial[Coroutine[Any, Any, T]]"
    ) -> "asyncio.Task[T]":
        task = asyncio.create_task(_as_work(work, slot.lock))
        self._running.add(task)
        task.add_done_callback(partial(self._ended, actor, slot, what))
        return task

    def _ended(self, actor: ActorRef, slot: _Slot, what: str, task: "asyncio.Task[Any]") -> None:
        self._running.discard(task)
        if slot.saving is None or slot.saving.done():
            self._free(actor, slot)
        else:
            slot.saving.add_done_callback(lambda _: self._free(actor, slot))
        if not task.cancelled() and (error := task.exception()) is not None:
            # Not the text of the exception: it may contain people's messages.
            frames = traceback.extract_tb(error.__traceback__)[-3:]
            where = " < ".join(f"{frame.filename}:{frame.lineno}" for frame in reversed(frames))
            level = logging.WARNING if isinstance(error, TryLater) else logging.ERROR
            reason = type(error).__name__
            _log.log(level, "%s of %s/%s failed: %s at %s", what, *actor, reason, where)

    def _free(self, actor: ActorRef, slot: _Slot) -> None:
        if slot.saving is not None and slot.saving.done():
            slot.saving = None
        slot.lock.leave()
        self._leave(actor, slot)

    async def _sweep(self) -> None:
        while True:
            await self._idle.wait()
            for _ in range(_AT_ONCE):
                actor = self._idle.overdue()
                if actor is None:
                    break
                self._idle.remove(actor)
                slot = self._slots[actor]
                if slot.lock.users:
                    # A timer's turn runs or waits; the actor is deactivated when it ends.
                    slot.outlived = True
                else:
                    self._deactivate(actor, slot)

    def _deactivate(self, actor: ActorRef, slot: _Slot) -> None:
        """Starts to deactivate an actor that has no turns; new turns wait until it has ended."""
        self._leaving(*actor)
        self._enter(actor)
        slot.active = False
        slot.lock.take()
        self._begin(actor, slot, "deactivation", partial(ActorRuntime.deactivate, *actor))


async def _as_work(work: "partial[Coroutine[Any, Any, T]]", lock: TurnLock) -> T:
    begin_work()
    pass_on(lock)
    # A call sets its own id; a reminder or timer must not inherit one and enter as a call back.
    reentrancy_ctx.set(None)
    try:
        return await work()
    finally:
        # The task is in its own context: a cycle that only the garbage collector would free.
        _work.set(None)
