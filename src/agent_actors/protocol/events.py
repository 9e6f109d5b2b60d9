"""Events of the topic `user-chat`: the committed turn, the cleared conversation, the CloudEvent.

A committed turn is a `TurnEvent` everywhere in the service. Only its JSON on the topic has another
form, `ConversationUpdated`, which is made from a `TurnEvent` and read back into one here.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

from agent_actors.protocol import ids, wire
from agent_actors.protocol.codec import adapter
from agent_actors.protocol.messages import Message, Usage


@dataclass(frozen=True, slots=True)
class TurnEvent:
    """One answered message of a user, for the consumers of events.

    Attributes:
        seq: The number of the turn in its conversation. An event of another service has none and
            takes effect once per `event_id`.
        floor: The turns up to this number are erased. They were erased after every consumer of that
            time had applied them, so a consumer that was added later starts after them.
        at: When the event was published, in epoch seconds, if that is known.
        occurred_at: When the turn was committed, as an RFC 3339 time.
        schedule: The schedule that sent the message; empty if the user did.
    """

    conversation: str
    event_id: str
    input: Message
    output: Message
    seq: int | None = None
    turn_id: str = ""
    model: str = ""
    usage: Usage = field(default_factory=Usage)
    floor: int = 0
    at: float | None = None
    occurred_at: str = ""
    user: str = ""
    schedule: str = ""


@dataclass(frozen=True, slots=True)
class ConversationUpdated:
    """The JSON of a `TurnEvent` on the topic `user-chat`."""

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


def turn_payload(event: TurnEvent) -> dict[str, Any]:
    """The JSON object that is published for a turn; `parse_turn` reads it.

    Only our own events have a number; one of another service is a `ValueError`.
    """
    if event.seq is None:
        raise ValueError("An event without a number cannot be published.")
    payload = ConversationUpdated(
        version=wire.EVENT_VERSION,
        event_id=event.event_id,
        event_type="ConversationUpdated",
        actor_id=event.conversation,
        actor_type=wire.CHAT,
        history_key=f"history-{event.conversation}",
        user_id=event.user,
        turn_id=event.turn_id,
        seq=event.seq,
        input=event.input,
        output=event.output,
        user_message=event.input.content,
        assistant_reply=event.output.content,
        model=event.model,
        usage=event.usage,
        occurred_at=event.occurred_at,
        session_id=ids.session_of(event.conversation),
        floor=event.floor,
        schedule=event.schedule or None,
    )
    published: dict[str, Any] = adapter(ConversationUpdated).dump_python(payload, mode="json")
    return published


def parse_turn(data: object) -> TurnEvent:
    """The event of a published JSON object.

    Raises:
        ValidationError: It has not the form of `ConversationUpdated`.
        Invalid: A conversation or a user cannot have this id.
    """
    payload: ConversationUpdated = adapter(ConversationUpdated).validate_python(data)
    return TurnEvent(
        conversation=ids.conversation_id(payload.actor_id),
        event_id=payload.event_id,
        input=payload.input,
        output=payload.output,
        seq=payload.seq,
        turn_id=payload.turn_id,
        model=payload.model,
        usage=payload.usage,
        floor=payload.floor,
        occurred_at=payload.occurred_at,
        user=ids.actor_id(payload.user_id),
        schedule=payload.schedule or "",
    )


@dataclass(frozen=True, slots=True)
class ConversationCleared:
    """The JSON of a clearing on the topic `user-chat`: forget the turns up to number `upto`."""

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
class CloudEvent:
    """An event for a topic (CloudEvents 1.0, JSON).

    `data` is any JSON value. Events with the same `source` and `subject` are delivered in order as
    long as nothing fails. `traceparent` is the trace that the event belongs to, as in the
    CloudEvents extension for distributed tracing.
    """

    id: str
    source: str
    type: str
    subject: str
    data: Any
    traceparent: str | None = None
