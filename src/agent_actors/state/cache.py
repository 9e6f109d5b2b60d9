"""The state of one actor: documents that were read or saved, cached for one activation.

The cache believes only what was saved. A failed or cancelled save may have taken effect, so after
one nothing in the cache is trusted, and the next turn reads again (rule 2, docs/protocol.md).

With reentrancy, several turns of one chain of calls may be in an actor at once. A turn may save
neither a document that another turn has saved since it read it, nor one that is being saved.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any, cast

from agent_actors.errors import Unavailable
from agent_actors.protocol.ids import ActorRef
from agent_actors.state.slots import D, Slot
from agent_actors.state.store import Changes, StateStore

_OVERTAKEN = (
    "A call back into this actor has changed what this call had read; nothing was saved. Send the"
    " request again."
)
_read: ContextVar[dict[str, int] | None] = ContextVar("read", default=None)
"""For the turn that runs here: each key it has read, with the number of saves before that."""


class ReadTracker:
    """Notes, for the turn inside the block, what it reads and when."""

    __slots__ = ("_token",)

    def __enter__(self) -> None:
        self._token = _read.set({})

    def __exit__(self, *_: object) -> None:
        _read.reset(self._token)


class ActorState:
    """The state of one actor, as one activation of it sees it.

    Between turns the cache is kept only after a first save has succeeded. A call that arrives after
    its actor was deactivated makes an activation that nobody will ever deactivate. The store
    refuses its saves, and what it has read would be old when the actor comes back (rule 11).
    `may_act` raises `Deactivated` if this activation may not save.
    """

    def __init__(self, store: StateStore, actor: ActorRef, *, may_act: Callable[[], None]) -> None:
        self._store = store
        self._actor = actor
        self._may_act = may_act
        self._cache: dict[str, object | None] = {}
        self.flags: set[str] = set()
        """What is remembered but not stored, such as a registered reminder; lost with the cache."""
        self._lives_here = False
        self._turns = 0
        """Goes up with every turn and every save: a read that began before may be old."""
        self._open = 0
        """Turns that are in the actor now."""
        self._saves = 0
        self._saved: dict[str, int] = {}
        """For each key, the number of the last save that contained it."""
        self._saving: set[str] = set()

    async def load(self, slot: Slot[D]) -> D | None:
        """A document; None if there is none; raises as `StateStore.read`."""
        self._note_read(slot)
        if slot.key in self._cache:
            return cast("D | None", self._cache[slot.key])
        turn = self._turns
        value = await self._store.read(self._actor, slot)
        # When one of two simultaneous reads fails, the other outlives its turn and may be old.
        if slot.cached and turn == self._turns:
            self._cache[slot.key] = value
        return value

    async def load_or_new(self, slot: Slot[D]) -> D:
        """A document, an empty one if there is none; raises as `StateStore.read`."""
        return await self.load(slot) or slot.kind()

    def cached(self, slot: Slot[D]) -> D | None:
        """A document if it is in the cache; for gauges: it does not count as read."""
        return cast("D | None", self._cache.get(slot.key))

    async def prepare(self, *wanted: Slot[Any]) -> None:
        """Reads the documents that are not in the cache, at the same time."""
        missing = [slot for slot in wanted if slot.key not in self._cache]
        if len(missing) > 1:
            await asyncio.gather(*map(self.load, missing))

    async def load_all(self, wanted: Sequence[Slot[D]]) -> list[D]:
        """Those of the documents that exist, in order."""
        # No task for a document in the cache: it would cost as much as all other reads of a turn.
        missing = [slot for slot in wanted if slot.key not in self._cache]
        known = {slot.key: self._cache.get(slot.key) for slot in wanted}
        for slot in wanted:
            self._note_read(slot)
        read = await asyncio.gather(*map(self.load, missing)) if missing else ()
        known |= {slot.key: each for slot, each in zip(missing, read, strict=True)}
        found = (cast("D | None", known[slot.key]) for slot in wanted)
        return [document for document in found if document is not None]

    async def save(self, changes: Changes) -> None:
        """Saves documents in one transaction, and then updates the cache.

        Raises:
            Deactivated: This activation may not save.
            Unavailable: The store failed, and the save may have taken effect; or a call back into
                the actor has saved one of the documents since this turn read it.
        """
        read, keys = _read.get(), {slot.key for slot in changes}
        if read is not None:
            overtaken = any(self._saved.get(key, 0) > read.get(key, self._saves) for key in keys)
            if overtaken or keys & self._saving:
                raise Unavailable(_OVERTAKEN)
        self._may_act()
        saved = False
        try:
            self._saving |= keys
            await self._store.write(self._actor, changes)
            saved = True
        finally:
            # After any error, and after a cancellation: the save may have taken effect.
            if not saved:
                self.void()
            # Other turns read these documents again, whether or not the save has worked.
            self._saving -= keys
            self._saves += 1
            self._turns += 1
            self._saved |= dict.fromkeys(keys, self._saves)
            if read is not None:
                read |= dict.fromkeys(keys, self._saves)
        self._lives_here = True
        for slot, value in changes.items():
            if value is None:
                self._cache.pop(slot.key, None)
            elif slot.cached:
                self._cache[slot.key] = value

    def _note_read(self, slot: Slot[Any]) -> None:
        read = _read.get()
        if read is not None:
            read[slot.key] = self._saves

    def begin_turn(self) -> None:
        """A turn begins; with reentrancy, others of its chain of calls may be open."""
        self._open += 1

    def end_turn(self) -> None:
        """A turn ends: the cache is kept if an activation that saves has filled it."""
        self._turns += 1
        self._open = max(0, self._open - 1)
        if not self._open:
            self._saved.clear()  # No open turn has read anything before.
        if not self._lives_here:
            self.void()

    def void(self) -> None:
        """Empties the cache and drops all flags: the next turn reads again."""
        self._cache.clear()
        self.flags.clear()
