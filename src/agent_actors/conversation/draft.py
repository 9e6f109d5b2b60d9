"""A new head under construction, and the documents that are saved with it."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from typing import Any, Literal

from agent_actors.observability import tracing
from agent_actors.protocol.messages import Problem, Reply, Turn
from agent_actors.protocol.schedules import Schedules
from agent_actors.settings import Settings
from agent_actors.state import slots
from agent_actors.state.documents.conversation import (
    RECENT,
    RECORDS,
    SEGMENT,
    SEGMENT_BYTES,
    EarlierSummary,
    Head,
    OutcomeRecord,
    OutcomeRecords,
    Pair,
    QueuedTurn,
    Segment,
    segment_of,
)
from agent_actors.state.slots import Slot
from agent_actors.state.store import Changes

LoadSegment = Callable[[int], Awaitable[tuple[Pair, ...]]]
"""Reads the stored pairs of a segment."""

ERASE = 20
"""Largest number of segments that one tick erases."""


class Draft:
    """Changes to a conversation that are saved in one transaction, or not at all.

    A method that moves pairs or records out of the head puts their documents into the same
    transaction, so a crash can never leave one without the other (4.17 and 4.24, docs/protocol.md).
    The head it is made of is not changed; `Draft.head` is the new one.
    """

    def __init__(self, head: Head, settings: Settings) -> None:
        self.head = head
        self._settings = settings
        self._documents: dict[Slot[Any], Segment | OutcomeRecords | Schedules | None] = {}

    @property
    def changes(self) -> Changes:
        """The documents to save."""
        return {slots.HEAD: self.head, **self._documents}

    def own(self, user: str) -> None:
        """Makes the user the owner, if the conversation has none."""
        if not self.head.user:
            self.head = replace(self.head, user=user)

    # -- the queue --------------------------------------------------------------------------------

    def enqueue(self, turn: Turn, tries: int) -> None:
        """Adds a turn to the queue, together with the current trace."""
        queued = QueuedTurn(turn, tries, tracing.traceparent() or "")
        self.head = replace(self.head, queue=(*self.head.queue, queued), ended="")

    def dequeue(self, turn_id: str) -> None:
        """Removes a turn; if another one becomes the first, that counts as its first start."""
        rest = tuple(queued for queued in self.head.queue if queued.turn.turn_id != turn_id)
        if rest and rest[0] is not self.head.queue[0]:
            rest = (replace(rest[0], tries=1), *rest[1:])
        self.head = replace(self.head, queue=rest)

    def count_start(self) -> None:
        """Counts another start of the queue's first turn."""
        first, *rest = self.head.queue
        again = replace(first, tries=first.tries + 1)
        self.head = replace(self.head, queue=(again, *rest))

    # -- outcomes ---------------------------------------------------------------------------------

    async def append(self, turn: Turn, reply: Reply, at: datetime, load: LoadSegment) -> Pair:
        """Adds a done turn: its pair, and its outcome record."""
        when = at.isoformat()
        pair = Pair(self.head.seq + 1, turn.turn_id, turn.message, reply, when, turn.schedule)
        tail = self.head.tail
        if tail and (
            segment_of(tail[0].seq) != segment_of(pair.seq)
            or sum(each.size for each in tail) + pair.size > SEGMENT_BYTES
        ):
            # It moves to its segment, behind the pairs that were moved there early (4.27).
            number = segment_of(tail[0].seq)
            begun: tuple[Pair, ...] = ()
            if (tail[0].seq - 1) % SEGMENT:
                begun = await load(number)
            self._documents[slots.segment(number)] = Segment(pairs=(*begun, *tail))
            tail = ()
        tail = (*tail, pair)
        start = self.head.start
        if self._settings.history_turns:
            start = max(start, pair.seq - self._settings.history_turns)
        self.head = replace(self.head, seq=pair.seq, start=start, tail=tail, ended="")
        self.record(turn, "done", seq=pair.seq)
        return pair

    def record(
        self,
        turn: Turn,
        status: Literal["done", "failed", "cancelled"],
        *,
        seq: int | None = None,
        error: Problem | None = None,
    ) -> None:
        """Adds an outcome record; if there are too many, the older half moves to a document."""
        recent = self.head.recent
        number = recent[-1].no + 1 if recent else 0
        key, body = turn.key_hash, turn.body_hash
        recent = (*recent, OutcomeRecord(number, turn.turn_id, key, body, status, seq, error))
        if len(recent) > RECENT:
            number = recent[0].no // RECORDS
            self._documents[slots.records(number)] = OutcomeRecords(records=recent[:RECORDS])
            forgotten = number - self._settings.outcomes_kept // RECORDS
            if forgotten >= 0:
                self._documents[slots.records(forgotten)] = None
            recent = recent[RECORDS:]
        self.head = replace(self.head, recent=recent)

    # -- clearing ---------------------------------------------------------------------------------

    def clear(self, cancelled: Problem) -> None:
        """Hides every pair, and ends every queued turn as cancelled."""
        for queued in self.head.queue:
            self.record(queued.turn, "cancelled", error=cancelled)
        seq = self.head.seq
        self.head = replace(self.head, queue=(), start=seq, earlier=EarlierSummary(seq))

    def owe_clearing(self, upto: int) -> None:
        """Notes up to which pair memory and last exchanges have to forget; 0 for none."""
        self.head = replace(self.head, clearing=upto)

    def end(self, how: Literal["forgotten", "closed"]) -> None:
        """Notes that the user was forgotten: until the next turn, or for good."""
        self.head = replace(self.head, ended=how)

    def keep_schedules(self, schedules: Schedules | None) -> None:
        """Replaces the schedules."""
        self._documents[slots.SCHEDULES] = schedules

    async def erase(self, upto: int, load: LoadSegment) -> None:
        """Deletes the pairs up to a number, some segments at a time.

        Only a segment that is deleted in part is read.
        """
        first = segment_of(self.head.low)
        last = min(segment_of(upto), first + ERASE - 1)
        upto = min(upto, (last + 1) * SEGMENT)
        for number in range(first, last + 1):
            rest: tuple[Pair, ...] = ()
            if upto < (number + 1) * SEGMENT:
                rest = tuple(pair for pair in await load(number) if pair.seq > upto)
            self._documents[slots.segment(number)] = Segment(pairs=rest) if rest else None
        tail = tuple(pair for pair in self.head.tail if pair.seq > upto)
        self.head = replace(self.head, tail=tail, low=upto + 1)
