"""Random schedules: everything from one seed, first with faults, then until all is at rest."""

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from agent_actors.conversation import draft, queue, recovery
from agent_actors.protocol import wire
from agent_actors.state import history
from agent_actors.state.documents import conversation as documents
from agent_actors.users import eraser, feed, session
from tests.protocol.people import People
from tests.protocol.verify import verify
from tests.protocol.world import Flawless, Sizes, Violation, World

KEEPS = ((2, 2), (4, 4), (64, 8))
"""Outcomes remembered, and how many of them in the head."""
BUDGET = {
    "crash": 2,
    "move": 2,
    "idle": 3,
    "cut": 2,
    "save": 3,
    "reminder": 2,
    "publish": 2,
    "load": 1,
    "model": 3,
    "lose": 3,
    "repeat": 3,
    "tick": 4,
}
ODDS = {"save": 0.06, "reminder": 0.05, "publish": 0.05, "load": 0.02, "model": 0.15}
NAMES = (("u",), ("session:s",), ("u", "session:s"), ("session:s", "session:t"))
"""The conversations there may be."""
ASIDE = frozenset((wire.SESSION, wire.ANALYTICS))
"""The actors that are not part of a turn."""
STEPS = 30_000
"""A schedule that is not at rest after so many steps never will be."""


@contextmanager
def shrunk(sizes: Sizes) -> Iterator[None]:
    """The bounds of documents and calls, small enough to be met in a short schedule."""
    small = {
        (documents, "SEGMENT"): 2,
        (documents, "SEGMENT_BYTES"): 40,
        (documents, "RECENT"): sizes.recent,
        (documents, "RECORDS"): sizes.recent // 2,
        (queue, "DRIVE"): 2,
        (recovery, "PUBLISH"): 4,
        (queue, "UNSEEN"): 1,
        (feed, "PER_USER"): 3,
        (feed, "PAIRS"): 3,
        (feed, "CATCH_UP"): 2,
        (session, "PAGE"): 1,
        (eraser, "ROUNDS"): 20,
        (draft, "ERASE"): 2,
        (history, "RECORDS"): sizes.recent // 2,
    }
    names = ("SEGMENT", "SEGMENT_BYTES", "RECENT", "RECORDS")
    small.update({(draft, name): small[documents, name] for name in names})
    before = {place: getattr(*place) for place in small}
    for (module, name), value in small.items():
        setattr(module, name, value)
    try:
        yield
    finally:
        for (module, name), value in before.items():
            setattr(module, name, value)


class Chances:
    """Faults of operations at random, each kind at most so many times."""

    def __init__(self, chance: random.Random, budget: dict[str, int]) -> None:
        self._chance = chance
        self.budget = Counter(budget)

    def strikes(self, kind: str) -> str | None:
        if self._chance.random() >= ODDS[kind] or not self.use(kind):
            return None
        return self._chance.choice(("before", "after"))

    def use(self, kind: str) -> bool:
        """Whether there is one more fault of a kind; it is used up."""
        self.budget[kind] -= 1
        return self.budget[kind] >= 0


class Schedule:
    """One schedule."""

    def __init__(self, seed: int, trace: list[str] | None = None) -> None:
        chance = random.Random(seed)
        kept, recent = chance.choice(KEEPS)
        self.sizes = Sizes(
            kept,
            recent,
            history_turns=chance.choice((0, 0, 0, 2, 3)),
            quiet=chance.choice((ASIDE, ASIDE, frozenset())),
            sums_up=chance.random() < 0.3,
        )
        calm = chance.random() < 0.15
        budget = {} if calm else {kind: chance.randrange(most + 1) for kind, most in BUDGET.items()}
        self._faults = Chances(chance, budget)
        self.world = World(chance, self.sizes, self._faults)
        self.world.trace = trace
        self._people = People(self.world)
        self._chance = chance
        self._more = random.Random(f"schedules of {seed}")
        self._length = chance.choice((50, 200, 500, 1_500))
        self._ticks: set[tuple[str, str]] = set()

    def run(self) -> World:
        """Runs it, on a loop of its own.

        Raises:
            Violation: The protocol was broken.
        """
        with shrunk(self.sizes), asyncio.Runner() as runner:
            runner.run(self._run())
        return self.world

    async def _run(self) -> None:
        await self.world.begin()
        self._populate()
        await self.world.settle()
        while self.world.count < self._length and (self.world.gates or self.world.busy):
            await self._disturb()
            await self._go_on()
        await come_to_rest(self.world)
        verify(self.world)

    def _populate(self) -> None:
        world, chance, people = self.world, self._chance, self._people
        world.model_gates = chance.choice(((0, 1, 2), (1, 5, 20), (1, 40)))
        world.model_pauses = chance.choice(((0.0,), (0.0, 2.0), (0.0, 0.5, 12.0, 40.0)))
        names = list(chance.choice(NAMES))
        users = {name: chance.choice("uuv") if name != "u" else "u" for name in names}
        for index in range(chance.choice((1, 2, 3, 4, 5, 12))):
            name = chance.choice(names)
            key = chance.choice(("", f"K{index}", f"K{index}", "K0"))
            said = f"m{index if key != 'K0' else chance.choice('xy')}"
            said += "." * 30 * (chance.random() < 0.2)
            world.spawn(people.insist(name, users[name], said, key))
        if chance.random() < 0.1:
            world.poison |= {"m0", "mx"}
        if chance.random() < 0.1:
            world.spawn(people.hold_forth(names[0], users[names[0]]))
        for _ in range(chance.choice((0, 0, 1, 2))):
            world.spawn(people.wipe(chance.choice(names)))
        for _ in range(chance.choice((0, 1, 2))):
            world.spawn(people.browse(chance.choice(names)))
        for index in range(chance.choice((0, 0, 0, 1, 3))):
            name = chance.choice(names)
            world.spawn(people.tell_of(name, users[name], f"t{index}"))
        for _ in range(chance.choice((0, 0, 0, 1, 2))):
            world.spawn(people.vanish(users[chance.choice(names)]))
        self._plan(names)

    def _plan(self, names: list[str]) -> None:
        """Some have the agent speak up; by chances of its own, so that the others stay."""
        if "u" in names and self._more.random() < 0.4:
            for index in range(self._more.choice((1, 2))):
                self.world.spawn(self._people.plan("u", index))

    async def _go_on(self) -> None:
        world = self.world
        if not world.gates:
            await world.advance(min(world.clock.next_due, 10.0))
            world.count += 1
            return
        odd = self._chance.random()
        if odd < 0.03:
            await world.advance(self._chance.choice((0.1, 1.0, 1.0, 1.5)))
        elif odd < 0.032:
            await world.advance(self.sizes.call_time)
        else:
            await world.release(self._chance.randrange(len(world.gates)))

    async def _disturb(self) -> None:
        """At most one fault of the environment."""
        world, odd = self.world, self._chance.random()
        if odd < 0.012:
            if self._faults.use("crash"):
                await world.crash(self._chance.choice(world.processes))
        elif odd < 0.026:
            await self._deactivate("move" if odd < 0.019 else "idle")
        elif odd < 0.034:
            await self._cut()
        elif odd < 0.04:
            self._tick()
        if world.broker.letters and self._chance.random() < 0.15:
            self._deliver()
        if world.alarms and self._more.random() < 0.05:
            # Late, early, twice: what a fire does is said by what is saved.
            world.spawn(world.sidecar.sound(*self._more.choice(sorted(world.alarms))))

    async def _deactivate(self, how: str) -> None:
        places = self.world.sidecar.place
        if places and self._faults.use(how):
            actor = self._chance.choice(sorted(places))
            here = places[actor]
            await self.world.deactivate(actor, 1 - here if how == "move" else here)

    async def _cut(self) -> None:
        handlers = [each.handler for each in self.world.sidecar.handlers if each.handler]
        if handlers and self._faults.use("cut"):
            await self.world.cut(self._chance.choice(handlers))

    def _tick(self) -> None:
        actors = sorted(set(self.world.reminders) - self._ticks)
        if actors and self._faults.use("tick"):
            actor = self._chance.choice(actors)
            self._ticks.add(actor)
            fire = self.world.spawn(self.world.sidecar.fire(actor))
            fire.add_done_callback(lambda _: self._ticks.discard(actor))

    def _deliver(self) -> None:
        broker, odd = self.world.broker, self._chance.random()
        index = self._chance.randrange(len(broker.letters))
        if odd < 0.1 and self._faults.use("lose"):
            broker.lose(index)
        else:
            broker.deliver(index, keep=odd < 0.3 and self._faults.use("repeat"))


async def come_to_rest(world: World) -> None:
    """No more faults: everything goes on until nothing is left to do.

    Raises:
        Violation: It does not come to rest.
    """
    world.faults = Flawless()
    rest = Rest(world)
    while await rest.step():
        pass


class Rest:
    """The way of a world to rest, step by step: gates, events, time, and reminders at last."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._rounds = 0
        self._alarms = 0

    async def step(self) -> bool:
        """Does what is next; False when nothing is left.

        Raises:
            Violation: It goes on and on, or is stuck.
        """
        world, chance = self._world, self._world.chance
        if world.count > STEPS:
            raise Violation(f"does not come to rest: {[gate.what for gate in world.gates][:9]}")
        if world.gates:
            await world.release(chance.randrange(len(world.gates)))
        elif world.broker.letters:
            world.broker.deliver(chance.randrange(len(world.broker.letters)))
            await world.settle()
        elif _waiting(world):
            await world.advance(world.clock.next_due)
            world.count += 1
        elif world.reminders:
            await self._fire()
        elif world.alarms:
            await self._sound()
        else:
            return False
        return True

    async def _fire(self) -> None:
        world = self._world
        self._rounds += 1
        if self._rounds > 60:
            raise Violation(f"reminders are left: {list(world.reminders)}")
        world.spawn(world.sidecar.fire(min(world.reminders)))
        await world.settle()

    async def _sound(self) -> None:
        """The reminder of a schedule that is due next; time has passed until then."""
        world = self._world
        self._alarms += 1
        if self._alarms > 60:
            raise Violation(f"reminders of schedules are left: {list(world.alarms)}")
        due, alarm = min((due, alarm) for alarm, due in world.alarms.items())
        await world.advance(max(due - world.clock.monotonic(), 0.0))
        self._rounds = 0
        world.spawn(world.sidecar.sound(*alarm))
        await world.settle()


def _waiting(world: World) -> bool:
    """Whether tasks wait for the clock."""
    busy = world.busy
    if not busy:
        return False
    if world.clock.next_due == float("inf"):
        raise Violation(f"deadlock: {busy}")
    return True


def run(seed: int, trace: list[str] | None = None) -> World:
    """One schedule.

    Raises:
        Violation: The protocol was broken; the message names the seed.
    """
    try:
        return Schedule(seed, trace).run()
    except Violation as violation:
        raise Violation(f"seed {seed}: {violation}") from None
