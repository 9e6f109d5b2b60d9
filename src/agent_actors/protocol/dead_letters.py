"""Dead letters: events that could not be applied, in calls and in answers. Values are frozen."""

import json
import uuid
from base64 import b64decode, b64encode
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic_core import from_json


@dataclass(frozen=True, slots=True)
class Envelope:
    """The bytes of an event as it was delivered, in a form that fits into JSON."""

    data: str
    encoding: Literal["utf-8", "base64"] = "utf-8"

    @classmethod
    def of(cls, event: bytes) -> "Envelope":
        """Keeps UTF-8 as text, and anything else in base64."""
        try:
            return cls(event.decode())
        except UnicodeDecodeError:
            return cls(b64encode(event).decode(), "base64")

    @property
    def event(self) -> bytes:
        """The bytes that were delivered."""
        return self.data.encode() if self.encoding == "utf-8" else b64decode(self.data)


@dataclass(frozen=True, slots=True)
class KeepDeadLetter:
    """`DeadLetterActor.Keep`: an event that could not be applied, and its topic."""

    topic: str
    reason: str
    tries: int
    envelope: Envelope


@dataclass(frozen=True, slots=True)
class ForgetDeadLetter:
    """`DeadLetterActor.Forget`: a letter, and the page that lists it."""

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


Redeliver = Callable[[str, bytes], Awaitable[None]]
"""Delivers an event to its topic's route once; raises `Conflict` if that fails."""

WRAPPED = 4
"""The depth to which envelopes within envelopes are read."""
_IDS = uuid.UUID("0d9b7e0e-6a0f-5d0c-9a6e-3f6f0c1d2b47")


@dataclass(frozen=True, slots=True)
class LetterLimits:
    """The number of letters that are kept, and the seconds for which they are."""

    number: int = 10_000
    age: float = 30 * 86_400.0


def id_of(topic: str, event: bytes) -> str:
    """The id of an event's letter; the same event of the same source and topic has the same id."""
    try:
        envelope = from_json(event)
    except ValueError:
        envelope = None
    event_id = envelope.get("id") if isinstance(envelope, dict) else None
    source = str(envelope.get("source")) if isinstance(envelope, dict) else ""
    name = json.dumps([topic, source, str(event_id)] if event_id else [topic, event.hex()])
    return str(uuid.uuid5(_IDS, name))


def is_id(text: str) -> bool:
    """Whether a text has the form of an id; nothing else may become part of a key."""
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


def shown(
    letter_id: str, topic: str, reason: str, tries: int, at: float, event: bytes
) -> DeadLetter:
    """A letter for an answer; `at` is in epoch seconds."""
    when = datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")
    return DeadLetter(letter_id, topic, reason, tries, when, _read(event))


def _read(event: bytes) -> Any:
    try:
        return from_json(event)
    except ValueError:
        return event.decode(errors="replace")


def is_about(event: Any, user: str) -> bool:
    """Whether the event of a letter, as it is shown, is about this user.

    Depending on its type, an event is applied to either of the names, so both count.
    """
    return user in names(event).values()


def names(event: Any) -> dict[str, str]:
    """The names in an event, by field; envelopes may be nested, as JSON, text or base64."""
    for _ in range(WRAPPED):
        if not isinstance(event, dict) or not event.keys() & {"data", "data_base64"}:
            break
        event = _inner(event)
    data = event if isinstance(event, dict) else {}
    found = {name: data.get(name) for name in ("user_id", "actor_id")}
    return {name: value for name, value in found.items() if isinstance(value, str)}


def _inner(envelope: dict[str, Any]) -> Any:
    data = envelope.get("data")
    if isinstance(data, str):
        return _read(data.encode(errors="replace"))
    encoded = envelope.get("data_base64")
    if data is None and isinstance(encoded, str):
        try:
            return _read(b64decode(encoded))
        except ValueError:
            return None
    return data
