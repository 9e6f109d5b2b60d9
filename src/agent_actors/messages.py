"""The values that travel: between routes, actors, the model and the topic. All are frozen."""

from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from typing import Any, Literal

from agent_actors.errors import AgentError, Deferred, Refused, Retry

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

    @classmethod
    def of(cls, error: AgentError) -> "Problem":
        """What a caller is told of an error."""
        return cls(error.status, error.title, error.detail, error.retry, error.turn_id)

    def error(self) -> Refused:
        """The same, to be raised at the caller."""
        kind = Deferred if self.status in {429, 503} else Refused
        return kind(self.status, self.title, self.detail, retry=self.retry, turn_id=self.turn_id)


@dataclass(frozen=True, slots=True)
class Reply:
    """A model's answer, as it is saved with the turn."""

    content: str
    model: str = ""
    usage: Usage = field(default_factory=Usage)


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
    """

    turn_id: str
    key_hash: str
    body_hash: str
    user: str
    message: Message


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
    """A committed pair, as the model sees it."""

    input: Message
    output: Message


@dataclass(frozen=True, slots=True)
class Respond:
    """`ResponseAgent.ProcessMessage`: everything it needs of the turn; it stores nothing.

    `number` is this turn's number from 1. With `start` an unknown turn is started, without it is
    answered *unknown*. `wait` is in seconds; 0 never waits for the model.
    """

    conversation: str
    turn_id: str
    user: str
    number: int
    message: Message
    window: tuple[Exchange, ...]
    start: bool
    wait: float


@dataclass(frozen=True, slots=True)
class Responding:
    """What ResponseAgent knows of a turn. `outcome` is there when it is done."""

    state: Literal["done", "running", "unknown"]
    outcome: Outcome | None = None


@dataclass(frozen=True, slots=True)
class CompleteTurn:
    """`ChatAgent.CompleteTurn`: the end of a parked turn, delivered by the model's task."""

    turn_id: str
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class MarkOf:
    """`MemoryAgentActor.GetMark`: up to which turn of this conversation are events effective?"""

    conversation: str


@dataclass(frozen=True, slots=True)
class Remember:
    """`MemoryAgentActor.UpdateMemory`: one exchange, effective once.

    With `seq` it is event number `seq` of the conversation; without, a foreign event that is
    effective once per `event_id`.
    """

    conversation: str
    event_id: str
    input: Message
    output: Message
    seq: int | None = None


@dataclass(frozen=True, slots=True)
class Remembered:
    """What became of an event: applied now or before, or too early because one is missing."""

    status: Literal["applied", "duplicate", "gap"]


@dataclass(frozen=True, slots=True)
class ConversationUpdated:
    """A turn was committed: the payload of the event on the topic `user-chat`."""

    version: int
    event_id: str
    event_type: Literal["ConversationUpdated"]
    actor_id: str
    actor_type: str
    history_key: str
    user_id: str
    turn_id: str
    seq: int
    input: Message
    output: Message
    user_message: str
    assistant_reply: str
    model: str
    usage: Usage
    occurred_at: str
    session_id: str | None = None


@dataclass(frozen=True, slots=True)
class CloudEvent:
    """An event on its way to a topic (CloudEvents 1.0, JSON).

    `data` is any JSON value. Events of one `source` and `subject` are delivered in order while
    nothing fails.
    """

    id: str
    source: str
    type: str
    subject: str
    data: Any


@dataclass(frozen=True, slots=True)
class Envelope:
    """An event as it was delivered, byte for byte, as JSON can carry it."""

    data: str
    encoding: Literal["utf-8", "base64"] = "utf-8"

    @classmethod
    def of(cls, event: bytes) -> "Envelope":
        """Text where it is text."""
        try:
            return cls(event.decode())
        except UnicodeDecodeError:
            return cls(b64encode(event).decode(), "base64")

    @property
    def event(self) -> bytes:
        """What was delivered."""
        return self.data.encode() if self.encoding == "utf-8" else b64decode(self.data)


@dataclass(frozen=True, slots=True)
class KeepLetter:
    """`DeadLetterActor.Keep`: an event that could not be applied, on its topic."""

    topic: str
    reason: str
    tries: int
    envelope: Envelope


@dataclass(frozen=True, slots=True)
class ForgetLetter:
    """`DeadLetterActor.Forget`: the letter of that id, if it is on that page."""

    letter_id: str
    page: int


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event that could not be applied, kept so that nothing is lost.

    `at` is an RFC 3339 time, `event` the CloudEvent envelope as it was delivered.
    """

    id: str
    topic: str
    reason: str
    tries: int
    at: str
    event: Any
