"""Two processes, their sidecars, the store, the scheduler and the broker, and what befalls them."""

import random
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from tests.protocol.model.activation import Activation
from tests.protocol.model.documents import RESPONSE, Actor, Answer, Event
from tests.protocol.model.faults import Faults, Flawless
from tests.protocol.model.notes import Notes, Told
from tests.protocol.model.process import Handler, Process
from tests.protocol.model.steps import Cut, Failed, Future, Steps, Task
from tests.protocol.model.turns import METHODS

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Sizes:
    """The bounds of a world, small enough to be met in a short schedule.

    `kept` outcomes are remembered, `recent` of them in the head; `visible` pairs are shown, 0 shows
    all. The others are numbers of steps: how long a request is on its way, a model call takes, and
    ResponseAgent waits for one; each is chosen from its tuple.
    """

    kept: int = 64
    recent: int = 8
    visible: int = 0
    lateness: tuple[int, ...] = (0, 0, 0, 1, 4, 15)
    thinking: tuple[int, ...] = (0, 1, 2, 5, 20, 60, 200)
    parking: tuple[int, ...] = (0, 1, 3, 8, 30)


class World:
    """Everything there is.

    Args:
        chance: All choices come from here.
        sizes: The bounds.
        faults: What goes wrong with operations.
        mutations: The mechanisms that are switched off.
    """

    def __init__(
        self,
        chance: random.Random,
        sizes: Sizes | None = None,
        faults: Faults | None = None,
        mutations: frozenset[str] = frozenset(),
    ) -> None:
        self.chance = chance
        self.sizes = sizes or Sizes()
        self.faults: Faults = faults or Flawless()
        self._mutations = mutations
        self.count = 0
        self.tasks: list[Task[Any]] = []
        self.store: defaultdict[Actor, dict[str, Any]] = defaultdict(dict)
        self.reminders: set[Actor] = set()
        self.letters: list[tuple[Event, int]] = []
        """Events on their way, and how often each may still be delivered again."""
        self.processes = [Process(0), Process(1)]
        self.place: dict[Actor, int] = {}
        self._handlers: list[Handler] = []
        self.notes = Notes(self.sizes.kept)
        self.users: dict[str, str] = {}
        """Conversations and their users, as callers know them; no actor reads it."""
        self.poison: set[str] = set()
        self.long: set[str] = set()
        self.seen: Counter[str] = Counter()
        self.trace: list[str] | None = None

    def mutated(self, name: str) -> bool:
        """Whether this mechanism is switched off."""
        return name in self._mutations

    def note(self, *parts: object) -> None:
        """A line of the trace."""
        if self.trace is not None:
            self.trace.append(f"{self.count:5}  " + " ".join(map(str, parts)))

    def heard(self, conversation: str, answer: Answer, body: str) -> None:
        """A caller got the answer to its message."""
        self.seen["answered"] += 1
        self.notes.told.append(Told(conversation, answer.turn_id, answer.text, body))

    # -- coroutines ----------------------------------------------------------------------------

    def spawn(self, work: Steps[T], process: int | None, name: str) -> Task[T]:
        """Starts a coroutine."""
        task = Task(work, process, name)
        self.tasks.append(task)
        return task

    def step(self, task: Task[Any]) -> None:
        """Moves one coroutine by one step."""
        self.count += 1
        task.step()
        if task.over and task in self.tasks:
            self.tasks.remove(task)

    @property
    def ready(self) -> list[Task[Any]]:
        """The coroutines that can go on."""
        return [
            task
            for task in self.tasks
            if task.waits_for is None or task.waits_for.done or task.thrown is not None
        ]

    # -- calls of actors -----------------------------------------------------------------------

    def host(self, actor: Actor) -> Process:
        """The process where an actor lives; one is chosen for a new actor."""
        if actor not in self.place:
            self.place[actor] = self.chance.randrange(2)
        return self.processes[self.place[actor]]

    def call(self, actor: Actor, method: str, *args: Any) -> Steps[Any]:
        """Calls an actor, wherever it lives."""
        yield None
        self.seen["call"] += 1
        answer = yield self.send(actor, method, *args)
        yield None
        return answer

    def send(self, actor: Actor, method: str, *args: Any) -> Future[Any]:
        """Puts a call on its way."""
        return self._dispatch(Handler(actor, method, args, Future())).reply

    def _dispatch(self, handler: Handler) -> Handler:
        process = self.host(handler.actor)
        name = f"{handler.actor.kind}.{handler.method} {handler.actor.name}"
        handler.task = self.spawn(self._handle(handler, process), process.index, name)
        handler.task.result = handler.reply
        self._handlers = [*self.handlers(), handler]
        self.note("SEND", process.index, name, *handler.args)
        return handler

    def _handle(self, handler: Handler, process: Process) -> Steps[Any]:
        """The app's side of a call: it may arrive late, even after the actor was deactivated."""
        for _ in range(self.chance.choice(self.sizes.lateness)):
            yield None
        actor = handler.actor
        handler.activation = process.activations.get(actor) or Activation(self, process, actor)
        process.activations[actor] = handler.activation  # One recorded object acts (rule 3).
        lock = process.locks[actor]
        try:
            yield from lock.enter(handler)
            return (yield from self._turn(handler, process, handler.activation))
        except (Failed, Cut) as error:
            self.note("  error", process.index, *actor, error)
            raise
        finally:
            lock.leave(handler)

    def _turn(self, handler: Handler, process: Process, activation: Activation) -> Steps[Any]:
        actor, stray = handler.actor, self.host(handler.actor) is not process
        if stray:
            process.strays.append(activation)
        try:
            yield None
            answer = yield from METHODS[actor.kind, handler.method](activation, *handler.args)
        finally:
            activation.end_turn()
            if stray:
                process.strays.remove(activation)
        self.note("  end", process.index, *actor, answer)
        return answer

    def handlers(self, actor: Actor | None = None) -> list[Handler]:
        """The handlers, of an actor or of all, that have not ended."""
        mine = [each for each in self._handlers if actor is None or each.actor == actor]
        return [each for each in mine if each.task and not each.task.over]

    # -- what may go wrong ---------------------------------------------------------------------

    def crash(self, index: int) -> None:
        """Ends a process with its sidecar; a new one takes its place at once."""
        process = self.processes[index]
        self.note("CRASH", index)
        self.seen["crash"] += 1
        self.notes.lost(lambda call: call.process is process)
        process.alive = False
        self.processes[index] = Process(index)
        for task in [task for task in self.tasks if task.process == index]:
            task.kill()
            self.tasks.remove(task)
        self._take_over(index)

    def kill_sidecar(self, index: int) -> None:
        """Ends a sidecar alone: no actor is told to go, and calls under way get an error.

        The next sidecar asks the app for its configuration before it hosts an actor; the app puts
        every activation away then (rule 6).
        """
        process = self.processes[index]
        self.note("SIDECAR KILLED", index)
        self.seen["sidecar killed"] += 1
        for handler in self.handlers():
            if handler.task and handler.task.process == index:
                handler.reply.fail(Failed("the sidecar is away"))
        if not self.mutated("sidecar_unnoticed"):
            for actor in list(process.activations):
                process.withdraw(actor)
        for actor in self._take_over(index):
            self._note_moved(actor)

    def _take_over(self, index: int) -> list[Actor]:
        """Some of the actors of a lost sidecar come back at the other one."""
        if self.chance.random() >= 0.5:
            return []
        there = [actor for actor, place in self.place.items() if place == index]
        moved = [
            actor
            for actor in there
            if self._may_come(actor, 1 - index) and self.chance.random() < 0.7
        ]
        self.place.update(dict.fromkeys(moved, 1 - index))
        return moved

    def deactivate(self, actor: Actor, to: int) -> None:
        """Deactivates an actor and gives it a place, maybe the same; half of its calls run again.

        The handlers that run for it go on. It does not come back while a late turn runs there:
        both would be live then, which the protocol leaves open.
        """
        old = self.place[actor]
        if not self._may_come(actor, to):
            return
        self.note("PUT AWAY", *actor, old, "->", to)
        self.seen["move" if to != old else "idle"] += 1
        if not self.mutated("unclean"):
            self.processes[old].withdraw(actor)
        if self.mutated("tasks_in_activation"):
            self.processes[old].forget_calls(actor)
        self.place[actor] = to
        if to != old:
            self._note_moved(actor)
        for handler in self.handlers(actor):
            if handler.awaited and self.chance.random() < 0.5:
                self._run_again(handler)

    def _may_come(self, actor: Actor, to: int) -> bool:
        strays = self.processes[to].strays
        return not any(each.actor == actor and each.live for each in strays)

    def _run_again(self, handler: Handler) -> None:
        """The sidecar has cut a call, and makes it again; its caller gets the second answer."""
        self.seen["run again"] += 1
        handler.awaited = False
        if handler.task is not None:
            handler.task.result = Future()
        self._dispatch(Handler(handler.actor, handler.method, handler.args, handler.reply))

    def _note_moved(self, actor: Actor) -> None:
        """Moving ResponseAgent may cost a model call for each turn it was asked about."""
        if actor.kind == RESPONSE:
            asked = [
                (actor.name, handler.args[0])
                for handler in self.handlers(actor)
                if handler.method == "process" and handler.may_act
            ]
            self.notes.lost(lambda call: call.conversation == actor.name, asked)

    def strikes(self, kind: str) -> str | None:
        """Whether this operation fails."""
        fault = self.faults.strikes(kind)
        if fault is not None:
            self.seen[f"{kind} fails"] += 1
            self.note("FAULT", kind, fault)
        return fault

    # -- what the sidecar does for an actor ----------------------------------------------------

    def read(self, actor: Actor, key: str) -> Steps[Any]:
        """Reads a document; None where there is none (rule 5)."""
        yield None
        if self.strikes("load"):
            raise Failed("load")
        value = self.store[actor].get(key)
        yield None
        return value

    def save(self, activation: Activation, changes: Mapping[str, Any]) -> Steps[None]:
        """Saves documents in one transaction, or deletes those that are None."""
        yield None
        self._require_place(activation)
        fault = self.strikes("save")
        if fault != "before":
            self._apply(activation.actor, changes)
        yield None
        if fault:
            raise Failed("save")

    def _apply(self, actor: Actor, changes: Mapping[str, Any]) -> None:
        documents = self.store[actor]
        for key, value in changes.items():
            if value is None:
                documents.pop(key, None)
            else:
                documents[key] = value
        self.seen[f"save of {actor.kind}"] += 1
        self.note("  saved", *actor, changes)
        self.notes.saved(actor, changes, self.count)

    def remind(self, activation: Activation, *, on: bool) -> Steps[None]:
        """Registers or unregisters the recovery reminder of a conversation."""
        yield None
        self._require_place(activation)
        fault = self.strikes("reminder")
        if fault != "before":
            (self.reminders.add if on else self.reminders.discard)(activation.actor)
        self.seen["registered" if on else "unregistered"] += 1
        yield None
        if fault:
            raise Failed("reminder")

    def publish(self, event: Event) -> Steps[None]:
        """Hands an event to the broker."""
        yield None
        self.seen["published"] += 1
        fault = self.strikes("publish")
        if fault != "before":
            self.letters.append((event, 2))
        yield None
        if fault:
            raise Failed("publish")

    def _require_place(self, activation: Activation) -> None:
        """The sidecar refuses an actor that does not live there."""
        elsewhere = self.host(activation.actor) is not activation.process
        if elsewhere and not self.mutated("dead_can_save"):
            raise Failed("the actor lives elsewhere")

    def fire(self, actor: Actor) -> Steps[None]:
        """Fires the reminder of a conversation; an error is forgotten until the next time."""
        if self.mutated("oneshot"):
            self.reminders.discard(actor)
            for process in self.processes:
                if actor in process.activations:
                    process.activations[actor].armed = False
        try:
            yield self.send(actor, "tick")
        except Failed:
            return
