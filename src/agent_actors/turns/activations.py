"""The activation that may act for each actor of this process (rule 3, docs/protocol.md)."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeVar

from dapr.common.reentrancy_context import reentrancy_ctx

from agent_actors.errors import Defect
from agent_actors.protocol.ids import ActorRef
from agent_actors.settings.actors import RulesOf
from agent_actors.turns.lock import TurnEntry, TurnLocks

if TYPE_CHECKING:
    from agent_actors.turns.actor import TurnActor

A = TypeVar("A", bound="TurnActor")


class Activations:
    """The live activation of each actor of this process, and the locks that turns take.

    Without the rules of actor types, none is reentrant.
    """

    def __init__(self, rules_of: RulesOf | None = None) -> None:
        self._rules_of = rules_of
        self._current: dict[ActorRef, TurnActor] = {}
        self._locks: TurnLocks[ActorRef] = TurnLocks()

    def record(self, actor: A) -> A:
        """Makes this object the live activation of its actor; for use in actor factories."""
        former = self._current.get(actor.ref)
        if former is not None:
            former.deactivate()
        self._current[actor.ref] = actor
        return actor

    def current(self, actor: "TurnActor") -> "TurnActor":
        """The live activation of the same actor; a new one if there is none."""
        found = self._current.get(actor.ref)
        return found if found is not None else actor.successor()

    @property
    def active(self) -> "Iterable[TurnActor]":
        """The live activations of this process."""
        return self._current.values()

    def withdraw(self, ref: ActorRef) -> None:
        """Deactivates an actor: turns of it that still run may not act any more."""
        actor = self._current.pop(ref, None)
        if actor is not None:
            actor.deactivate()

    def withdraw_all(self) -> None:
        """Deactivates every actor, as when the sidecar was restarted (I15)."""
        for ref in list(self._current):
            self.withdraw(ref)

    def turn(self, ref: ActorRef) -> TurnEntry[ActorRef]:
        """Waits for the turns before this one, then holds the actor until the block ends.

        The lock belongs to the process, not to the activation: a turn whose caller has left runs
        on in the old activation, and the next turn still waits for it. Where the type is reentrant,
        the chain of calls that holds the actor may enter again.
        """
        chain = reentrancy_ctx.get() if self._depth(ref) > 1 else None
        return TurnEntry(self._locks, ref, chain)

    def require_shallow(self, ref: ActorRef) -> None:
        """Raises `Defect` if the chain of calls in an actor is deeper than its type allows."""
        depth = self._depth(ref)
        if self._locks.inside(ref) > depth:
            raise Defect(
                f"A chain of calls is in this actor {depth} times already, which is its reentrancy"
                " depth."
            )

    def _depth(self, ref: ActorRef) -> int:
        return 1 if self._rules_of is None else self._rules_of(ref.type).depth
