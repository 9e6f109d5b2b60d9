"""The documents that actors store.

    actor              key               document          holds
    ChatAgent          head              Head              all that a turn needs
                       h<n>              Segment           turns 8n+1 … 8n+8, moved out of the head
                       r<n>              OutcomeRecords    outcomes 16n … 16n+15, moved out of it
                       schedules         Schedules         (in `protocol.schedules`)
    MemoryAgentActor   memory            Memory            the user's last messages
                       profile           Profile           who the user is
    UserSessionActor   exchanges         LastExchanges     the user's last exchanges
                       preferences       UserPreferences
                       sessions, p<n>    SessionIndex, SessionPage
                       phone             PhoneNumber       (in `protocol.notifications`)
    AnalyticsActor     analytics         Analytics         message and token counts
    NotificationActor  notices           NotificationLog   (in `protocol.notifications`)
    these four         s:<conversation>  Mark              the last event applied
                       tombstone         Tombstone         when the user was forgotten
    DeadLetterActor    index, p<n>       LetterIndex, LetterPage
                       l:<id>            Letter            an event that was given up

Three properties hold for all of them:

- A document is a frozen value. It is replaced, never changed, so a failed save leaves
  nothing half changed in memory (rule 2, docs/protocol.md).
- A document is bounded. A turn reads and writes little but the head, however long the conversation:
  what has no room there moves to a document of its own, in the same transaction.
- A document is stored as JSON with the version of its schema under `v`. A new field needs a default
  and a new version; `versions` then reads what older releases have stored.

No document lists unsent events: the turns above a consumer's `Mark` are the outbox (I4).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

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
"""Largest size of the head's pairs; above it they move to their segment early."""
RECENT = 32
"""Outcome records in the head; when there are more, the older half moves to a document."""
RECORDS = RECENT // 2
"""Outcome records of such a document."""
LETTERS = 64
"""Largest number of dead letters on a page."""


# -- ChatAgent ------------------------------------------------------------------------------------


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
    return next((each for each in reversed(records) if is_turn(each, turn_id, key_hash)), None)


def is_turn(found: OutcomeRecord | Turn, turn_id: str, key_hash: str) -> bool:
    """Whether a stored turn has this id, or this hash of a key if it is not empty."""
    return found.turn_id == turn_id or bool(key_hash and found.key_hash == key_hash)


def segment_of(seq: int) -> int:
    """The number of the segment to which pair `seq` belongs."""
    return (seq - 1) // SEGMENT


def first_of(segment: int) -> int:
    """The number of a segment's first pair."""
    return segment * SEGMENT + 1


# -- consumers of events --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Mark:
    """The last event of a conversation that a consumer has applied.

    It is saved with the event's effect, in one transaction, and has no gaps: an event that comes
    too early is refused (4.11, 4.12). Each conversation has a key of its own, so that no document
    grows with their number. Messages up to turn `forgotten` are forgotten.
    """

    v: int = 2
    seq: int = 0
    forgotten: int = 0


@dataclass(frozen=True, slots=True)
class Tombstone:
    """When the user was forgotten, in epoch seconds; an event published before has no effect."""

    v: int = 1
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Origin:
    """The turn of a remembered message; `seq` is 0 if it has no number."""

    conversation: str = ""
    seq: int = 0


@dataclass(frozen=True, slots=True)
class Memory:
    """A user's last messages and replies, over all conversations.

    Attributes:
        seen: The ids of the last events from other services.
        events: Applied events; never goes back.
        summarised: The user's summary covers this many of them.
        fresh: The messages of the events after those, each shortened, for the next summary.
        origins: The turns of the last `entries`, one for each.
        fresh_origins: The same for `fresh`.
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
    """Who a user is; None where it is not known.

    With `summed_up` the summary was made from the user's messages, not given by a caller.
    """

    v: int = 2
    name: str | None = None
    preferred_style: str | None = None
    user_summary: str | None = None
    summed_up: bool = False

    def person(self, user: str) -> Person:
        """The user, with the defaults of a new user for what is not known."""
        new = Person.new(user)
        return Person(
            self.name or new.name,
            self.preferred_style or new.preferred_style,
            self.user_summary or new.user_summary,
        )


@dataclass(frozen=True, slots=True)
class LastExchanges:
    """A user's last exchanges over all conversations, oldest first; fields as in `Memory`."""

    v: int = 2
    exchanges: tuple[SessionExchange, ...] = ()
    seen: tuple[str, ...] = ()
    origins: tuple[Origin, ...] = ()


@dataclass(frozen=True, slots=True)
class UserPreferences:
    """A user's preferences, by name."""

    v: int = 1
    values: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class SessionIndex:
    """The pages of a user's sessions, `first` to `last`; those below `open` are being deleted."""

    v: int = 1
    first: int = 0
    last: int = 0
    open: int = 0


@dataclass(frozen=True, slots=True)
class SessionPage:
    """Session ids, in the order in which the sessions were opened."""

    v: int = 1
    session_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelUse:
    """A user's messages to one model, and their tokens."""

    messages: int = 0
    input_tokens: int = 0
    output_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Analytics:
    """A user's message and token counts; `seen` are the ids of the last turns counted."""

    v: int = 1
    message_count: int = 0
    usage: Usage = field(default_factory=Usage)
    models: tuple[tuple[str, ModelUse], ...] = ()
    seen: tuple[str, ...] = ()


# -- dead letters ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter. `page` is the number of the page that lists it; `at` is in epoch seconds."""

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
    """Dead letters, oldest first; an empty page is not stored."""

    v: int = 1
    letters: tuple[ListedLetter, ...] = ()


@dataclass(frozen=True, slots=True)
class LetterIndex:
    """The pages of dead letters, `first` to `last`, and how many letters they list."""

    v: int = 1
    first: int = 0
    last: int = 0
    count: int = 0
