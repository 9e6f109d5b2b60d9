"""Random schedules: everything from one seed, first with faults, then until all is at rest."""

import random
from contextlib import suppress
from typing import Any

from tests.protocol.model.callers import Caller, after, browse, clear, tell
from tests.protocol.model.consumers import subscribe
from tests.protocol.model.documents import CHAT, Actor, Event, Head, Turn
from tests.protocol.model.faults import Chances, Flawless
from tests.protocol.model.steps import Cut, Failed, Steps, Task, Violation
from tests.protocol.model.verify import verify
from tests.protocol.model.world import Sizes, World

KEEPS = ((2, 2), (4, 4), (64, 8))
"""Outcomes remembered, and how many of them in the head."""
BUDGET = {
    "crash": 2,
    "sidecar": 2,
    "move": 3,
    "idle": 4,
    "cut": 2,
    "save": 4,
    "reminder": 2,
    "publish": 2,
    "load": 1,
    "model": 3,
    "lose": 5,
    "repeat": 3,
    "tick": 4,
}
STEPS = 30_000
"""A schedule that is not at rest after so many steps never will be."""
FIRES = 60
"""A reminder that is registered after so many fires is never unregistered."""
SOON, LATER = (0, 0, 5, 40, 150), (0, 10, 60, 200)


class Schedule:
    """One schedule.

    Args:
        seed: Everything that is left to chance comes from it.
        mutations: The mechanisms that are switched off.
        trace: Takes the lines of a trace.
    """

    def __init__(
        self,
        seed: int,
        mutations: frozenset[str] = frozenset(),
        trace: list[str] | None = None,
    ) -> None:
        chance = self._chance = random.Random(seed)
        calm = chance.random() < 0.15
        budget = {} if calm else {kind: chance.randrange(most + 1) for kind, most in BUDGET.items()}
        self._faults = Chances(chance, budget)
        kept, recent = chance.choice(KEEPS)
        sizes = Sizes(kept, recent, visible=chance.choice((0, 0, 0, 2, 3)))
        self.world = World(chance, sizes, self._faults, mutations)
        self.world.trace = trace
        self._length = chance.choice((50, 200, 500, 1_500))
        self._restarts = chance.random() < 0.4
        self._fires: dict[Actor, Task[Any]] = {}
        self._populate()

    def run(self) -> World:
        """Runs it.

        Raises:
            Violation: The protocol was broken.
        """
        world = self.world
        while world.count < self._length and (world.tasks or world.letters):
            self._disturb()
            ready = world.ready
            if ready:
                world.step(self._chance.choice(ready))
            else:
                world.count += 1
        world.faults = Flawless()
        if self._restarts and not world.poison:
            self._restart()
        come_to_rest(world)
        verify(world)
        return world

    def _populate(self) -> None:
        world, chance = self.world, self._chance
        names = ["c1", "c2"][: chance.choice((1, 1, 2))]
        world.users = {name: chance.choice("uuv") for name in names}
        for number in range(chance.choice((1, 2, 3, 4, 5, 12))):
            key = chance.choice(("", f"K{number}", f"K{number}", "K0"))
            body = f"m{number if key != 'K0' else chance.choice('xy')}"
            if chance.random() < 0.2:
                world.long.add(body)
            caller = Caller(world, chance.choice(names), body, key, number)
            world.spawn(caller.insist(), None, "caller")
        if chance.random() < 0.1:
            world.poison = {id_ for name in names for id_ in (f"{name}-0-0", f"{name}-K0-mx")}
        for _ in range(chance.choice((0, 0, 1, 2))):
            world.spawn(after(world, SOON, clear(world, chance.choice(names))), None, "clear")
        for _ in range(chance.choice((0, 1, 2))):
            world.spawn(browse(world, chance.choice(names)), None, "reader")
        for number in range(chance.choice((0, 0, 0, 1, 3))):
            told = tell(world, chance.choice(names), f"t{number}", chance.choice((1, 2, 3)))
            world.spawn(after(world, LATER, told), None, "teller")

    # -- faults --------------------------------------------------------------------------------

    def _disturb(self) -> None:
        """At most one fault of the environment."""
        odd, world = self._chance.random(), self.world
        if odd < 0.010:
            if self._faults.use("crash"):
                world.crash(self._chance.randrange(2))
        elif odd < 0.030:
            self._deactivate("move" if odd < 0.020 else "idle")
        elif odd < 0.038:
            self._cut()
        elif odd < 0.044:
            self._tick()
        elif odd < 0.054 and self._faults.use("sidecar"):
            world.kill_sidecar(self._chance.randrange(2))
        if world.letters and self._chance.random() < 0.15:
            self._deliver()

    def _deactivate(self, how: str) -> None:
        """Half of the time an actor in whose turn something may happen."""
        world = self.world
        if world.place and self._faults.use(how):
            busy = sorted({each.actor for each in world.handlers()})
            some = busy if busy and self._chance.random() < 0.5 else sorted(world.place)
            actor = self._chance.choice(some)
            here = world.place[actor]
            world.deactivate(actor, 1 - here if how == "move" else here)

    def _cut(self) -> None:
        world = self.world
        ready = world.ready
        handlers = [each.task for each in world.handlers() if each.task in ready]
        if handlers and self._faults.use("cut"):
            self._chance.choice(handlers).thrown = Cut("cut")

    def _tick(self) -> None:
        world = self.world
        waiting = [each for each in sorted(world.reminders) if not self._fires_now(each)]
        if waiting and self._faults.use("tick"):
            actor = self._chance.choice(waiting)
            self._fires[actor] = world.spawn(world.fire(actor), None, "reminder")

    def _fires_now(self, actor: Actor) -> bool:
        return actor in self._fires and not self._fires[actor].over

    def _deliver(self) -> None:
        world, odd = self.world, self._chance.random()
        letter = self._chance.choice(world.letters)
        if odd < 0.2 and self._faults.use("lose"):
            world.letters.remove(letter)
            return
        if not (odd < 0.4 and self._faults.use("repeat")):
            world.letters.remove(letter)
        world.spawn(deliver(world, *letter), None, "broker")

    # -- a restart -----------------------------------------------------------------------------

    def _restart(self) -> None:
        """Both processes start anew, and each conversation is asked once: its queue goes on.

        Nobody waits for the reminder (rule 12).
        """
        world = self.world
        world.crash(0)
        world.crash(1)
        for conversation in world.users:
            come_to_rest(world, fire=False)
            turn = Turn(f"{conversation}-asks", "", "asks", world.users[conversation])
            world.spawn(_ask(world, conversation, turn), None, "caller")
        come_to_rest(world, fire=False)
        for conversation in world.users:
            head: Head = world.store[Actor(CHAT, conversation)].get("head") or Head()
            if head.queue:
                raise Violation(f"{conversation} was asked, but its queue waits for the reminder")


def _ask(world: World, conversation: str, turn: Turn) -> Steps[None]:
    yield from world.call(Actor(CHAT, conversation), "process", turn, True)


def deliver(world: World, event: Event, again: int) -> Steps[None]:
    """Hands an event to the route of either process; a failed one may come again."""
    process = world.chance.randrange(2)
    verdict = "RETRY"
    with suppress(Failed):
        verdict = yield world.spawn(subscribe(world, process, event), process, "subscribe").result
    if verdict == "RETRY" and again and world.chance.random() < 0.5:
        world.letters.append((event, again - 1))


def come_to_rest(world: World, *, fire: bool = True) -> None:
    """No more faults: everything goes on until nothing is left to do.

    Args:
        world: Its faults are over.
        fire: Whether reminders fire at last.

    Raises:
        Violation: It does not come to rest.
    """
    fires, chance = 0, world.chance
    while True:
        ready = world.ready
        if world.count > STEPS:
            raise Violation(f"does not come to rest: {[task.name for task in ready][:9]}")
        if ready:
            world.step(chance.choice(ready))
        elif world.letters:
            letter = world.letters.pop(chance.randrange(len(world.letters)))
            world.spawn(deliver(world, *letter), None, "broker")
        elif world.tasks:
            raise Violation(f"deadlock: {[task.name for task in world.tasks]}")
        elif fire and world.reminders:
            fires += 1
            if fires > FIRES:
                raise Violation(f"reminders are left: {sorted(world.reminders)}")
            world.spawn(world.fire(chance.choice(sorted(world.reminders))), None, "reminder")
        else:
            return


def run(
    seed: int, mutations: frozenset[str] = frozenset(), trace: list[str] | None = None
) -> World:
    """One schedule.

    Raises:
        Violation: The protocol was broken; the message names the seed.
    """
    try:
        return Schedule(seed, mutations, trace).run()
    except Violation as violation:
        raise Violation(f"seed {seed}: {violation}") from None
