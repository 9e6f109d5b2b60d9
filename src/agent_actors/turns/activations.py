"""Which object may act for each actor in this process (rule 3, docs/protocol.md)."""

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
    """Which object may act for each actor in this process, and the lock its turns take.

    Args:
        rules_of: How actors of a type are kept; without it nobody is let back in.
    """

    def __init__(self, rules_of: RulesOf | None = None) -> None:
        self._rules_of = rules_of
        self._current: dict[ActorRef, TurnActor] = {}
        self._locks: TurnLocks[ActorRef] = TurnLocks()

    def record(self, actor: A) -> A:
        """From now on this object, and no other, acts for its id; for use in actor factories."""
        former = self._current.get(actor.ref)
        if former is not None:
            former.put_away()
        self._current[actor.ref] = actor
        return actor

    def current(self, actor: "TurnActor") -> "TurnActor":
        """The object that acts for this actor's id; a new one where none does."""
        found = self._current.get(actor.ref)
        return found if found is not None else actor.successor()

    @property
    def active(self) -> "Iterable[TurnActor]":
        """The actors of this process."""
        return self._current.values()

    def withdraw(self, ref: ActorRef) -> None:
        """Puts an actor away: whatever still runs for it may not act any more."""
        actor = self._current.pop(ref, None)
        if actor is not None:
            actor.put_away()

    def withdraw_all(self) -> None:
        """Puts every actor away, as when the sidecar was restarted (I15)."""
        for ref in list(self._current):
            self.withdraw(ref)

    def turn(self, ref: ActorRef) -> TurnEntry[ActorRef]:
        """Waits for the turns before this one, then holds the actor until the block ends.

        The lock is the process's, not the object's: a turn that was cut runs on in the old object
        and the next one still waits for it. Where the type's rules say so, the chain of calls that
        holds the actor is let in again.
        """
        return self._locks.entered(ref, reentrancy_ctx.get() if self._depth(ref) > 1 else None)

    def require_shallow(self, ref: ActorRef) -> None:
        """Raises `Defect` when the chain that holds an actor is in it more often than it may be."""
        depth = self._depth(ref)
        if self._locks.inside(ref) > depth:
            raise Defect(
                f"A chain of calls came back to an actor that it was in {depth} times already: its"
                " reentrancy depth."
            )

    def _depth(self, ref: ActorRef) -> int:
        return 1 if self._rules_of is None else self._rules_of(ref.type).depth
