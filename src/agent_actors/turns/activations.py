"""Which object may act for each actor in this process (rule 3, docs/protocol.md)."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeVar

from dapr.common.reentrancy_context import reentrancy_ctx

from agent_actors.errors import Defect
from agent_actors.settings.actors import RulesOf
from agent_actors.turns.lock import TurnEntry, TurnLocks

if TYPE_CHECKING:
    from agent_actors.turns.actor import TurnActor

A = TypeVar("A", bound="TurnActor")
ActorKey = tuple[str, str]


class Activations:
    """Which object may act for each actor in this process, and the lock its turns take.

    Args:
        rules_of: How actors of a type are kept; without it nobody is let back in.
    """

    def __init__(self, rules_of: RulesOf | None = None) -> None:
        self._rules_of = rules_of
        self._current: dict[ActorKey, TurnActor] = {}
        self._locks: TurnLocks[ActorKey] = TurnLocks()

    def record(self, actor: A) -> A:
        """From now on this object, and no other, acts for its id; for use in actor factories."""
        former = self._current.get(actor.key)
        if former is not None:
            former.put_away()
        self._current[actor.key] = actor
        return actor

    def current(self, actor: "TurnActor") -> "TurnActor":
        """The object that acts for this actor's id; a new one where none does."""
        found = self._current.get(actor.key)
        return found if found is not None else actor.successor()

    @property
    def active(self) -> "Iterable[TurnActor]":
        """The actors of this process."""
        return self._current.values()

    def withdraw(self, key: ActorKey) -> None:
        """Puts an actor away: whatever still runs for it may not act any more."""
        actor = self._current.pop(key, None)
        if actor is not None:
            actor.put_away()

    def withdraw_all(self) -> None:
        """Puts every actor away, as when the sidecar was restarted (I15)."""
        for key in list(self._current):
            self.withdraw(key)

    def turn(self, key: ActorKey) -> TurnEntry[ActorKey]:
        """Waits for the turns before this one, then holds the actor until the block ends.

        The lock is the process's, not the object's: a turn that was cut runs on in the old object
        and the next one still waits for it. Where the type's rules say so, the chain of calls that
        holds the actor is let in again.
        """
        return self._locks.entered(key, reentrancy_ctx.get() if self._depth(key) > 1 else None)

    def require_shallow(self, key: ActorKey) -> None:
        """Raises `Defect` when the chain that holds an actor is in it more often than it may be."""
        depth = self._depth(key)
        if self._locks.inside(key) > depth:
            raise Defect(
                f"A chain of calls came back to an actor that it was in {depth} times already: its"
                " reentrancy depth."
            )

    def _depth(self, key: ActorKey) -> int:
        return 1 if self._rules_of is None else self._rules_of(key[0]).depth
