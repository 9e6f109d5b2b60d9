"""The documents of a ChatAgent: the head of a conversation, and what has left it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from agent_actors.protocol.messages import Exchange, Message, Problem, Reply, Turn

SEGMENT = 8
"""Pairs of a segment."""
SEGMENT_BYTES = 262_144
"""Largest size of the head's pairs; above it they move to their segment early."""
RECENT = 32
"""Outcome records in the head; when there are more, the older half moves to a document."""
RECORDS = RECENT // 2
"""Outcome records of such a document."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A committed turn: the message and its reply.

    Attributes:
        seq: The turn's number in its conversation: 1, 2, 3 … without gaps.
        occurred_at: When it was committed, as an RFC 3339 time.
        schedule: The id of the schedule that sent the message; empty if the user did.
    """

    seq: int
    turn_id: str
    input: Message
    output: Reply
    occurred_at: str
    schedule: str = ""

    @property
    def exchange(self) -> Exchange:
        """The pair as models and readers see it."""
        answer = Message("assistant", self.output.content)
        return Exchange(self.input, answer, self.output.items)

    @property
    def size(self) -> int:
        """Bytes of the message, the reply and the tool calls."""
        texts = (self.input.content, self.output.content, self.output.items)
        return sum(len(text.encode()) for text in texts)


@dataclass(frozen=True, slots=True)
class OutcomeRecord:
    """How a turn ended; a retry gets the same outcome.

    Attributes:
        no: The record's number: 0, 1, 2 … without gaps.
        key_hash: The hash of the idempotency key; empty if the turn had none.
        body_hash: The hash of the message: a key may not be used for another one.
        seq: The number of the turn's pair, if the turn is done.
    """

    no: int
    turn_id: str
    key_hash: str
    body_hash: str
    status: Literal["done", "failed", "cancelled"]
    seq: int | None = None
    error: Problem | None = None


@dataclass(frozen=True, slots=True)
class QueuedTurn:
    """An accepted turn without an outcome.

    Attributes:
        tries: How often it was started; saved before each start, so that a message that kills the
            process is not tried forever (4.10).
        trace: The `traceparent` of its trace; empty if it has none.
    """

    turn: Turn
    tries: int
    trace: str = ""


@dataclass(frozen=True, slots=True)
class EarlierSummary:
    """A summary of the pairs up to number `upto`, for a model that no longer sees them."""

    upto: int = 0
    text: str = ""


@dataclass(frozen=True, slots=True)
class Head:
    """The state of a conversation, whose pairs are numbered 1 … `seq`.

        1 … │ low … start │ start + 1 … seq
        erased  cleared     visible, the last of them in the tail

    Attributes:
        user: The owner; written by the first save and never changed (4.26).
        seq: Committed turns. Clearing does not reset it: consumers would drop the events of a
            number that comes twice as duplicates (4.15).
        start: Pairs up to this number are cleared, and shown to nobody.
        low: The oldest pair that is still stored. Cleared pairs stay until every consumer has
            applied their events (4.14).
        tail: The pairs of the last segment: at most 8, and at most `SEGMENT_BYTES`.
        recent: The last outcome records, at most `RECENT`.
        queue: Accepted turns without an outcome, in order; the first is running.
        ended: Whether the user was forgotten: `forgotten` until the next turn, `closed` for good.
        clearing: Memory and session have yet to forget the pairs up to this number; 0 if none.
    """

    v: int = 3
    user: str = ""
    seq: int = 0
    start: int = 0
    low: int = 1
    tail: tuple[Pair, ...] = ()
    recent: tuple[OutcomeRecord, ...] = ()
    queue: tuple[QueuedTurn, ...] = ()
    earlier: EarlierSummary = EarlierSummary()
    ended: Literal["", "forgotten", "closed"] = ""
    clearing: int = 0


@dataclass(frozen=True, slots=True)
class Segment:
    """Pairs that have left the head; if they left early, for their size, more may follow (4.27)."""

    v: int = 3
    pairs: tuple[Pair, ...] = ()


@dataclass(frozen=True)
class OutcomeRecords:
    """Sixteen outcome records that are no longer in the head."""

    v: int = 1
    records: tuple[OutcomeRecord, ...] = ()

    def find(self, turn_id: str, key_hash: str) -> OutcomeRecord | None:
        """The newest record of a turn; see `find_record`."""
        if turn_id not in self._names and key_hash not in self._names:
            return None
        return find_record(self.records, turn_id, key_hash)

    @cached_property
    def _names(self) -> frozenset[str]:
        # Every new turn is looked up in all sixteen documents, and is nearly always in none.
        names = ((record.turn_id, record.key_hash) for record in self.records)
        return frozenset(name for pair in names for name in pair if name)


def find_record(
    records: Sequence[OutcomeRecord], turn_id: str, key_hash: str
) -> OutcomeRecord | None:
    """The newest record with this turn id, or with this hash of a key if it is not empty."""
    for each in reversed(records):
        if is_turn(each, turn_id, key_hash):
            return each
    return None


def is_turn(found: OutcomeRecord | Turn, turn_id: str, key_hash: str) -> bool:
    """Whether a stored turn has this id, or this hash of a key if it is not empty."""
    return found.turn_id == turn_id or bool(key_hash and found.key_hash == key_hash)


def segment_of(seq: int) -> int:
    """The number of the segment to which pair `seq` belongs."""
    return (seq - 1) // SEGMENT


def first_of(segment: int) -> int:
    """The number of a segment's first pair."""
    return segment * SEGMENT + 1
