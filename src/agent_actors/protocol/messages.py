"""The values that travel: between routes, actors, the model and the topic. All are frozen."""

from dataclasses import dataclass, field
from typing import Literal

from agent_actors.errors import AgentError, Blank, Deferred, Invalid, Refused, Retry, TooLarge

Role = Literal["user", "assistant"]
TurnStatus = Literal["queued", "running", "done", "failed", "cancelled"]


@dataclass(frozen=True, slots=True)
class Message:
    """One thing that was said."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Usage:
    """What a model call consumed, in the model's own tokens."""

    input_tokens: int = 0
    output_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Problem:
    """An error as it travels between actors; `errors` says what each status means."""

    status: int
    title: str
    detail: str
    retry: Retry = "no"
    turn_id: str | None = None
    retry_after: float | None = None

    @classmethod
    def of(cls, error: AgentError) -> "Problem":
        """What a caller is told of an error."""
        return cls(
            error.status,
            error.title,
            error.detail,
            error.retry,
            error.turn_id,
            error.retry_after,
        )

    def error(self) -> Refused:
        """The same, to be raised at the caller."""
        kind = Deferred if self.status in {429, 503} else Refused
        return kind(
            self.status,
            self.title,
            self.detail,
            retry=self.retry,
            turn_id=self.turn_id,
            retry_after=self.retry_after,
        )


@dataclass(frozen=True, slots=True)
class Reply:
    """A model's answer, as it is saved with the turn.

    `items` is what the model's run left behind, as the JSON text of a list: tool calls, their
    results, and the answer, in the form of the library that made them. It is empty where the
    answer is all there is. It is text because a state store may alter JSON numbers.
    """

    content: str
    model: str = ""
    usage: Usage = field(default_factory=Usage)
    items: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """A turn's end without an answer."""

    error: Problem


Outcome = Reply | Failure


@dataclass(frozen=True, slots=True)
class Turn:
    """A message on its way to an answer.

    `turn_id` is derived from conversation, key and body where there is an idempotency key
    (`contracts.turn_id`), else a UUIDv7 made at the edge; `key_hash` is empty without a key.
    `schedule` is the schedule that says it; empty where its user does.
    """

    turn_id: str
    key_hash: str
    body_hash: str
    user: str
    message: Message
    schedule: str = ""


@dataclass(frozen=True, slots=True)
class ProcessTurn:
    """`ChatAgent.ProcessMessage`: run this turn, and wait for it at most `wait` seconds."""

    turn: Turn
    wait: float


@dataclass(frozen=True, slots=True)
class TurnState:
    """Where a turn is: with its `reply` when it is done, its `error` when it failed."""

    turn_id: str
    status: TurnStatus
    reply: Reply | None = None
    error: Problem | None = None


@dataclass(frozen=True, slots=True)
class Exchange:
    """A committed pair, as the model sees it; `items` as in `Reply`."""

    input: Message
    output: Message
    items: str = ""


@dataclass(frozen=True, slots=True)
class Person:
    """What is known of a user."""

    name: str
    preferred_style: str
    user_summary: str

    @classmethod
    def new(cls, user: str) -> "Person":
        """A user of whom nothing is known yet."""
        return cls(user, "casual", f"{user} is a new user.")


@dataclass(frozen=True, slots=True)
class MemorySnapshot:
    """`MemoryAgentActor.Recall`: the user's last entries, newest last, and who the user is."""

    entries: tuple[Message, ...]
    person: Person


@dataclass(frozen=True, slots=True)
class ResponseRequest:
    """`ResponseAgent.ProcessMessage`: everything it needs of the turn; it stores nothing.

    `number` is this turn's number from 1; `earlier` sums up what the conversation had before its
    `window`. With `start` an unknown turn is started, without it is answered *unknown*. `wait` is
    in seconds; 0 never waits for the model.
    """

    conversation: str
    turn_id: str
    user: str
    number: int
    message: Message
    window: tuple[Exchange, ...]
    start: bool
    wait: float
    earlier: str = ""


@dataclass(frozen=True, slots=True)
class ResponseState:
    """What ResponseAgent knows of a turn. `outcome` is there when it is done."""

    state: Literal["done", "running", "unknown"]
    outcome: Outcome | None = None


@dataclass(frozen=True, slots=True)
class CompleteTurn:
    """`ChatAgent.CompleteTurn`: the end of a parked turn, delivered by the model's task."""

    turn_id: str
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class AdoptTurn:
    """`ChatAgent.AdoptTurn`: a turn that ended elsewhere, to be committed once.

    Another service has answered it, or a workflow has carried it to its end.
    """

    turn: Turn
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class ConversationSummary:
    """`ChatAgent.SumUp`: a summary of the pairs up to number `upto`.

    It replaces the one that reached up to `after`; where that is not there any more, it is ignored.
    """

    after: int
    upto: int
    text: str


@dataclass(frozen=True, slots=True)
class ForgetConversation:
    """`ChatAgent.Forget`: clear the conversation for its user; with `close`, for ever."""

    user: str
    close: bool


@dataclass(frozen=True, slots=True)
class MarkRequest:
    """`MemoryAgentActor.GetMark`: up to which turn of this conversation are events effective?"""

    conversation: str


@dataclass(frozen=True, slots=True)
class EventResult:
    """What became of an event: applied now or before, or too early because one is missing."""

    status: Literal["applied", "duplicate", "gap"]


@dataclass(frozen=True, slots=True)
class UserSummary:
    """`MemoryAgentActor.KeepSummary`: a summary of the user that knows the first `events` events.

    Ignored where memory has a newer one, or has forgotten the user since.
    """

    events: int
    user_summary: str


@dataclass(frozen=True, slots=True)
class HighWaterMark:
    """Events of a conversation up to number `seq` are over: what still comes is a duplicate."""

    conversation: str
    seq: int


@dataclass(frozen=True, slots=True)
class ForgetUser:
    """`Forget` of a consumer: drop everything but the marks, which move up to `passed`.

    Foreign events that were published up to `at` (epoch seconds) have no effect any more.
    """

    passed: tuple[HighWaterMark, ...]
    at: float


@dataclass(frozen=True, slots=True)
class OpenSession:
    """`UserSessionActor.OpenSession`: the user is about to begin this session."""

    session_id: str


@dataclass(frozen=True, slots=True)
class Sessions:
    """A page of the sessions of a user; `next` is the number of the page after it."""

    session_ids: tuple[str, ...]
    next: int | None = None


@dataclass(frozen=True, slots=True)
class SessionExchange:
    """What a user said, and what was answered, as UserSessionActor keeps it."""

    message: str
    reply: str


def check_message(message: Message, limit: int) -> None:
    """Refuses what no turn is made of.

    Raises:
        Blank: The content is empty or white space.
        Invalid: It is no text: JSON can write half a character, UTF-8 cannot.
        TooLarge: It has more than `limit` bytes in UTF-8.
    """
    if not message.content.strip():
        raise Blank("The message has no content.")
    try:
        size = len(message.content.encode())
    except UnicodeEncodeError:
        raise Invalid("The message's content has half of a surrogate pair.") from None
    if size > limit:
        raise TooLarge(f"The message's content has more than {limit} bytes.")


def text(value: str) -> str:
    """The value itself if it is text.

    Raises:
        ValueError: JSON can write half a character, UTF-8 cannot.
    """
    try:
        value.encode()
    except UnicodeEncodeError:
        msg = "it has half of a surrogate pair"
        raise ValueError(msg) from None
    return value
