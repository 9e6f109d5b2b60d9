"""A world of two processes, moved step by step: the real actors on a simulated runtime.

Whatever an actor asks of its runtime waits at a gate, and so does the answer on its way back. Who
drives the world opens one gate at a time; while every gate is shut anything else may happen: a
crash, a move, a cut, an hour. Nothing here sleeps, and nothing depends on real time.
"""

import asyncio
import random
import types
from collections import Counter, defaultdict
from collections.abc import Coroutine, Generator
from contextvars import Context
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from agent_actors.forms.duration import seconds
from agent_actors.protocol import ids
from agent_actors.protocol.ids import ActorRef
from tests.hand_clock import HandClock
from tests.protocol.broker import Broker
from tests.protocol.ledger import Ledger
from tests.protocol.sidecar import Sidecar

if TYPE_CHECKING:
    from tests.protocol.process import Process


class Violation(AssertionError):
    """The protocol was broken."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """The bounds of a world: small, so that a short schedule reaches all of them."""

    outcomes_kept: int = 64
    recent: int = 8
    history_turns: int = 0
    queue_length: int = 3
    parking_time: float = 1.0
    call_time: float = 5.0
    model_time: float = 30.0
    quiet: frozenset[str] = frozenset()
    """Types of actors whose steps nothing comes between, and of which no operation fails."""
    sums_up: bool = False
    """Whether summaries are made."""


class Faults(Protocol):
    """What goes wrong with operations."""

    def strikes(self, kind: str) -> str | None:
        """None, `before` (nothing happened), or `after` (it did, but its caller gets an error)."""
        ...


class Flawless:
    """Nothing goes wrong."""

    def strikes(self, kind: str) -> str | None:
        return None


@dataclass(eq=False, slots=True)
class Gate:
    """A step that waits to be let through."""

    what: str
    task: "asyncio.Task[Any]"
    opened: "asyncio.Future[None]"


class SteppedClock(HandClock):
    """A hand clock that wakes one waiter after the other, without the pauses of real time."""

    @property
    def next_due(self) -> float:
        """Seconds until somebody is to be woken."""
        return self._next_due() - self._passed

    def step(self, seconds: float) -> None:
        """Moves time and wakes who is due."""
        self._passed += seconds
        self._wake_due()


class World:
    """Everything there is.

    Args:
        chance: All choices come from here.
        sizes: The bounds.
        faults: What goes wrong with operations; replaced when the world comes to rest.
    """

    def __init__(
        self,
        chance: random.Random,
        sizes: Sizes | None = None,
        faults: Faults | None = None,
    ) -> None:
        self.chance = chance
        self.sizes = sizes or Sizes()
        self.faults: Faults = faults or Flawless()
        self.clock = SteppedClock()
        self.count = 0
        self.gates: list[Gate] = []
        self.store: dict[ActorRef, dict[str, bytes]] = defaultdict(dict)
        self.reminders: dict[ActorRef, dict[str, Any]] = {}
        self.alarms: dict[tuple[ActorRef, str], float] = {}
        """The reminders of schedules, and when they are due."""
        self.broker = Broker(self)
        self.ledger = Ledger(self)
        self.sidecar = Sidecar(self)
        self.processes: list[Process] = []
        self.doomed: list[Process] = []
        self.violations: list[str] = []
        self.seen: Counter[str] = Counter()
        self.trace: list[str] | None = None
        self.model_gates: tuple[int, ...] = (1,)
        self.model_pauses: tuple[float, ...] = (0.0,)
        self.poison: set[str] = set()
        self._owners: dict[asyncio.Task[Any], Process | None] = {}
        self._ids = 0

    async def begin(self) -> None:
        """Starts both processes; to be called first, inside the loop."""
        from tests.protocol.process import Process

        loop = asyncio.get_running_loop()
        self._driver = asyncio.current_task()
        loop.set_task_factory(self._make_task)
        loop.set_exception_handler(lambda _loop, _context: None)
        self.processes = [Process(self, 0), Process(self, 1)]

    # -- tasks and steps ----------------------------------------------------------------------

    def spawn(
        self, work: Coroutine[Any, Any, Any], process: "Process | None" = None
    ) -> "asyncio.Task[Any]":
        """Runs work in a process, or outside any (a caller)."""
        task = asyncio.get_running_loop().create_task(work, context=Context())
        self._owners[task] = process
        return task

    def owner(self) -> "Process | None":
        """The process in which the current task runs."""
        task = asyncio.current_task()
        return self._owners.get(task) if task else None

    @property
    def busy(self) -> list["asyncio.Task[Any]"]:
        """The tasks that have not ended."""
        self._owners = {task: who for task, who in self._owners.items() if not task.done()}
        return list(self._owners)

    async def gate(self, what: str) -> None:
        """Waits to be let through: anything may happen before."""
        task = asyncio.current_task()
        assert task is not None
        gate = Gate(what, task, asyncio.get_running_loop().create_future())
        self.gates.append(gate)
        try:
            await gate.opened
        finally:
            if gate in self.gates:
                self.gates.remove(gate)

    async def release(self, index: int) -> None:
        """Opens a gate and lets the world run until everything waits again."""
        gate = self.gates.pop(index)
        self.count += 1
        if self.trace is not None:
            self.note("step", gate.what)
        if not gate.opened.done():
            gate.opened.set_result(None)
        await self.settle()

    async def advance(self, seconds: float) -> None:
        """Moves time; whoever is due is woken in order."""
        while (due := self.clock.next_due) <= seconds:
            self.clock.step(max(due, 0.0))
            seconds -= max(due, 0.0)
            await self.settle()
        self.clock.step(seconds)
        await self.settle()

    async def settle(self) -> None:
        """Returns when every task waits for a gate, a lock or the clock.

        Raises:
            Violation: Something was seen that must not be.
        """
        ready = asyncio.get_running_loop()._ready  # type: ignore[attr-defined]
        while True:
            await _pass_once()
            if not ready:
                if not self.doomed:
                    break
                await self.crash(self.doomed.pop())
        if self.violations:
            raise Violation(self.violations[0])

    # -- what may go wrong with processes ------------------------------------------------------

    async def crash(self, process: "Process") -> None:
        """Ends a process: nothing of it goes on. A new one takes its place at once."""
        from tests.protocol.process import Process

        if not process.alive:
            return
        self.note("CRASH", process.index)
        self.seen["crash"] += 1
        self.ledger.lost(lambda call: call.process is process)
        process.alive = False
        for task in [task for task, who in self._owners.items() if who is process]:
            task.cancel()
        self.processes[process.index] = Process(self, process.index)
        self.sidecar.crashed(process)
        await self.settle()
        left = [task for task in self.busy if self._owners[task] is process]
        if left:
            raise Violation(f"tasks outlive their cancellation: {left}")

    async def deactivate(self, actor: ActorRef, to: int, *, again: bool | None = None) -> None:
        """Moves an actor to a process; the same one deactivates it, and activates it again.

        Its running turn runs again there, or not: by default that is left to chance.
        """
        self.note("PUT AWAY", actor, "to", to)
        await self.sidecar.deactivate(
            actor, to, self.chance.random() < 0.5 if again is None else again
        )
        await self.settle()

    async def cut(self, task: "asyncio.Task[Any]") -> None:
        """Cancels the handler of a turn, wherever it is."""
        self.note("CUT", task.get_name())
        self.seen["cut"] += 1
        task.cancel()
        await self.settle()

    # -- notes ----------------------------------------------------------------------------------

    def violate(self, text: str) -> None:
        """Says that the protocol was broken; the driver stops at its next step."""
        self.note("VIOLATION", text)
        self.violations.append(text)

    def note(self, *parts: object) -> None:
        """A line of the trace."""
        if self.trace is not None:
            self.trace.append(f"{self.count:5} {self.clock.monotonic():7.2f}  {parts}")

    def new_id(self) -> str:
        """The next id of a turn without a key."""
        self._ids += 1
        return f"turn-{self._ids}"

    def remind(self, actor: ActorRef, name: str, body: dict[str, Any]) -> None:
        """Keeps a reminder; that of a schedule is one of several."""
        if ids.schedule_of(name) is None:
            self.reminders[actor] = body
        else:
            self.alarms[actor, name] = self.clock.monotonic() + seconds(body["dueTime"])

    def unremind(self, actor: ActorRef, name: str) -> None:
        """Forgets a reminder, if it is there."""
        if ids.schedule_of(name) is None:
            self.reminders.pop(actor, None)
        else:
            self.alarms.pop((actor, name), None)

    def strikes(self, kind: str) -> str | None:
        """Whether this operation fails."""
        fault = self.faults.strikes(kind)
        if fault:
            self.seen[f"{kind} fails {fault}"] += 1
            self.note("FAULT", kind, fault)
        return fault

    def _make_task(
        self,
        loop: asyncio.AbstractEventLoop,
        work: Generator[Any, None, Any] | Coroutine[Any, Any, Any],
        context: Context | None = None,
    ) -> "asyncio.Task[Any]":
        task: asyncio.Task[Any] = asyncio.Task(work, loop=loop, context=context)
        parent = asyncio.current_task(loop)
        if parent in self._owners:
            self._owners[task] = self._owners[parent]
        return task


@types.coroutine
def _pass_once() -> Generator[None, None, None]:
    """One round of the loop."""
    yield
