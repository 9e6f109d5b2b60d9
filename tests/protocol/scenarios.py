"""Short stories without chance, and every single fault at every point of each.

A story is a base (`quick`, `parked`, `async`: a caller that does not wait) and words after `+`: `2`
(a second message), `clear`, `nokey`, `evict` (few outcomes are kept), `prune` (few turns are kept),
`adopt` (another service tells of a turn, twice), `forget` (of the user, until it is done), `plan`
(the agent speaks up twice).
A fault is a pair of where and what: at a step, or what becomes of the n-th save, load, event …
"""

import asyncio
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from agent_actors.protocol import ids, wire
from agent_actors.protocol.ids import ActorRef
from tests.protocol.people import People
from tests.protocol.schedule import ASIDE, Rest, shrunk
from tests.protocol.verify import verify
from tests.protocol.world import Sizes, Violation, World

T = TypeVar("T")
Where = tuple[str, int]
Fault = tuple[Where, Any]

STORIES = [
    "quick",
    "parked",
    "async",
    "quick+nokey",
    "parked+nokey",
    "async+nokey",
    "quick+2",
    "parked+2",
    "async+2",
    "quick+clear",
    "parked+clear",
    "parked+2+clear",
    "async+2+clear",
    "quick+2+evict",
    "parked+2+evict",
    "quick+2+prune",
    "parked+adopt",
    "quick+forget",
    "parked+2+forget",
    "quick+plan",
    "parked+plan",
    "quick+plan+forget",
]
CHAT = ActorRef(wire.CHAT, "u")
ACTORS: tuple[ActorRef, ...] = (
    CHAT,
    ActorRef(wire.RESPONSE, ids.response_id("u")),
    ActorRef(wire.MEMORY, ids.memory_id("u")),
)
OPERATIONS = ("save", "reminder", "publish", "load", "model")
EVENTS = 4
"""Events of a story that may be lost or repeated."""
LONG = 3_000
"""Single faults from which on a story is long."""
BEYOND = 20
"""Steps after the end of a faultless story at which faults are tried too."""


class Steady(random.Random):
    """No surprises: the first of everything."""

    def random(self) -> float:
        return 0.999

    def choice(self, seq: Sequence[T]) -> T:  # type: ignore[override]
        return seq[0]

    def randrange(self, *args: int) -> int:  # type: ignore[override]
        return 0


class Planned:
    """One operation fails: the n-th of its kind."""

    def __init__(self, fault: Fault | None) -> None:
        self._fault = fault
        self.counts: Counter[str] = Counter()

    def strikes(self, kind: str) -> str | None:
        where = (kind, self.counts[kind])
        self.counts[kind] += 1
        if self._fault is not None and self._fault[0] == where:
            return str(self._fault[1])
        return None


@dataclass(frozen=True, slots=True)
class Told:
    """A story that was told to its end."""

    world: World
    counts: Counter[str]


class Story:
    """One telling of a story, with one fault or none."""

    def __init__(self, name: str, fault: Fault | None = None) -> None:
        base, *words = name.split("+")
        self._base, self._words = base, words
        self._fault = fault
        self._planned = Planned(fault)
        few = "evict" in words
        pruned = 1 if "prune" in words else 0
        kept, recent = (2, 2) if few else (64, 8)
        self._sizes = Sizes(kept, recent, pruned, quiet=ASIDE)
        self.world = World(Steady(), self._sizes, self._planned)
        self.world.model_gates = (4 if base == "async" else 1,)
        self.world.model_pauses = (2.0 if base == "parked" else 0.0,)
        self._people = People(self.world)
        self._events = 0

    def tell(self) -> Told:
        """Tells it.

        Raises:
            Violation: The protocol was broken.
        """
        with shrunk(self._sizes), asyncio.Runner() as runner:
            runner.run(self._tell())
        return Told(self.world, self._planned.counts)

    async def _tell(self) -> None:
        await self.world.begin()
        self._populate()
        await self.world.settle()
        rest = Rest(self.world)
        going = True
        while going:
            await self._strike()
            self._meddle()
            going = await rest.step()
        verify(self.world)

    def _populate(self) -> None:
        world = self.world
        keyed = "nokey" not in self._words
        world.spawn(self._insist("m0", "K0" if keyed else "", 4 if keyed else 1, 0))
        if "2" in self._words:
            world.spawn(self._insist("m1", "K1", 4, 8))
        if "evict" in self._words or "prune" in self._words:
            for index in range(2, 5):
                world.spawn(self._insist(f"m{index}", f"K{index}", 4, 16 * index))
        self._populate_more()

    def _populate_more(self) -> None:
        world, people = self.world, self._people
        if "clear" in self._words:
            world.spawn(self._later(20, people.clear("u")))
        if "adopt" in self._words:
            world.spawn(self._later(10, people.tell("u", "u", "t0", 2)))
        if "forget" in self._words:
            world.spawn(self._later(20, people.vanish("u")))
        if "plan" in self._words:
            world.spawn(people.plan("u", 0))
        for steps in (8, 30):
            world.spawn(self._later(steps, people.read("u")))

    async def _insist(self, said: str, key: str, tries: int, after: int) -> None:
        await self._people.dawdle(after)
        process = self.world.processes[0]
        turn = self._people.turn(process, "u", "u", said, key)
        wait = 0.0 if self._base == "async" else 20.0
        for _ in range(tries):
            ended = await self._people.send(self.world.processes[0], "u", turn, wait)
            if ended in {"queued", "running"}:
                await self.world.clock.sleep(1.0)
                ended = await self._people.look("u", turn.turn_id)
            if ended in {"done", "failed", "410", "404"}:
                return

    async def _later(self, steps: int, deed: Any) -> None:
        await self._people.dawdle(steps)
        await deed

    async def _strike(self) -> None:
        if self._fault is None or self._fault[0] != ("step", self.world.count):
            return
        what = self._fault[1]
        self._fault = None
        await strike(self.world, what)

    def _meddle(self) -> None:
        """Loses or repeats the event that is delivered next."""
        broker = self.world.broker
        if self._fault is None or self._fault[0][0] != "event" or not broker.letters:
            return
        if broker.delivered == self._fault[0][1]:
            what, self._fault = self._fault[1], None
            if what == "lost":
                broker.lose(0)
            else:
                broker.deliver(0, keep=True)


async def strike(world: World, what: tuple[Any, ...]) -> None:
    """A fault of the environment."""
    match what:
        case ("crash",):
            await world.crash(world.processes[0])
        case ("tick",):
            if CHAT in world.reminders:
                world.spawn(world.sidecar.fire(CHAT))
        case ("late",):
            await world.advance(world.sizes.call_time)
        case ("cut", index):
            running = [each for each in world.sidecar.handlers if each.actor == ACTORS[index]]
            if running and running[0].handler:
                await world.cut(running[0].handler)
        case (how, index, again):
            await world.deactivate(ACTORS[index], 1 if how == "move" else 0, again=again)
    await world.settle()


def faults(told: Told) -> Iterator[Fault]:
    """Every single fault near a story that went well."""
    strikes: list[tuple[Any, ...]] = [("crash",), ("tick",), ("late",)]
    strikes += [("cut", index) for index in range(len(ACTORS))]
    strikes += [
        (how, index, again)
        for how in ("move", "idle")
        for index in range(len(ACTORS))
        for again in (False, True)
    ]
    for step in range(told.world.count + BEYOND):
        for what in strikes:
            yield ("step", step), what
    for kind in OPERATIONS:
        for number in range(told.counts[kind] + 2):
            yield (kind, number), "before"
            yield (kind, number), "after"
    for number in range(EVENTS):
        yield ("event", number), "lost"
        yield ("event", number), "repeated"


def explore(name: str, stride: int = 1, offset: int = 0) -> int:
    """Tells a story with every `stride`-th single fault; how many tellings that were.

    A long story has more faults, and each telling takes longer: its strides are longer too.

    Raises:
        Violation: One of them broke the protocol; the message names it.
    """
    told = 0
    found = list(faults(Story(name).tell()))
    if stride > 1:
        stride *= 1 + len(found) // LONG
    for fault in found[offset::stride]:
        told += 1
        try:
            Story(name, fault).tell()
        except Violation as violation:
            raise Violation(f"story {name}, fault {fault}: {violation}") from None
    return told
