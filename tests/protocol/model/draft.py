"""A new head under construction, with the documents that are saved with it in one transaction."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tests.protocol.model.documents import (
    SEGMENT,
    SEGMENT_BYTES,
    Answer,
    Head,
    Pair,
    Queued,
    Record,
    Turn,
    segment_of,
)
from tests.protocol.model.steps import Steps

if TYPE_CHECKING:
    from tests.protocol.model.world import World

LoadSegment = Callable[[int], Steps[tuple[Pair, ...]]]
"""The stored pairs of a segment, by its number; none where there is none."""

ERASE = 2
"""Segments that one tick erases."""


class Draft:
    """Changes to a head; nothing is visible until `changes` are saved.

    Args:
        head: The head as it was last saved.
        world: For its sizes and mutations.
    """

    def __init__(self, head: Head, world: "World") -> None:
        self.head = head
        self._world = world
        self._documents: dict[str, Any] = {}

    @property
    def changes(self) -> dict[str, Any]:
        """What to save, in one transaction."""
        return {"head": self.head, **self._documents}

    def without_record(self, before: Head) -> "Draft":
        """Only for the mutation `split_commit`: the same, without the new record."""
        draft = Draft(replace(self.head, recent=before.recent), self._world)
        draft._documents = self._documents
        return draft

    def enqueue(self, turn: Turn, tries: int) -> None:
        """Accepts a turn that has not ended."""
        queue = (*self.head.queue, Queued(turn, tries))
        self.head = replace(self.head, user=self.head.user or turn.user, queue=queue)

    def dequeue(self, turn: Turn) -> None:
        """Takes a turn out of the queue; if it was the head, the next one starts its first try."""
        before = self.head.queue
        queue = tuple(each for each in before if each.turn.turn_id != turn.turn_id)
        if queue and (queue[0] is not before[0] or self._world.mutated("adopted_restarts_queue")):
            queue = (replace(queue[0], tries=1), *queue[1:])
        self.head = replace(self.head, user=self.head.user or turn.user, queue=queue)

    def try_again(self) -> None:
        """Counts another start of the queue's head."""
        first, *rest = self.head.queue
        self.head = replace(self.head, queue=(replace(first, tries=first.tries + 1), *rest))

    def record(self, turn: Turn, outcome: Answer) -> None:
        """Writes down how a turn ended; a full head moves its older half into a document (4.24)."""
        done = outcome.state == "done"
        self._add_record(turn, self.head.seq if done else 0, "" if done else outcome.text)

    def _add_record(self, turn: Turn, seq: int, error: str) -> None:
        recent = self.head.recent
        number = recent[-1].no + 1 if recent else 0
        recent = (*recent, Record(number, turn.turn_id, turn.key, turn.body, seq, error))
        half, kept = self._world.sizes.recent // 2, self._world.sizes.kept
        if len(recent) > self._world.sizes.recent:
            moved = recent[0].no // half
            if not self._world.mutated("records_dropped"):
                self._documents[f"r{moved}"] = recent[:half]
            recent = recent[half:]
            if moved >= kept // half:
                self._documents[f"r{moved - kept // half}"] = None
        self.head = replace(self.head, recent=recent)

    def append(self, turn: Turn, answer: str, load: LoadSegment) -> Steps[None]:
        """Adds the turn's pair; a full tail is stored as a segment first."""
        size = 2 if turn.body in self._world.long else 1
        pair = Pair(self.head.seq + 1, turn.turn_id, turn.body, answer, size)
        if self._closes(pair):
            yield from self._close(load)
        start, visible = self.head.start, self._world.sizes.visible
        if visible:
            start = max(start, pair.seq - visible)
        self.head = replace(self.head, seq=pair.seq, start=start, tail=(*self.head.tail, pair))

    def _closes(self, pair: Pair) -> bool:
        tail = self.head.tail
        if not tail:
            return False
        if segment_of(tail[0].seq) != segment_of(pair.seq):
            return True
        return sum(each.size for each in tail) + pair.size > SEGMENT_BYTES

    def _close(self, load: LoadSegment) -> Steps[None]:
        """Puts the tail away; a segment that was closed early is continued (4.27)."""
        tail = self.head.tail
        number = segment_of(tail[0].seq)
        begun: tuple[Pair, ...] = ()
        continued = (tail[0].seq - 1) % SEGMENT
        if continued and not self._world.mutated("early_close_overwrites"):
            begun = yield from load(number)
        self._documents[f"h{number}"] = (*begun, *tail)
        self.head = replace(self.head, tail=())

    def clear(self, *, keep_queue: bool = False) -> None:
        """Hides every pair and ends every queued turn as cancelled."""
        if not keep_queue:
            for queued in self.head.queue:
                self._add_record(queued.turn, 0, "cancelled")
            self.head = replace(self.head, queue=())
        self.head = replace(self.head, start=self.head.seq)

    def wipe(self) -> None:
        """Only for the mutation `clear_wipes`: deletes the pairs at once."""
        numbers: Iterable[int] = range(segment_of(self.head.seq) + 1)
        self._documents.update((f"h{number}", None) for number in numbers)
        self.head = replace(self.head, tail=(), low=self.head.seq + 1)

    def erase(self, gone: int, load: LoadSegment) -> Steps[None]:
        """Deletes pairs up to number `gone`, some segments at a time; whole ones are not read."""
        first = segment_of(self.head.low)
        last = min(segment_of(gone), first + ERASE - 1)
        gone = min(gone, (last + 1) * SEGMENT)
        for number in range(first, last + 1):
            kept: tuple[Pair, ...] = ()
            if gone < (number + 1) * SEGMENT:
                kept = tuple(pair for pair in (yield from load(number)) if pair.seq > gone)
            self._documents[f"h{number}"] = kept or None
        tail = tuple(pair for pair in self.head.tail if pair.seq > gone)
        self.head = replace(self.head, tail=tail, low=gone + 1)
