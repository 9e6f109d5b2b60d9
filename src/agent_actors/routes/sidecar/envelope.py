"""Reads the CloudEvents that a sidecar delivers: ours, and those of other services."""

from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import uuid4

from pydantic import ValidationError
from pydantic_core import from_json

from agent_actors.errors import Invalid
from agent_actors.protocol import ids, wire
from agent_actors.protocol.codec import adapter, fields
from agent_actors.protocol.events import ConversationCleared, TurnEvent, parse_turn
from agent_actors.protocol.messages import Message

BULK = "com.dapr.event.sent.bulk"
"""The type of a body in which daprd delivers several events."""
_IN_BULK = (
    "it came with others in one body, and events are taken one by one: remove bulkSubscribe from"
    " the Subscription to its topic, or they are all lost"
)


class InvalidEvent(Exception):
    """An event that cannot be applied; the reason never repeats what it holds.

    The id, if there is one, is chosen by whoever publishes, so it is made safe to log. If it is
    permanent, no later release or retry can apply the event.
    """

    def __init__(self, reason: str, event_id: str = "", *, permanent: bool = True) -> None:
        super().__init__(reason)
        self.reason = reason
        self.event_id = "".join(c if c.isprintable() else "?" for c in event_id[:128]) or "(none)"
        self.permanent = permanent


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event of the topic `user-chat`, and the trace that it belongs to."""

    event: TurnEvent | ConversationCleared
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class EventEnvelope:
    """The data of an event, and what its CloudEvent says of it.

    `at` is when it was published (epoch seconds). A bare event has neither `id` nor `source`.
    """

    data: Mapping[str, Any]
    id: str = ""
    source: str = ""
    at: float | None = None
    traceparent: str | None = None
    bare: bool = False


def read_envelope(body: bytes) -> EventEnvelope:
    """Reads an event: a CloudEvent in JSON, once or twice, or the bare data.

    Its data is an object, JSON text, or base64 of JSON text. daprd wraps a CloudEvent that was
    published as plain JSON or without CloudEvents once more, with an id that is new each time it is
    published: the inner one counts. A member that is null is absent, at any depth.

    Raises:
        InvalidEvent: It is no JSON object, a CloudEvent without data, or several events.
    """
    outer = read_json(body)
    if outer.get("type") == BULK:
        raise InvalidEvent(_IN_BULK, _text(outer.get("id")), permanent=False)
    has_data = "data" in outer or "data_base64" in outer
    # The data of an event of another service may have a member `data`, but it has a type, too.
    if "specversion" not in outer and (not has_data or "event_type" in outer):
        return EventEnvelope(outer, bare=True)
    data, trace = _data(outer), outer.get("traceparent")
    if "specversion" in data and ("data" in data or "data_base64" in data):
        outer, data = data, _data(data)
        trace = outer.get("traceparent", trace)
    return EventEnvelope(
        data,
        id=_text(outer.get("id")),
        source=str(outer.get("source") or ""),
        at=published(outer),
        traceparent=trace if isinstance(trace, str) else None,
    )


def _data(envelope: Mapping[str, Any]) -> dict[str, Any]:
    data, encoded = envelope.get("data"), envelope.get("data_base64")
    if isinstance(data, dict):
        return data
    try:
        if isinstance(data, str):
            # The SDK's `publish_event` sends text/plain unless told otherwise
            # (docs/dapr-behaviour.md#pubsub).
            return read_json(data.encode())
        if isinstance(encoded, str):
            return read_json(b64decode(encoded, validate=True))
    except (ValueError, InvalidEvent):
        pass  # Half of a surrogate pair, invalid base64, or no JSON object.
    raise InvalidEvent("the event has no data", _text(envelope.get("id")))


def read_event(body: bytes) -> Delivery:
    """Reads an event of the topic `user-chat`.

    Raises:
        InvalidEvent: It is no CloudEvent, names no user, or has a version that is not known here.
    """
    envelope = read_envelope(body)
    data = envelope.data
    if envelope.bare:
        raise InvalidEvent("the body is no CloudEvent")
    try:
        if data.get("event_type") == wire.CLEARED_TYPE:
            event: TurnEvent | ConversationCleared = _cleared(data)
        elif "seq" in data:
            _check_version(data)
            event = parse_turn(data)
        else:
            event = _foreign(data, envelope.id, envelope.at)
    except ValidationError as error:
        raise InvalidEvent(fields(error), envelope.id) from None
    except Invalid as error:
        raise InvalidEvent(error.detail, envelope.id) from None
    return Delivery(event, envelope.traceparent)


def published(envelope: Mapping[str, Any]) -> float | None:
    """When an event was published, in epoch seconds, if its envelope says so."""
    try:
        return datetime.fromisoformat(envelope["time"]).timestamp()
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def read_json(body: bytes) -> dict[str, Any]:
    """The JSON object of a body, without members that are null.

    Raises:
        InvalidEvent: It is not one.
    """
    try:
        value = from_json(body)
    except ValueError:
        raise InvalidEvent("the body is not JSON") from None
    if not isinstance(value, dict):
        raise InvalidEvent("the body is no CloudEvent")
    return cast(dict[str, Any], without_nulls(value))


def without_nulls(value: object) -> object:
    """JSON without the members that are null; items of a list stay, since others follow them."""
    if isinstance(value, dict):
        return {
            name: without_nulls(each) if isinstance(each, dict | list) else each
            for name, each in value.items()
            if each is not None
        }
    if isinstance(value, list):
        return [without_nulls(each) for each in value]
    return value


def _check_version(data: Mapping[str, Any]) -> None:
    version = data.get("version")
    if version != wire.EVENT_VERSION:
        raise InvalidEvent(
            f"version {version if isinstance(version, int) else '?'} is not known here",
            str(data.get("event_id")),
            permanent=False,
        )


def _cleared(data: Mapping[str, Any]) -> ConversationCleared:
    _check_version(data)
    event: ConversationCleared = adapter(ConversationCleared).validate_python(data)
    ids.conversation_id(event.actor_id)
    ids.actor_id(event.user_id)
    return event


def _foreign(data: Mapping[str, Any], event_id: str, at: float | None) -> TurnEvent:
    """An event in the form of the lessons: an actor, a message and a reply."""
    if not event_id:
        raise InvalidEvent("it has neither a number nor an id, so it could be applied twice")
    user = data.get("actor_id")
    if not isinstance(user, str):
        raise InvalidEvent("it names no user", event_id)
    pair = (data.get("input"), data.get("output"))
    message, reply = adapter(tuple[Message, Message]).validate_python(pair)
    return TurnEvent(user, event_id, message, reply, at=at, user=ids.actor_id(user))


@dataclass(frozen=True, slots=True)
class ForeignEvent:
    """An event of another service: its data, its id, and when it was published (epoch seconds)."""

    data: Mapping[str, Any]
    id: str
    at: float | None


def read_foreign_event(body: bytes) -> ForeignEvent:
    """Reads an event of another service, as a CloudEvent or bare.

    A bare event without an `event_id` gets a new id each time, because it cannot be recognised.

    Raises:
        InvalidEvent: It is no JSON object, or is wrapped and has no id.
    """
    envelope = read_envelope(body)
    named = envelope.id or _text(envelope.data.get("event_id"))
    if not named and not envelope.bare:
        raise InvalidEvent("it has no id, so it could be applied twice")
    event_id = ids.told_id(envelope.source, named or str(uuid4()))
    return ForeignEvent(envelope.data, event_id, envelope.at)


def _text(value: object) -> str:
    return str(value) if isinstance(value, str | int) else ""
