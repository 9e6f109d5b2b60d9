"""Reads of what is saved, without a turn (I9): for routes, and for actors that look at another.

The head is read first and the documents it points to after: a pair that is not in that head's tail
is already in its segment, or cleared (4.25, docs/protocol.md).
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from agent_actors.errors import Gone, Invalid, NotFound
from agent_actors.protocol import ids, wire
from agent_actors.protocol.ids import ActorRef
from agent_actors.protocol.messages import Person, SessionExchange, Sessions, Turn, TurnState
from agent_actors.protocol.notifications import NotificationLog, NotificationRecord, PhoneNumber
from agent_actors.protocol.schedules import Schedules
from agent_actors.state import slots
from agent_actors.state.documents import (
    Analytics,
    Head,
    LastExchanges,
    Mark,
    Memory,
    OutcomeRecord,
    Pair,
    Profile,
    SessionIndex,
    SessionPage,
    UserPreferences,
    find_pair,
    find_queued,
    find_record,
    first_of,
    older_records,
    segment_of,
)
from agent_actors.state.slots import Slot
from agent_actors.state.store import StateStore

D = TypeVar("D")

PAGE_BYTES = 1024 * 1024
"""What was said in a page of history, after which no older segments are read."""
BATCH = 4
"""Segments that are read at once."""


@dataclass(frozen=True, slots=True)
class TurnPage:
    """Whole pairs of a history, oldest first; `next` is the `before` of the page below."""

    pairs: tuple[Pair, ...]
    next: int | None


class StateReader:
    """What the store has.

    Args:
        store: Where actors keep their state; reading it needs no active actor.
        outcomes_kept: Outcome records a conversation keeps.

    Every method raises `Unavailable` when the store fails, and `Defect` when a document is broken.
    """

    def __init__(self, store: StateStore, outcomes_kept: int) -> None:
        self._store = store
        self._outcomes_kept = outcomes_kept

    async def head(self, conversation: str) -> Head:
        """The conversation's head; an empty one before its first turn."""
        return await self._read(wire.CHAT, conversation, slots.HEAD) or Head()

    async def count(self, conversation: str) -> int:
        """The number of committed turns; clearing does not lower it.

        Raises:
            NotFound: The user was forgotten, and nothing was said since.
        """
        head = await self.head(conversation)
        unknown = not head.user and await self.forgotten_at(conversation) is not None
        if head.ended or unknown:
            raise NotFound("This conversation was deleted with its user.")
        return head.seq

    async def schedules(self, user: str) -> Schedules:
        """The user's schedules."""
        return await self._read(wire.CHAT, user, slots.SCHEDULES) or Schedules()

    async def memory(self, user: str) -> Memory:
        """What the user said lately."""
        memory = await self._read(wire.MEMORY, ids.memory_id(user), slots.MEMORY)
        return memory or Memory()

    async def person(self, user: str) -> Person:
        """Who the user is."""
        profile = await self._read(wire.MEMORY, ids.memory_id(user), slots.PROFILE)
        return (profile or Profile()).person(user)

    async def phone(self, user: str) -> PhoneNumber | None:
        """The number at which the user is told of turns, if there is one."""
        return await self._read(wire.SESSION, user, slots.PHONE)

    async def notices(self, user: str) -> tuple[NotificationRecord, ...]:
        """What the user was told of lately, oldest first."""
        return (
            await self._read(wire.NOTIFICATIONS, user, slots.NOTICES) or NotificationLog()
        ).notices

    async def last_exchanges(self, user: str) -> tuple[SessionExchange, ...]:
        """The user's last exchanges over all conversations, newest last."""
        last = await self._read(wire.SESSION, user, slots.EXCHANGES)
        return (last or LastExchanges()).exchanges

    async def preferences(self, user: str) -> dict[str, str]:
        """What the user prefers, by name."""
        kept = await self._read(wire.SESSION, user, slots.PREFERENCES)
        return dict((kept or UserPreferences()).values)

    async def sessions(self, user: str, page: int = 0) -> Sessions:
        """A page of the user's sessions, in the order in which they were opened."""
        index = await self._read(wire.SESSION, user, slots.SESSIONS) or SessionIndex()
        number = max(page, index.open)
        if number > index.last:
            return Sessions(())
        read = await self._read(wire.SESSION, user, slots.session_page(number))
        following = number + 1 if number < index.last else None
        return Sessions((read or SessionPage()).session_ids, following)

    async def analytics(self, user: str) -> Analytics | None:
        """What the user's messages took; None where none was counted, or all were forgotten."""
        return await self._read(wire.ANALYTICS, user, slots.ANALYTICS)

    async def forgotten_at(self, user: str) -> float | None:
        """When the user was forgotten (epoch seconds), if that was ever."""
        tombstone = await self._read(wire.ANALYTICS, user, slots.TOMBSTONE)
        return tombstone.at if tombstone else None

    async def forgotten_since(self, user: str, at: float | None) -> bool:
        """Was the user forgotten after that time? Of an unknown one nobody can say."""
        forgotten = None if at is None else await self.forgotten_at(user)
        return at is not None and forgotten is not None and at <= forgotten

    async def mark(self, user: str, conversation: str) -> int:
        """The number of the last event of a conversation that memory has applied."""
        slot = slots.mark(conversation)
        mark = await self._read(wire.MEMORY, ids.memory_id(user), slot)
        return (mark or Mark()).seq

    async def history(self, conversation: str, pairs: int, before: int | None = None) -> TurnPage:
        """The last pairs that are visible.

        Args:
            conversation: Its id.
            pairs: How many, at most.
            before: A turn number; only pairs below it. None begins at the newest.
        """
        head = await self.head(conversation)
        last = head.seq if before is None else min(head.seq, before - 1)
        first = max(head.start + 1, last - pairs + 1)
        if last < first:
            return TurnPage((), None)
        shown = await self._newest(conversation, head, first, last)
        return TurnPage(shown, shown[0].seq if shown and shown[0].seq > head.start + 1 else None)

    async def turn(self, conversation: str, turn_id: str) -> TurnState:
        """Where a turn is.

        Raises:
            NotFound: It is not saved, not yet or not any more.
            Gone: Its answer was cleared.
        """
        head = await self.head(conversation)
        record = await self._record(conversation, head, turn_id)
        if record is not None:
            return await self._ended(conversation, head, record)
        queued = find_queued(head.queue, turn_id, "")
        if queued is None:
            raise NotFound(f"There is no saved turn {turn_id!r} in this conversation.")
        running = queued is head.queue[0]
        return TurnState(turn_id, "running" if running else "queued")

    async def known(self, conversation: str, turn: Turn) -> TurnState | None:
        """Where a turn is that is sent again, as ChatAgent would say; None where it is new.

        Raises:
            NotFound: The conversation belongs to another user.
            Gone: The conversation was closed, or the turn's answer was cleared.
            Invalid: Its key was used with another message.
        """
        head = await self.head(conversation)
        if head.user and head.user != turn.user:
            raise NotFound("There is no such conversation of this user.")
        if head.ended == "closed":
            raise Gone("This session was deleted with its user; begin another one.")
        record = await self._record(conversation, head, turn.turn_id, turn.key_hash)
        queued = find_queued(head.queue, turn.turn_id, turn.key_hash)
        found = record or (queued.turn if queued else None)
        if found is not None and found.body_hash != turn.body_hash:
            raise Invalid("This Idempotency-Key was used with another message.")
        if record is not None:
            return await self._ended(conversation, head, record)
        return TurnState(queued.turn.turn_id, "queued") if queued else None

    async def _ended(self, conversation: str, head: Head, record: OutcomeRecord) -> TurnState:
        if record.seq is None:
            return TurnState(record.turn_id, record.status, error=record.error)
        pair = None
        if record.seq > head.start:
            found = await self.pairs(conversation, head, record.seq, record.seq)
            pair = find_pair(found, record.seq)
        if pair is None:
            raise Gone("The answer of this turn was cleared.", turn_id=record.turn_id)
        return TurnState(record.turn_id, "done", pair.output)

    async def _record(
        self, conversation: str, head: Head, turn_id: str, key_hash: str = ""
    ) -> OutcomeRecord | None:
        found = find_record(head.recent, turn_id, key_hash)
        if found is not None:
            return found
        numbers = older_records(head, self._outcomes_kept)
        older = await self._read_all(conversation, [slots.records(n) for n in numbers])
        for document in reversed(older):
            found = document.find(turn_id, key_hash)
            if found is not None:
                return found
        return None

    async def _newest(
        self, conversation: str, head: Head, first: int, last: int
    ) -> tuple[Pair, ...]:
        """Pairs first … last, or the newest of them that fit in a page; at least one batch."""
        shown: tuple[Pair, ...] = ()
        while first <= last and sum(pair.size for pair in shown) < PAGE_BYTES:
            batch = max(first, first_of(segment_of(last) - BATCH + 1))
            shown = (*await self.pairs(conversation, head, batch, last), *shown)
            last = batch - 1
        return shown

    async def pairs(self, conversation: str, head: Head, first: int, last: int) -> tuple[Pair, ...]:
        """Pairs first … last, from the head's tail and the segments below it."""
        shown = {pair.seq: pair for pair in head.tail}
        numbers = [
            number
            for number in range(segment_of(first), segment_of(last) + 1)
            if any(seq not in shown for seq in range(first, last + 1) if segment_of(seq) == number)
        ]
        for document in await self._read_all(conversation, [slots.segment(n) for n in numbers]):
            shown.update((pair.seq, pair) for pair in document.pairs)
        return tuple(shown[seq] for seq in range(first, last + 1) if seq in shown)

    async def _read_all(self, conversation: str, wanted: Sequence[Slot[D]]) -> list[D]:
        """Those of the documents that are there, in order."""
        reads = (self._read(wire.CHAT, conversation, slot) for slot in wanted)
        return [document for document in await asyncio.gather(*reads) if document is not None]

    async def _read(self, actor_type: str, actor_id: str, slot: Slot[D]) -> D | None:
        return await self._store.read(ActorRef(actor_type, actor_id), slot)
