"""What every actor needs: documents that are believed only once they are saved, and calls."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tests.protocol.model.documents import Actor
from tests.protocol.model.steps import Failed, Steps

if TYPE_CHECKING:
    from tests.protocol.model.process import Process
    from tests.protocol.model.world import World


class Activation:
    """One object of an actor in a process.

    Args:
        world: Where it is.
        process: The process it belongs to.
        actor: The actor it acts for.
    """

    def __init__(self, world: "World", process: "Process", actor: Actor) -> None:
        self.world = world
        self.process = process
        self.actor = actor
        self.live = True
        self.armed = False
        """The recovery reminder is known to be registered."""
        self.last_user = ""
        """Only for the mutation `owner_volatile`."""
        self._lives_here = False
        self._cache: dict[str, Any] = {}

    @property
    def name(self) -> str:
        """The conversation or user it belongs to."""
        return self.actor.name

    def deactivate(self) -> None:
        """From now on it may do nothing (rule 3), and what it kept is given back."""
        self.live = False
        self.void()

    def end_turn(self) -> None:
        """Keeps what was read for the next turn once a save has shown that it lives here."""
        if not self._lives_here and not self.world.mutated("late_reads_trusted"):
            self.void()

    def void(self) -> None:
        """Forgets everything; the next turn reads again."""
        self._cache.clear()
        self.armed = False

    def load(self, key: str, default: Any, *, cached: bool = True) -> Steps[Any]:
        """A document, from the cache or the store."""
        if key in self._cache:
            value = self._cache[key]
        else:
            value = yield from self.world.read(self.actor, key)
            if cached:
                self._cache[key] = value
        return default if value is None else value

    def save(self, changes: Mapping[str, Any]) -> Steps[None]:
        """Saves in one transaction, and only then believes it (rule 2)."""
        self._require_live("dead_can_save")
        saved = False
        try:
            yield from self.world.save(self, changes)
            saved = True
        finally:
            # Whatever the error, also a cancellation: nobody knows whether it took effect.
            if not saved and not self.world.mutated("keep_cache"):
                self.void()
        self._lives_here = True
        for key, value in changes.items():
            if key == "head" or key[0] != "h":  # Closed segments are not cached.
                self._cache[key] = value

    def ask(self, actor: Actor, method: str, *args: Any) -> Steps[Any]:
        """Calls another actor."""
        self._require_live("dead_can_call")
        return (yield from self.world.call(actor, method, *args))

    def arm(self) -> Steps[None]:
        """Registers the one repeating reminder of a conversation, unless it is known to be."""
        if self.armed:
            return
        self.require_live()
        yield from self.world.remind(self, on=True)
        self.armed = True

    def disarm(self) -> Steps[None]:
        """Unregisters it."""
        self.require_live()
        self.armed = False
        yield from self.world.remind(self, on=False)

    def require_live(self) -> None:
        """Fails where another activation, or none, acts for the actor."""
        if not self.live:
            raise Failed("deactivated")

    def _require_live(self, mutation: str) -> None:
        if not self.world.mutated(mutation):
            self.require_live()
