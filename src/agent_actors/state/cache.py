"""The state of one actor as one activation sees it: a cache that believes only what was saved."""

import asyncio
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any, cast

from agent_actors.errors import Unavailable
from agent_actors.protocol.ids import ActorRef
from agent_actors.state.slots import D, Slot
from agent_actors.state.store import Changes, StateStore

_OVERTAKEN = (
    "A call back into this actor has saved what this turn had read; nothing was saved, send the"
    " request again."
)
_read: ContextVar[dict[str, int] | None] = ContextVar("read", default=None)
"""What the turn that runs here has read, by key, and after how many saves."""


class ReadTracker:
    """A turn: within it, no document is saved that another one has saved since it was read."""

    __slots__ = ("_token",)

    def __enter__(self) -> None:
        self._token = _read.set({})

    def __exit__(self, *_: object) -> None:
        _read.reset(self._token)


class ActorState:
    """The state of one actor as one activation sees it.

    What was read is kept over turns only once a save has shown that the actor lives here: a call
    that comes late, after the actor was put away, makes an activation that nobody will ever put
    away; what it read would be old when the actor comes back (the store refuses its saves; rule 11,
    docs/protocol.md).

    Args:
        store: Where it is kept.
        actor: Whose state it is.
        may_act: Raises `Deactivated` when this activation may not save any more.
    """

    def __init__(self, store: StateStore, actor: ActorRef, *, may_act: Callable[[], None]) -> None:
        self._store = store
        self._actor = actor
        self._may_act = may_act
        self._cache: dict[str, object | None] = {}
        self._facts: set[str] = set()
        self._lives_here = False
        self._turns = 0
        self._open = 0
        self._saves = 0
        self._saved: dict[str, int] = {}
        self._saving: set[str] = set()

    async def load(self, slot: Slot[D]) -> D | None:
        """The document, or None where there is none; raises as `StateStore.read`."""
        self._note_read(slot)
        if slot.key in self._cache:
            return cast("D | None", self._cache[slot.key])
        turn = self._turns
        value = await self._store.read(self._actor, slot)
        # Where two are read at once and one fails, the other outlives its turn: it may be old.
        if slot.cached and turn == self._turns:
            self._cache[slot.key] = value
        return value

    def cached(self, slot: Slot[D]) -> D | None:
        """The document as this activation knows it; nothing is read, and nothing noted."""
        return cast("D | None", self._cache.get(slot.key))

    async def prepare(self, *wanted: Slot[Any]) -> None:
        """Reads those of the documents that no turn has read yet, at once."""
        missing = [slot for slot in wanted if slot.key not in self._cache]
        if len(missing) > 1:
            await asyncio.gather(*map(self.load, missing))

    async def load_all(self, wanted: Sequence[Slot[D]]) -> list[D]:
        """Those of the documents that are there, in order."""
        # A task for each that is there already would cost as much as the rest of a turn's reads.
        missing = [slot for slot in wanted if slot.key not in self._cache]
        known = {slot.key: self._cache.get(slot.key) for slot in wanted}
        for slot in wanted:
            self._note_read(slot)
        read = await asyncio.gather(*map(self.load, missing)) if missing else ()
        known |= {slot.key: each for slot, each in zip(missing, read, strict=True)}
        found = (cast("D | None", known[slot.key]) for slot in wanted)
        return [document for document in found if document is not None]

    async def save(self, changes: Changes) -> None:
        """Stores all changes in one transaction, and only then believes them.

        Raises:
            Deactivated: This activation may not save any more.
            Unavailable: The store failed; the save may have worked, so the cache is void. Or a call
                back into the actor has saved one of them since this turn read it (B23).
        """
        self._require_fresh(changes)
        self._may_act()
        saved = False
        try:
            self._saving.update(slot.key for slot in changes)
            await self._store.write(self._actor, changes)
            saved = True
        finally:
            # Whatever the error, also a cancellation: nobody knows whether it took effect.
            if not saved:
                self.void()
            self._note_saved(changes)
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

    def _require_fresh(self, changes: Changes) -> None:
        read = _read.get()
        if read is None:
            return
        keys = {slot.key for slot in changes}
        overtaken = any(self._saved.get(key, 0) > read.get(key, self._saves) for key in keys)
        if overtaken or keys & self._saving:
            raise Unavailable(_OVERTAKEN)

    def _note_saved(self, changes: Changes) -> None:
        """Whatever became of it: another turn that has read one of them must read it again."""
        self._saves += 1
        self._turns += 1  # What is being read now may be from before.
        read = _read.get()
        for slot in changes:
            self._saving.discard(slot.key)
            self._saved[slot.key] = self._saves
            if read is not None:
                read[slot.key] = self._saves

    def note(self, fact: str) -> None:
        """Keeps a fact that is no document, such as a reminder being registered, with the cache."""
        self._facts.add(fact)

    def unnote(self, fact: str) -> None:
        """The fact holds no more."""
        self._facts.discard(fact)

    def noted(self, fact: str) -> bool:
        """Whether the fact was noted and not forgotten since."""
        return fact in self._facts

    def begin_turn(self) -> None:
        """A turn begins; beside others, where they are of one chain of calls."""
        self._open += 1

    def end_turn(self) -> None:
        """Keeps what was read for the next turn, or forgets it."""
        self._turns += 1
        self._open = max(0, self._open - 1)
        if not self._open:
            self._saved.clear()  # Nobody is left who could have read before.
        if not self._lives_here:
            self.void()

    def void(self) -> None:
        """Forgets everything that was read, saved or noted; the next turn reads again."""
        self._cache.clear()
        self._facts.clear()
