"""Short stories without chance, and every single fault at every point of each.

A story is a base (`quick`, `parked`, `async`: a caller that does not wait) and words after `+`: `2`
(a second message), `clear`, `nokey`, `evict` (few outcomes are kept), `prune` (few pairs are
shown), `adopt` (another service tells of a turn, twice).
A fault is a pair of where and what: at a step, or what becomes of the n-th save, read, event …
"""

import random
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from tests.protocol.model.callers import after, clear, look, read, route, tell, turn_of
from tests.protocol.model.documents import CHAT, MEMORY, RESPONSE, SESSION, Actor
from tests.protocol.model.faults import Plan, Planned
from tests.protocol.model.schedule import KEEPS, deliver
from tests.protocol.model.steps import Cut, Failed, Steps, Violation
from tests.protocol.model.verify import verify
from tests.protocol.model.world import Sizes, World

T = TypeVar("T")
STORIES = (
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
    "parked+2+adopt",
)
THINKING = {"quick": (1, 40), "parked": (25, 2), "async": (8, 2)}
"""Steps that a model call takes, and that ResponseAgent waits for it."""
ACTORS = (Actor(CHAT, "c"), Actor(RESPONSE, "c"), Actor(MEMORY, "u"), Actor(SESSION, "u"))
OPERATIONS = ("save", "reminder", "publish", "load", "model")
BEYOND = 40
"""Steps after the end of a faultless story at which faults are tried too."""
EVENTS = 6
"""Events of a story that may be lost or repeated."""
STEPS, FIRES = 9_000, 30
"""A story that is not at rest after so many steps, or fires, never will be."""


class Steady(random.Random):
    """No surprises: the first of everything."""

    def random(self) -> float:
        """Nothing that is rare."""
        return 0.999

    def choice(self, seq: Sequence[T]) -> T:  # type: ignore[override]
        """The first."""
        return seq[0]

    def randrange(self, *_args: Any) -> int:
        """The least."""
        return 0


class Story:
    """A story with the faults of a plan.

    Args:
        name: One of `STORIES`.
        plan: The faults.
        mutations: The mechanisms that are switched off.
    """

    def __init__(self, name: str, plan: Plan, mutations: frozenset[str] = frozenset()) -> None:
        self._base, *self._words = name.split("+")
        thinking, parking = THINKING[self._base]
        kept, recent = KEEPS[0] if "evict" in self._words else KEEPS[-1]
        sizes = Sizes(
            kept,
            recent,
            visible=2 if "prune" in self._words else 0,
            lateness=(1,),
            thinking=(thinking,),
            parking=(parking,),
        )
        self.faults = Planned(plan)
        self.world = World(Steady(), sizes, self.faults, mutations)
        self.world.users["c"] = "u"
        self._plan = plan
        self._strikes = {at: what for (kind, at), what in plan.items() if kind == "step"}
        self._events = 0
        self._populate()

    def tell(self) -> World:
        """Runs it until all is at rest.

        Raises:
            Violation: The protocol was broken.
        """
        world, turn, fires = self.world, 0, 0
        while world.tasks or world.letters or world.reminders:
            if world.count in self._strikes:
                self._strike(self._strikes.pop(world.count))
            if world.count > STEPS or fires > FIRES:
                raise Violation("does not come to rest")
            ready = world.ready
            if ready:
                turn += 1
                world.step(ready[turn % len(ready)])
            elif world.letters:
                self._deliver()
            elif world.tasks:
                raise Violation(f"deadlock: {[task.name for task in world.tasks]}")
            else:
                fires += 1
                world.spawn(world.fire(ACTORS[0]), None, "reminder")
        verify(world)
        return world

    def _populate(self) -> None:
        world, keyed = self.world, "nokey" not in self._words
        self._say(0, "K0" if keyed else "", tries=4 if keyed else 1, delay=0)
        if {"2", "adopt"} & set(self._words):
            self._say(1, "K1", tries=4, delay=12)
        if "evict" in self._words:
            for number in range(2, 5):
                self._say(number, f"K{number}", tries=4, delay=20 * number)
        if "clear" in self._words:
            world.spawn(after(world, (30,), clear(world, "c")), None, "clear")
        if "adopt" in self._words:
            world.spawn(after(world, (20,), tell(world, "c", "t", 2)), None, "teller")
        for delay in (10, 40):
            world.spawn(after(world, (delay,), read(world, "c")), None, "reader")

    def _say(self, number: int, key: str, *, tries: int, delay: int) -> None:
        work = self._insist(number, key, tries)
        self.world.spawn(after(self.world, (delay,), work), None, "caller")

    def _insist(self, number: int, key: str, tries: int) -> Steps[None]:
        world, body = self.world, f"m{number}"
        turn = turn_of(world, "c", body, key, str(number))
        for _ in range(tries):
            work = route(world, "c", turn, wait=self._base != "async", patience=60)
            try:
                answer = yield world.spawn(work, 0, "route").result
            except Failed:
                yield None
                continue
            if answer.state == "parked":
                answer = yield from look(world, "c", turn.turn_id, 60)
            if answer.state == "done":
                world.heard("c", answer, body)
            if answer.state in {"done", "parked", "failed", "gone"}:
                return

    def _strike(self, what: str) -> None:
        world = self.world
        how, _, number = what.partition(" ")
        if how == "crash":
            world.crash(0)
        elif how == "sidecar":
            world.kill_sidecar(0)
        elif how == "tick" and world.reminders:
            world.spawn(world.fire(ACTORS[0]), None, "reminder")
        elif how in {"move", "idle"} and (actor := ACTORS[int(number)]) in world.place:
            here = world.place[actor]
            world.deactivate(actor, 1 - here if how == "move" else here)
        elif how == "cut":
            running = [each.task for each in world.handlers(ACTORS[int(number)])]
            for task in [task for task in running if task in world.ready][:1]:
                if task is not None:
                    task.thrown = Cut("cut")

    def _deliver(self) -> None:
        world, letter = self.world, self.world.letters.pop(0)
        fate = self._plan.get(("event", self._events))
        self._events += 1
        if fate == "lose":
            world.count += 1
            return
        if fate == "repeat":
            world.letters.append(letter)
        world.spawn(deliver(world, *letter), None, "broker")


def plans(name: str, mutations: frozenset[str] = frozenset()) -> Iterator[Plan]:
    """Every single fault at every point of a story."""
    story = Story(name, {}, mutations)
    steps = story.tell().count + BEYOND
    every = ["crash", "sidecar", "tick"]
    every += [f"{how} {number}" for how in ("move", "idle", "cut") for number in range(len(ACTORS))]
    for step in range(steps):
        yield from ({("step", step): what} for what in every)
    for kind in OPERATIONS:
        for number in range(story.faults.seen[kind] + 3):
            yield from ({(kind, number): when} for when in ("before", "after"))
    for number in range(EVENTS):
        yield from ({("event", number): fate} for fate in ("lose", "repeat"))


def explore(name: str, mutations: frozenset[str] = frozenset(), every: int = 1) -> int:
    """Tells a story once with every so many-th single fault; how often it was told.

    Raises:
        Violation: The protocol was broken; the message names the fault.
    """
    told = 0
    for number, plan in enumerate(plans(name, mutations)):
        if number % every:
            continue
        try:
            Story(name, plan, mutations).tell()
        except Violation as violation:
            raise Violation(f"{name} with {dict(plan)}: {violation}") from None
        told += 1
    return told
