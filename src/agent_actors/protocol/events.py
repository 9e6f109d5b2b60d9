"""What is told on the topic `user-chat` beside answered turns."""

from dataclasses import dataclass
from typing import Any, Literal

from agent_actors.protocol.messages import Message, Usage


@dataclass(frozen=True, slots=True)
class ConversationCleared:
    """A conversation was cleared up to turn number `upto`, and is to be forgotten."""

    version: int
    event_id: str
    event_type: Literal["ConversationCleared"]
    actor_id: str
    actor_type: str
    user_id: str
    upto: int
    occurred_at: str
    session_id: str | None = None


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
    floor: int = 0
    schedule: str | None = None


@dataclass(frozen=True, slots=True)
class CloudEvent:
    """An event on its way to a topic (CloudEvents 1.0, JSON).

    `data` is any JSON value. Events of one `source` and `subject` are delivered in order while
    nothing fails. `traceparent` names the trace that the event belongs to (CloudEvents' extension
    for distributed tracing).
    """

    id: str
    source: str
    type: str
    subject: str
    data: Any
    traceparent: str | None = None
