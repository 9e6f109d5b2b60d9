"""What is stored (docs/protocol.md, section 1), and how an older form of it is read.

Documents are values: they are replaced, never changed. Each is stored with the version of its
schema under `v`; `UPGRADES` brings an older one up, step by step, when it is read.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, TypeVar, cast

from pydantic import ValidationError
from pydantic_core import from_json

from agent_actors.errors import Defect
from agent_actors.protocol.codec import adapter, fields
from agent_actors.protocol.dead_letters import Envelope
from agent_actors.protocol.messages import (
    Exchange,
    Message,
    Person,
    Problem,
    Reply,
    SessionExchange,
    Turn,
    Usage,
)

SEGMENT = 8
"""Pairs of a segment."""
SEGMENT_BYTES = 262_144
"""What was said in an open segment, at most; a longer one is closed early and continued later."""
RECENT = 32
"""Outcome records in the head; the older half moves into a document of its own."""
RECORDS = RECENT // 2
"""Outcome records of such a document."""
LETTERS = 64
"""Dead letters of a page, at most."""

Document = TypeVar("Document")
Upgrade = Callable[[dict[str, Any]], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Pair:
    """A committed turn: what was said and answered. `occurred_at` is an RFC 3339 time.

    `schedule` is the schedule that said it; empty where its user did.
    """

    seq: int
    turn_id: str
    input: Message
    output: Reply
    occurred_at: str
    schedule: str = ""

    @property
    def exchange(self) -> Exchange:
        """The pair as the model and readers see it."""
        answer = Message("assistant", self.output.content)
        return Exchange(self.input, answer, self.output.items)

    @property
    def size(self) -> int:
        """Bytes of what was said, and of what the tools said."""
        said = (self.input.content, self.output.content, self.output.items)
        return sum(len(each.encode()) for each in said)


@dataclass(frozen=True, slots=True)
class OutcomeRecord:
    """How a turn ended. Records are numbered 0, 1, 2 … without gaps; `seq` is its pair's."""

    no: int
    turn_id: str
    key_hash: str
    body_hash: str
    status: Literal["done", "failed", "cancelled"]
    seq: int | None = None
    error: Problem | None = None


@dataclass(frozen=True, slots=True)
class QueuedTurn:
    """An accepted turn that has not ended: how often it was started, its `traceparent` if any."""

    turn: Turn
    tries: int
    trace: str = ""


@dataclass(frozen=True, slots=True)
class EarlierSummary:
    """What the pairs up to number `upto` were about, for a model that does not see them."""

    upto: int = 0
    text: str = ""


@dataclass(frozen=True, slots=True)
class Head:
    """ChatAgent's own document: all that a turn needs, of bounded size.

    `seq` counts the committed turns and never goes back; up to `start` they are cleared; `low` is
    the oldest pair still stored; `tail` are the pairs of the open segment. `ended` is there when
    the user was forgotten: until the next turn, or for ever where the conversation is `closed`. Up
    to turn `clearing` memory and session are still to forget what was said; 0 where they are not.
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
    """The pairs of a segment that is no longer in the head."""

    v: int = 3
    pairs: tuple[Pair, ...] = ()


@dataclass(frozen=True)
class OutcomeRecords:
    """Sixteen outcome records that are no longer in the head."""

    v: int = 1
    records: tuple[OutcomeRecord, ...] = ()

    def find(self, turn_id: str, key_hash: str) -> OutcomeRecord | None:
        """The newest record of that turn, as `find_record`."""
        if turn_id not in self._names and key_hash not in self._names:
            return None
        return find_record(self.records, turn_id, key_hash)

    @cached_property
    def _names(self) -> frozenset[str]:
        # Every new turn asks all documents that are kept; mostly none of them knows it.
        named = ((record.turn_id, record.key_hash) for record in self.records)
        return frozenset(name for names in named for name in names if name)


@dataclass(frozen=True, slots=True)
class Origin:
    """The turn in which something was said; 0 where it has no number."""

    conversation: str = ""
    seq: int = 0


@dataclass(frozen=True, slots=True)
class Memory:
    """What a user said lately; `seen` are the ids of the last foreign events.

    `events` counts what was applied and never goes back; the user's summary knows the first
    `summarised` of them, and `fresh` is what was said in those after it, each entry cut. `origins`
    and `fresh_origins` say where the last of either are from, one for each.
    """

    v: int = 3
    entries: tuple[Message, ...] = ()
    seen: tuple[str, ...] = ()
    events: int = 0
    summarised: int = 0
    fresh: tuple[Message, ...] = ()
    origins: tuple[Origin, ...] = ()
    fresh_origins: tuple[Origin, ...] = ()


@dataclass(frozen=True, slots=True)
class Profile:
    """Who a user is; None where nobody has said it yet.

    `summed_up` says that the summary was made of what the user said, and not told.
    """

    v: int = 2
    name: str | None = None
    preferred_style: str | None = None
    user_summary: str | None = None
    summed_up: bool = False

    def person(self, user: str) -> Person:
        """What is known, and else what is taken for granted of a new user."""
        new = Person.new(user)
        return Person(
            self.name or new.name,
            self.preferred_style or new.preferred_style,
            self.user_summary or new.user_summary,
        )


@dataclass(frozen=True, slots=True)
class LastExchanges:
    """The last exchanges of a user over all conversations, oldest first.

    `origins` say where the last of them are from, one for each.
    """

    v: int = 2
    exchanges: tuple[SessionExchange, ...] = ()
    seen: tuple[str, ...] = ()
    origins: tuple[Origin, ...] = ()


@dataclass(frozen=True, slots=True)
class UserPreferences:
    """What a user prefers, by name."""

    v: int = 1
    values: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class SessionIndex:
    """Which pages of session ids there may be: from `first` to `last`.

    Those below `open` belong to a user who was forgotten; they go as soon as their sessions are.
    """

    v: int = 1
    first: int = 0
    last: int = 0
    open: int = 0


@dataclass(frozen=True, slots=True)
class SessionPage:
    """Sessions in the order in which they were opened."""

    v: int = 1
    session_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelUse:
    """What one model did for a user."""

    messages: int = 0
    input_tokens: int = 0
    output_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Analytics:
    """How much a user has said, and what it took; `seen` are the last turns that were counted."""

    v: int = 1
    message_count: int = 0
    usage: Usage = field(default_factory=Usage)
    models: tuple[tuple[str, ModelUse], ...] = ()
    seen: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A user was forgotten at this time (epoch seconds): what is older has no effect any more."""

    v: int = 1
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Mark:
    """The last event of a conversation that a consumer has applied, and that it has forgotten."""

    v: int = 2
    seq: int = 0
    forgotten: int = 0


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter; `page` is the one that lists it, `at` is in epoch seconds."""

    topic: str
    reason: str
    tries: int
    at: float
    page: int
    envelope: Envelope
    v: int = 1


@dataclass(frozen=True, slots=True)
class ListedLetter:
    """A dead letter as its page lists it."""

    letter_id: str
    at: float


@dataclass(frozen=True, slots=True)
class LetterPage:
    """The dead letters that came one after another, oldest first; a page without any is absent."""

    v: int = 1
    letters: tuple[ListedLetter, ...] = ()


@dataclass(frozen=True, slots=True)
class LetterIndex:
    """Which pages there may be, from `first` to `last`, and how many letters they list."""

    v: int = 1
    first: int = 0
    last: int = 0
    count: int = 0


def _more_fields(stored: dict[str, Any]) -> dict[str, Any]:
    """To the next version: only fields were added, and they have defaults."""
    return {**stored, "v": stored["v"] + 1}


UPGRADES: Mapping[type, Sequence[Upgrade]] = {
    Head: (_more_fields, _more_fields),
    Segment: (_more_fields, _more_fields),
    Memory: (_more_fields, _more_fields),
    Profile: (_more_fields,),
    Mark: (_more_fields,),
    LastExchanges: (_more_fields,),
}
"""By document: the step from version 1 to 2, from 2 to 3 …"""


def read(
    data: bytes,
    kind: type[Document],
    upgrades: Mapping[type, Sequence[Upgrade]] = UPGRADES,
) -> Document:
    """The stored document, in today's form.

    Raises:
        Defect: It is broken, or was written by a newer release.
    """
    steps = upgrades.get(kind, ())
    try:
        stored = from_json(data)
        # Below 1 there is no version: the slice would count it from the end.
        for step in steps[stored["v"] - 1 :] if stored["v"] > 0 else ():
            stored = step(stored)
        if stored["v"] != len(steps) + 1:
            raise Defect(
                f"The stored {kind.__name__} was written by another release of this service."
            )
        return cast(Document, adapter(kind).validate_python(stored))
    except ValidationError as error:
        raise Defect(f"The stored {kind.__name__} cannot be read: {fields(error)}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise Defect(f"The stored {kind.__name__} cannot be read.") from error


def segment_of(seq: int) -> int:
    """The segment that pair number `seq` belongs to."""
    return (seq - 1) // SEGMENT


def first_of(segment: int) -> int:
    """The number of a segment's first pair."""
    return segment * SEGMENT + 1


def find_pair(pairs: Sequence[Pair], seq: int) -> Pair | None:
    """The pair of that number among these."""
    return next((pair for pair in pairs if pair.seq == seq), None)


def find_record(
    records: Sequence[OutcomeRecord], turn_id: str, key_hash: str
) -> OutcomeRecord | None:
    """The newest record of that turn, by its key if it has one, or by its id."""
    return next((each for each in reversed(records) if _is(each, turn_id, key_hash)), None)


def find_queued(queue: Sequence[QueuedTurn], turn_id: str, key_hash: str) -> QueuedTurn | None:
    """The waiting turn of that key or id."""
    return next((each for each in queue if _is(each.turn, turn_id, key_hash)), None)


def _is(each: OutcomeRecord | Turn, turn_id: str, key_hash: str) -> bool:
    return each.turn_id == turn_id or bool(key_hash and each.key_hash == key_hash)


def older_records(head: Head, kept: int) -> range:
    """The numbers of the record documents below the head's records, oldest first."""
    if not head.recent:
        return range(0)
    first = head.recent[0].no // RECORDS
    return range(max(first - kept // RECORDS, 0), first)
