"""A CloudEvent of `user-chat`, as daprd delivers it: ours, or of the lesson's producers."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json

from agent_actors.errors import Invalid
from agent_actors.protocol import ids, wire
from agent_actors.protocol.codec import adapter, fields
from agent_actors.protocol.events import ConversationCleared, ConversationUpdated
from agent_actors.protocol.messages import HighWaterMark, Message, TurnEvent


class InvalidEvent(Exception):
    """An event that cannot be applied.

    `for_ever` says whether another release, or a later moment, could.
    """

    def __init__(self, reason: str, event_id: str = "", *, for_ever: bool = True) -> None:
        super().__init__(reason)
        self.reason = reason
        # It is logged, and whoever can publish chooses it.
        self.event_id = "".join(c if c.isprintable() else "?" for c in event_id[:128]) or "(none)"
        self.for_ever = for_ever


@dataclass(frozen=True, slots=True)
class Event:
    """An event for the memory of a user."""

    user: str
    remember: TurnEvent
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class ClearedEvent:
    """A conversation of a user is to be forgotten."""

    user: str
    passed: HighWaterMark
    traceparent: str | None = None


def read_event(body: bytes) -> Event | ClearedEvent:
    """The event in an envelope.

    Raises:
        Unusable: It is no CloudEvent, names no user, or is of a version not known here.
    """
    envelope = read_json(body)
    event_id = str(envelope.get("id") or "")
    data = envelope.get("data")
    if isinstance(data, str):
        # The SDK's `publish_event` sends text/plain unless told otherwise
        # (docs/dapr-behaviour.md#pubsub).
        data = read_json(data.encode())
    if not isinstance(data, dict):
        raise InvalidEvent("the event has no data", event_id)
    try:
        return _traced(_read(data, event_id, envelope), envelope.get("traceparent"))
    except ValidationError as error:
        raise InvalidEvent(fields(error), event_id) from None
    except Invalid as error:
        raise InvalidEvent(error.detail, event_id) from None


def _read(
    data: Mapping[str, Any], event_id: str, envelope: Mapping[str, Any]
) -> Event | ClearedEvent:
    if data.get("event_type") == wire.CLEARED_TYPE:
        return _cleared(data)
    return _ours(data) if "seq" in data else _foreign(data, event_id, published(envelope))


def _traced(event: Event | ClearedEvent, told: object) -> Event | ClearedEvent:
    """The event with the trace that its envelope names."""
    return replace(event, traceparent=told) if isinstance(told, str) else event


def published(envelope: Mapping[str, Any]) -> float | None:
    """When an event was published, in epoch seconds, where its envelope says so."""
    try:
        return datetime.fromisoformat(envelope["time"]).timestamp()
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def read_json(body: bytes) -> dict[str, Any]:
    """The object of a body.

    Raises:
        Unusable: It is none.
    """
    try:
        value = from_json(body)
    except ValueError:
        raise InvalidEvent("the body is not JSON") from None
    if not isinstance(value, dict):
        raise InvalidEvent("the body is no CloudEvent")
    return value


def _ours(data: Mapping[str, Any]) -> Event:
    _check_version(data)
    event: ConversationUpdated = adapter(ConversationUpdated).validate_python(data)
    remember = TurnEvent(
        ids.conversation_id(event.actor_id),
        event.event_id,
        event.input,
        event.output,
        event.seq,
        event.turn_id,
        event.model,
        event.usage,
        event.floor,
        occurred_at=event.occurred_at,
    )
    return Event(ids.actor_id(event.user_id), remember)


def _check_version(data: Mapping[str, Any]) -> None:
    version = data.get("version")
    if version != wire.EVENT_VERSION:
        raise InvalidEvent(
            f"version {version if isinstance(version, int) else '?'} is not known here",
            str(data.get("event_id")),
            for_ever=False,
        )


def _cleared(data: Mapping[str, Any]) -> ClearedEvent:
    _check_version(data)
    event: ConversationCleared = adapter(ConversationCleared).validate_python(data)
    conversation = ids.conversation_id(event.actor_id)
    return ClearedEvent(ids.actor_id(event.user_id), HighWaterMark(conversation, event.upto))


def _foreign(data: Mapping[str, Any], event_id: str, at: float | None) -> Event:
    """The lesson's form: an actor and what was said; effective once per CloudEvent id."""
    if not event_id:
        raise InvalidEvent("it has neither a number nor an id, so it could be applied twice")
    user = data.get("actor_id")
    if not isinstance(user, str):
        raise InvalidEvent("it names no user", event_id)
    messages = adapter(tuple[Message, Message])
    said, answered = messages.validate_python((data.get("input"), data.get("output")))
    return Event(ids.actor_id(user), TurnEvent(user, event_id, said, answered, at=at))
