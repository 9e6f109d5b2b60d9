"""A new head under construction, with the documents that are saved with it in one transaction."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from agent_actors.observability import tracing
from agent_actors.protocol.messages import Problem, Reply, Turn
from agent_actors.protocol.schedules import Schedules
from agent_actors.state import slots
from agent_actors.state.documents import (
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
"""The stored pairs of a segment, by its number; none where there is none."""

ERASE = 20
"""Segments that one tick erases."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a turn ended: with a pair's number, or with an error."""

    status: Literal["done", "failed", "cancelled"]
    seq: int | None = None
    error: Problem | None = None


class Draft:
    """Changes to a head; nothing is visible until `changes` are saved.

    Args:
        head: The head as it was last saved; it is not changed.
        outcomes_kept: Outcome records to keep.
        history_turns: Pairs to keep visible; 0 keeps all.
    """

    def __init__(self, head: Head, *, outcomes_kept: int, history_turns: int = 0) -> None:
        self.head = head
        self._outcomes_kept = outcomes_kept
        self._history_turns = history_turns
        self._documents: dict[Slot[Any], Segment | OutcomeRecords | Schedules | None] = {}

    @property
    def changes(self) -> Changes:
        """What to save, in one transaction."""
        return {slots.HEAD: self.head, **self._documents}

    def own(self, user: str) -> None:
        """Writes the owner down, once and for ever."""
        self.head = replace(self.head, user=self.head.user or user)

    def enqueue(self, turn: Turn, tries: int) -> None:
        """Accepts a turn that has not ended; it will go on in the trace that runs here, if any."""
        queued = QueuedTurn(turn, tries, tracing.traceparent() or "")
        self.head = replace(self.head, queue=(*self.head.queue, queued), ended="")

    def keep_schedules(self, schedules: Schedules | None) -> None:
        """Replaces the schedules, in the same transaction."""
        self._documents[slots.SCHEDULES] = schedules

    def dequeue(self, turn_id: str) -> None:
        """Takes a turn out of the queue; the next one becomes its head and is started once."""
        rest = tuple(queued for queued in self.head.queue if queued.turn.turn_id != turn_id)
        if rest and rest[0] is not self.head.queue[0]:
            rest = (replace(rest[0], tries=1), *rest[1:])
        self.head = replace(self.head, queue=rest)

    def try_again(self) -> None:
        """Counts another start of the queue's head, before it is started."""
        first, *rest = self.head.queue
        again = replace(first, tries=first.tries + 1)
        self.head = replace(self.head, queue=(again, *rest))

    def record(self, turn: Turn, ending: Ending) -> None:
        """Writes down how a turn ended; a full head moves its older half into a document."""
        recent = self.head.recent
        number = recent[-1].no + 1 if recent else 0
        recent = (
            *recent,
            OutcomeRecord(
                number,
                turn.turn_id,
                turn.key_hash,
                turn.body_hash,
                ending.status,
                ending.seq,
                ending.error,
            ),
        )
        if len(recent) > RECENT:
            recent = self._move_records(recent)
        self.head = replace(self.head, recent=recent)

    async def append(self, turn: Turn, reply: Reply, at: datetime, load: LoadSegment) -> Pair:
        """Adds the turn's pair and its record; a full tail is put away as a segment first."""
        when = at.isoformat()
        pair = Pair(self.head.seq + 1, turn.turn_id, turn.message, reply, when, turn.schedule)
        if self._closes(pair):
            await self._close(load)
        start = self.head.start
        if self._history_turns:
            start = max(start, pair.seq - self._history_turns)
        tail = (*self.head.tail, pair)
        self.head = replace(self.head, seq=pair.seq, start=start, tail=tail, ended="")
        self.record(turn, Ending("done", pair.seq))
        return pair

    def clear(self, cancelled: Problem) -> None:
        """Hides every pair and ends every queued turn as cancelled."""
        for queued in self.head.queue:
            self.record(queued.turn, Ending("cancelled", error=cancelled))
        seq = self.head.seq
        self.head = replace(self.head, queue=(), start=seq, earlier=EarlierSummary(seq))

    def forget_cleared(self) -> None:
        """Notes that memory and session are to forget what was cleared."""
        self.head = replace(self.head, clearing=self.head.seq)

    def cleared_is_forgotten(self) -> None:
        """They have."""
        self.head = replace(self.head, clearing=0)

    def end(self, how: Literal["forgotten", "closed"]) -> None:
        """Notes that the user was forgotten: until the next turn, or for ever."""
        self.head = replace(self.head, ended=how)

    async def erase(self, gone: int, load: LoadSegment) -> None:
        """Deletes pairs up to number `gone`, some segments at a time; whole ones are not read."""
        first = segment_of(self.head.low)
        last = min(segment_of(gone), first + ERASE - 1)
        gone = min(gone, (last + 1) * SEGMENT)
        for number in range(first, last + 1):
            await self._erase_segment(number, gone, load)
        tail = tuple(pair for pair in self.head.tail if pair.seq > gone)
        self.head = replace(self.head, tail=tail, low=gone + 1)

    async def _erase_segment(self, number: int, gone: int, load: LoadSegment) -> None:
        kept: tuple[Pair, ...] = ()
        if gone < (number + 1) * SEGMENT:
            kept = tuple(pair for pair in await load(number) if pair.seq > gone)
        self._documents[slots.segment(number)] = Segment(pairs=kept) if kept else None

    def _closes(self, pair: Pair) -> bool:
        tail = self.head.tail
        if not tail:
            return False
        if segment_of(tail[0].seq) != segment_of(pair.seq):
            return True
        return sum(each.size for each in tail) + pair.size > SEGMENT_BYTES

    async def _close(self, load: LoadSegment) -> None:
        """Puts the tail away; a segment closed early by its size is continued, not overwritten."""
        tail = self.head.tail
        number = segment_of(tail[0].seq)
        begun: tuple[Pair, ...] = ()
        if (tail[0].seq - 1) % SEGMENT:
            begun = await load(number)
        self._documents[slots.segment(number)] = Segment(pairs=(*begun, *tail))
        self.head = replace(self.head, tail=())

    def _move_records(self, recent: tuple[OutcomeRecord, ...]) -> tuple[OutcomeRecord, ...]:
        number = recent[0].no // RECORDS
        self._documents[slots.records(number)] = OutcomeRecords(records=recent[:RECORDS])
        forgotten = number - self._outcomes_kept // RECORDS
        if forgotten >= 0:
            self._documents[slots.records(forgotten)] = None
        return recent[RECORDS:]
