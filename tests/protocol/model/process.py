"""A process of the service, and a call of an actor as a process handles it."""

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.protocol.model.documents import RESPONSE, Actor
from tests.protocol.model.steps import Future, Lock, Task

if TYPE_CHECKING:
    from tests.protocol.model.activation import Activation
    from tests.protocol.model.response import ModelCall


class Process:
    """One process of the service, from its start to its end. All of it is volatile."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.alive = True
        self.activations: dict[Actor, Activation] = {}
        self.locks: defaultdict[Actor, Lock] = defaultdict(Lock)
        self.calls: dict[tuple[str, str], ModelCall] = {}
        self.strays: list[Activation] = []
        """Activations whose running turn began here after their actor had moved away."""

    def withdraw(self, actor: Actor) -> None:
        """Puts an actor away: nothing that runs for it here may act any more (rule 3)."""
        activation = self.activations.pop(actor, None)
        if activation is not None:
            activation.deactivate()

    def forget_calls(self, actor: Actor) -> None:
        """Only for the mutation `tasks_in_activation`: model calls end with ResponseAgent."""
        if actor.kind == RESPONSE:
            self.calls = {key: call for key, call in self.calls.items() if key[0] != actor.name}


@dataclass(eq=False, slots=True)
class Handler:
    """A call of an actor as a process handles it; one call that is run again has several."""

    actor: Actor
    method: str
    args: tuple[Any, ...]
    reply: Future[Any]
    task: Task[Any] | None = None
    activation: "Activation | None" = None
    """The activation that it has reached, if any."""
    awaited: bool = True
    """Its caller gets its answer."""

    @property
    def may_act(self) -> bool:
        """Whether it may still do something: one that is on its way may."""
        return self.activation is None or self.activation.live
