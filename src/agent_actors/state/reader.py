"""Reads stored state without a turn (I9, docs/protocol.md): for routes, and for other actors.

The head of a conversation is read first, and the documents it points to after (4.25).
"""

import asyncio
from dataclasses import dataclass
from typing import TypeVar

from agent_actors.errors import Defect, NotFound
from agent_actors.protocol import ids, wire
from agent_actors.protocol.ids import ActorRef
from agent_actors.protocol.messages import Person, SessionExchange, Sessions, Turn, TurnState
from agent_actors.protocol.notifications import NotificationRecord, PhoneNumber
from agent_actors.protocol.schedules import Schedules
from agent_actors.state import slots
from agent_actors.state.documents.conversation import Head, Pair, first_of, segment_of
from agent_actors.state.documents.users import Analytics, Memory
from agent_actors.state.history import History
from agent_actors.state.slots import Slot
from agent_actors.state.store import StateStore, StoredActor
from agent_actors.state.turn_position import check_open

D = TypeVar("D")

PAGE_BYTES = 1024 * 1024
"""Size of a page of history above which no older segments are added."""
BATCH = 4
"""Segments that are read at the same time."""
HEADS = 8
"""Heads that are read at the same time."""


@dataclass(frozen=True, slots=True)
class TurnPage:
    """A page of history: pairs, oldest first; `next` is the `before` of the next older page."""

    pairs: tuple[Pair, ...]
    next: int | None


@dataclass(frozen=True, slots=True)
class StateReader:
    """Reads what actors have stored; no actor is called or activated.

    Every method raises `Unavailable` if the store fails, and `Defect` if a document is broken.
    """

    store: StateStore
    outcomes_kept: int

    # -- conversations ----------------------------------------------------------------------------

    async def head(self, conversation: str) -> Head:
        """The head of a conversation; an empty one before its first turn."""
        return await self._read_or_new(wire.CHAT, conversation, slots.HEAD)

    async def count(self, conversation: str) -> int:
        """The number of committed turns; clearing does not lower it.

        Raises `NotFound` if the user was forgotten, and there was no turn since.
        """
        head = await self.head(conversation)
        unknown = not head.user and await self.forgotten_at(conversation) is not None
        if head.ended or unknown:
            raise NotFound("This conversation was deleted with its user.")
        return head.seq

    async def history(self, conversation: str, pairs: int, before: int | None = None) -> TurnPage:
        """A page of visible pairs, at most `pairs` of them; with `before`, of those below it."""
        head = await self.head(conversation)
        last = head.seq if before is None else min(head.seq, before - 1)
        first = max(head.start + 1, last - pairs + 1)
        if last < first:
            return TurnPage((), None)
        shown: tuple[Pair, ...] = ()
        while first <= last and sum(pair.size for pair in shown) < PAGE_BYTES:
            batch = max(first, first_of(segment_of(last) - BATCH + 1))
            shown = (*await self.pairs(conversation, head, batch, last), *shown)
            last = batch - 1
        return TurnPage(shown, shown[0].seq if shown and shown[0].seq > head.start + 1 else None)

    async def pairs(self, conversation: str, head: Head, first: int, last: int) -> tuple[Pair, ...]:
        """The stored ones of the pairs `first` … `last`."""
        return await self._history(conversation).pairs(head, first, last)

    async def turn(self, conversation: str, turn_id: str) -> TurnState:
        """Where a turn stands.

        Raises:
            NotFound: It is not stored: not yet, or no longer.
            Gone: Its answer was cleared.
        """
        head = await self.head(conversation)
        state = await self._history(conversation).turn(head, turn_id)
        if state is None:
            raise NotFound(f"There is no saved turn {turn_id!r} in this conversation.")
        return state

    async def sent_turn(self, conversation: str, turn: Turn) -> TurnState | None:
        """Where a turn stands that a caller has sent; None if it is new.

        Raises:
            NotFound: The conversation belongs to another user.
            Gone: The conversation was closed, or the turn's answer was cleared.
            Invalid: Its key was used with another message.
        """
        head = await self.head(conversation)
        check_open(head, turn.user)
        return await self._history(conversation).sent_turn(head, turn)

    async def schedules(self, user: str) -> Schedules:
        """The user's schedules."""
        return await self._read_or_new(wire.CHAT, user, slots.SCHEDULES)

    def _history(self, conversation: str) -> History:
        return History(
            StoredActor(self.store, ActorRef(wire.CHAT, conversation)), self.outcomes_kept
        )

    # -- users ------------------------------------------------------------------------------------

    async def memory(self, user: str) -> Memory:
        """The user's last messages."""
        return await self._read_or_new(wire.MEMORY, ids.memory_id(user), slots.MEMORY)

    async def person(self, user: str) -> Person:
        """Who the user is."""
        profile = await self._read_or_new(wire.MEMORY, ids.memory_id(user), slots.PROFILE)
        return profile.person(user)

    async def mark(self, user: str, conversation: str) -> int:
        """The number of the conversation's last event that memory has applied."""
        slot = slots.mark(conversation)
        return (await self._read_or_new(wire.MEMORY, ids.memory_id(user), slot)).seq

    async def phone(self, user: str) -> PhoneNumber | None:
        """The phone number for notifications, if the user has one."""
        return await self._read(wire.SESSION, user, slots.PHONE)

    async def notices(self, user: str) -> tuple[NotificationRecord, ...]:
        """The user's last notifications, oldest first."""
        return (await self._read_or_new(wire.NOTIFICATIONS, user, slots.NOTICES)).notices

    async def last_exchanges(self, user: str) -> tuple[SessionExchange, ...]:
        """The user's last exchanges over all conversations, newest last."""
        return (await self._read_or_new(wire.SESSION, user, slots.EXCHANGES)).exchanges

    async def preferences(self, user: str) -> dict[str, str]:
        """The user's preferences, by name."""
        return dict((await self._read_or_new(wire.SESSION, user, slots.PREFERENCES)).values)

    async def sessions(self, user: str, page: int = 0) -> Sessions:
        """A page of the user's sessions, in the order in which they were opened."""
        index = await self._read_or_new(wire.SESSION, user, slots.SESSIONS)
        number = max(page, index.open)
        if number > index.last:
            return Sessions(())
        read = await self._read_or_new(wire.SESSION, user, slots.session_page(number))
        following = number + 1 if number < index.last else None
        return Sessions(read.session_ids, following)

    async def begun_sessions(self, user: str, page: int = 0) -> Sessions:
        """The same page without the sessions in which the user has no turn.

        A session is on the list before its first turn. If that turn fails, or if the session turns
        out to be another user's, it stays there, so that a deletion looks for it all the same.
        """
        listed = await self.sessions(user, page)
        begun: list[str] = []
        for at in range(0, len(listed.session_ids), HEADS):
            batch = listed.session_ids[at : at + HEADS]
            found = await asyncio.gather(*(self._has_turn(user, each) for each in batch))
            begun += [each for each, has_turn in zip(batch, found, strict=True) if has_turn]
        return Sessions(tuple(begun), listed.next)

    async def _has_turn(self, user: str, session_id: str) -> bool:
        try:
            head = await self.head(ids.session(session_id))
        except Defect:
            return True  # Something is there; one broken session must not hide the others.
        return head.user == user and bool(head.seq or head.queue)

    async def analytics(self, user: str) -> Analytics | None:
        """The user's message and token counts; None if nothing is counted."""
        return await self._read(wire.ANALYTICS, user, slots.ANALYTICS)

    async def forgotten_at(self, user: str) -> float | None:
        """When the user was last forgotten (epoch seconds); None if never."""
        tombstone = await self._read(wire.ANALYTICS, user, slots.TOMBSTONE)
        return tombstone.at if tombstone else None

    async def forgotten_since(self, user: str, at: float | None) -> bool:
        """Whether the user was forgotten at or after a time; False if the time is not known."""
        forgotten = None if at is None else await self.forgotten_at(user)
        return at is not None and forgotten is not None and at <= forgotten

    async def _read_or_new(self, actor_type: str, actor_id: str, slot: Slot[D]) -> D:
        return await self.store.read(ActorRef(actor_type, actor_id), slot) or slot.kind()

    async def _read(self, actor_type: str, actor_id: str, slot: Slot[D]) -> D | None:
        return await self.store.read(ActorRef(actor_type, actor_id), slot)
