"""The values that routes, actors, the model and the topic exchange. All are frozen."""

from dataclasses import dataclass, field
from typing import Literal

from agent_actors.errors import AgentError, Blank, Deferred, Invalid, Refused, Retry, TooLarge

Role = Literal["user", "assistant"]
TurnStatus = Literal["queued", "running", "done", "failed", "cancelled"]


@dataclass(frozen=True, slots=True)
class Message:
    """A message of a user or of the assistant."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Usage:
    """What a model call consumed, in the model's own tokens."""

    input_tokens: int = 0
    output_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Problem:
    """An error as it travels between actors; `errors` describes each status."""

    status: int
    title: str
    detail: str
    retry: Retry = "no"
    turn_id: str | None = None
    retry_after: float | None = None

    @classmethod
    def of(cls, error: AgentError) -> "Problem":
        """The problem that a caller sees for an error."""
        return cls(
            error.status, error.title, error.detail, error.retry, error.turn_id, error.retry_after
        )

    def error(self) -> Refused:
        """The error that the caller raises."""
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

    `items` has what else the model's run produced, as the JSON text of a list: tool calls, their
    results, and the answer, in the form of the library that made them. It is empty if there is only
    the answer. It is text because a state store may alter JSON numbers.
    """

    content: str
    model: str = ""
    usage: Usage = field(default_factory=Usage)
    items: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """The outcome of a turn that has no answer."""

    error: Problem


Outcome = Reply | Failure


@dataclass(frozen=True, slots=True)
class Turn:
    """A message on its way to an answer.

    With an idempotency key, `turn_id` is derived from conversation, key and body (`ids.turn_id`);
    without one it is a UUIDv7 made at the edge, and `key_hash` is empty. `schedule` is the schedule
    that sent the message; empty if its user did.
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
    """The state of a turn, with its `reply` when it is done or its `error` when it failed."""

    turn_id: str
    status: TurnStatus
    reply: Reply | None = None
    error: Problem | None = None


@dataclass(frozen=True, slots=True)
class Exchange:
    """A message and its answer, as the model sees them; `items` as in `Reply`."""

    input: Message
    output: Message
    items: str = ""


@dataclass(frozen=True, slots=True)
class Person:
    """The profile of a user."""

    name: str
    preferred_style: str
    user_summary: str

    @classmethod
    def new(cls, user: str) -> "Person":
        """The profile of a new user."""
        return cls(user, "casual", f"{user} is a new user.")


@dataclass(frozen=True, slots=True)
class MemorySnapshot:
    """`MemoryAgentActor.Recall`: the user's last entries, newest last, and the profile."""

    entries: tuple[Message, ...]
    person: Person


@dataclass(frozen=True, slots=True)
class ResponseRequest:
    """`ResponseAgent.ProcessMessage`: all that the actor needs of a turn, since it stores nothing.

    `number` is the turn's number, from 1; `earlier` is a summary of the conversation before the
    `window`. With `start` an unknown turn is started; without, the result is *unknown*. `wait` is
    in seconds; with 0 the call does not wait for the model.
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
    """What ResponseAgent knows of a turn, with its `outcome` when it is done."""

    state: Literal["done", "running", "unknown"]
    outcome: Outcome | None = None


@dataclass(frozen=True, slots=True)
class CompleteTurn:
    """`ChatAgent.CompleteTurn`: the outcome of a parked turn, from the model's task."""

    turn_id: str
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class AdoptTurn:
    """`ChatAgent.AdoptTurn`: a turn that ended elsewhere and is committed once.

    Another service has answered it, or a workflow has run it.
    """

    turn: Turn
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class ConversationSummary:
    """`ChatAgent.SumUp`: a summary of the pairs up to number `upto`.

    It replaces the summary up to number `after`, and is ignored if that is not there any more.
    """

    after: int
    upto: int
    text: str


@dataclass(frozen=True, slots=True)
class ForgetConversation:
    """`ChatAgent.Forget`: clear the conversation of a user; with `close`, for good."""

    user: str
    close: bool


@dataclass(frozen=True, slots=True)
class MarkRequest:
    """`GetMark` of a consumer: up to which event of this conversation has it come?"""

    conversation: str


@dataclass(frozen=True, slots=True)
class EventResult:
    """The result of an event: applied now, applied before, or too early (`gap`)."""

    status: Literal["applied", "duplicate", "gap"]


@dataclass(frozen=True, slots=True)
class UserSummary:
    """`MemoryAgentActor.KeepSummary`: a summary of the user, over the first `events` events.

    It is ignored if memory has a newer one, or was erased since.
    """

    events: int
    user_summary: str


@dataclass(frozen=True, slots=True)
class HighWaterMark:
    """The number up to which events of a conversation are done; later copies are duplicates."""

    conversation: str
    seq: int


@dataclass(frozen=True, slots=True)
class ForgetUser:
    """`Forget` of a consumer: erase everything but the marks, which move up to `passed`.

    Foreign events that were published up to `at` (epoch seconds) are not applied any more.
    """

    passed: tuple[HighWaterMark, ...]
    at: float


@dataclass(frozen=True, slots=True)
class OpenSession:
    """`UserSessionActor.OpenSession`: the user is about to open this session."""

    session_id: str


@dataclass(frozen=True, slots=True)
class Sessions:
    """A page of the sessions of a user; `next` is the number of the page after it."""

    session_ids: tuple[str, ...]
    next: int | None = None


@dataclass(frozen=True, slots=True)
class SessionExchange:
    """A message and its reply, as UserSessionActor stores them."""

    message: str
    reply: str


def check_message(message: Message, limit: int) -> None:
    """Checks that a message can become a turn.

    Raises:
        Blank: The content is empty or white space.
        Invalid: The content has half of a surrogate pair, which JSON can write and UTF-8 cannot.
        TooLarge: The content has more than `limit` bytes in UTF-8.
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
    """Returns a string; raises `ValueError` if it has half of a surrogate pair."""
    try:
        value.encode()
    except UnicodeEncodeError:
        msg = "it has half of a surrogate pair"
        raise ValueError(msg) from None
    return value
