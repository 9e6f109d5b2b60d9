"""A typed place in an actor's state, over the SDK's actor client (PROTOCOL, rules 2 and 8).

The SDK's own state manager keeps every key ever read and marks changes clean before they are
saved; it stays empty here.
"""

import asyncio
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Generic, TypeVar, cast

from dapr.clients.base import DaprActorClientBase

from agent_actors import documents
from agent_actors.clock import Clock
from agent_actors.errors import Unavailable
from agent_actors.notices import Notices, Phone
from agent_actors.schedules import Schedules
from agent_actors.serializer import encode
from agent_actors.tally import Tally

D = TypeVar("D")
Kept = TypeVar("Kept", covariant=True)


@dataclass(frozen=True, slots=True)
class Slot(Generic[Kept]):
    """A key of an actor's state and the document kept there.

    `cached` documents stay in memory while the actor is active; closed segments and dead letters
    do not.
    """

    key: str
    kind: type[Kept]
    cached: bool = True


HEAD = Slot("head", documents.Head)
SCHEDULES = Slot("schedules", Schedules)
MEMORY = Slot("memory", documents.Memory)
LETTERS = Slot("index", documents.LetterIndex)
PROFILE = Slot("profile", documents.Profile)
EXCHANGES = Slot("exchanges", documents.LastExchanges)
PREFERENCES = Slot("preferences", documents.UserPreferences)
SESSIONS = Slot("sessions", documents.SessionIndex)
ANALYTICS = Slot("analytics", documents.Analytics)
TOMBSTONE = Slot("tombstone", documents.Tombstone)
PHONE = Slot("phone", Phone)
NOTICES = Slot("notices", Notices)


def segment(number: int) -> Slot[documents.Segment]:
    """Where segment `number` of a conversation lies."""
    return Slot(f"h{number}", documents.Segment, cached=False)


@lru_cache(maxsize=1024)  # A turn looks at sixteen of them.
def records(number: int) -> Slot[documents.Records]:
    """Where the outcome records 16·number … 16·number+15 lie."""
    return Slot(f"r{number}", documents.Records)


def mark(conversation: str) -> Slot[documents.Mark]:
    """Where a consumer keeps its mark for a conversation: a key each, so no document grows."""
    return Slot(f"s:{conversation}", documents.Mark)


def session_page(number: int) -> Slot[documents.SessionPage]:
    """Where a page of a user's sessions lies."""
    return Slot(f"p{number}", documents.SessionPage)


def letter(letter_id: str) -> Slot[documents.Letter]:
    """Where a dead letter lies: a key each, so that none is read for another."""
    return Slot(f"l:{letter_id}", documents.Letter, cached=False)


def letter_page(number: int) -> Slot[documents.LetterPage]:
    """Where a page of dead letters lies."""
    return Slot(f"p{number}", documents.LetterPage, cached=False)


Changes = Mapping[Slot[Any], object | None]
"""Documents to store, or None to delete what is there."""


_SLOW = "The state store did not answer in time; try again."
_OVERTAKEN = (
    "A call back into this actor has saved what this turn had read; nothing was saved, send the"
    " request again."
)
_read: ContextVar[dict[str, int] | None] = ContextVar("read", default=None)
"""What the turn that runs here has read, by key, and after how many saves."""


class Reading:
    """A turn: within it, no document is saved that another one has saved since it was read."""

    __slots__ = ("_token",)

    def __enter__(self) -> None:
        self._token = _read.set({})

    def __exit__(self, *_: object) -> None:
        _read.reset(self._token)


class DocumentClient(DaprActorClientBase):
    """A client in whose process the store is: documents need no transaction's JSON around them."""

    @abstractmethod
    async def save_documents(
        self, actor_type: str, actor_id: str, changes: Sequence[tuple[str, bytes | None]]
    ) -> None:
        """Saves or, where there is None, deletes documents in JSON, by key: all of them or none.

        Raises:
            Unavailable: The actor is not active here, or the store is away.
        """


@dataclass(frozen=True, slots=True)
class Store:
    """Where actors keep their state, and the seconds a read or save may take."""

    client: DaprActorClientBase
    clock: Clock
    call_time: float
    tally: Tally = field(default_factory=Tally)

    async def read(self, actor_type: str, actor_id: str, slot: Slot[D]) -> D | None:
        """A stored document of any actor, without a turn (I9); None where there is none.

        Raises:
            Unavailable: The store failed or did not answer in time; absent is not broken (I6).
            Defect: What is stored cannot be read.
        """
        try:
            with self.tally.timed("read"):
                async with self.clock.timeout(self.call_time):
                    data = await self.client.get_state(actor_type, actor_id, slot.key)
        except TimeoutError:
            raise Unavailable(_SLOW) from None
        return documents.read(data, slot.kind) if data else None

    async def write(self, actor_type: str, actor_id: str, changes: Changes) -> None:
        """Stores all changes of one actor in one transaction.

        Raises:
            Unavailable: The store failed or did not answer in time; it may have worked.
        """
        encoded = [
            (slot.key, None if value is None else encode(value)) for slot, value in changes.items()
        ]
        try:
            with self.tally.timed("save"):
                async with self.clock.timeout(self.call_time):
                    await self._save((actor_type, actor_id), encoded)
        except TimeoutError:
            raise Unavailable(_SLOW) from None

    async def _save(
        self, actor: tuple[str, str], changes: Sequence[tuple[str, bytes | None]]
    ) -> None:
        if isinstance(self.client, DocumentClient):
            await self.client.save_documents(*actor, changes)
        else:
            await self.client.save_state_transactionally(*actor, _operations(changes))


class State:
    """The state of one actor as one activation sees it.

    What was read is kept over turns only once a save has shown that the actor lives here: a call
    that comes late, after the actor was put away, makes an activation that nobody will ever put
    away; what it read would be old when the actor comes back (the store refuses its saves).

    Args:
        store: Where it is kept.
        actor_type: The actor's type.
        actor_id: The actor's id.
        may_act: Raises `PutAway` when this activation may not save any more.
    """

    def __init__(
        self, store: Store, actor_type: str, actor_id: str, *, may_act: Callable[[], None]
    ) -> None:
        self._store = store
        self._actor = (actor_type, actor_id)
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
        """The document, or None where there is none; raises as `Store.read`."""
        self._note_read(slot)
        if slot.key in self._cache:
            return cast("D | None", self._cache[slot.key])
        turn = self._turns
        value = await self._store.read(*self._actor, slot)
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
            PutAway: This activation may not save any more.
            Unavailable: The store failed; the save may have worked, so the cache is void. Or a call
                back into the actor has saved one of them since this turn read it (B23).
        """
        self._require_fresh(changes)
        self._may_act()
        saved = False
        try:
            self._saving.update(slot.key for slot in changes)
            await self._store.write(*self._actor, changes)
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


def _operations(changes: Sequence[tuple[str, bytes | None]]) -> bytes:
    """Dapr's body of a state transaction."""
    return b"[" + b",".join(_operation(key, value) for key, value in changes) + b"]"


def _operation(key: str, value: bytes | None) -> bytes:
    name = encode(key)
    if value is None:
        return b'{"operation":"delete","request":{"key":' + name + b"}}"
    return b'{"operation":"upsert","request":{"key":' + name + b',"value":' + value + b"}}"
