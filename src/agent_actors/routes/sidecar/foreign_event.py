"""An event of another service, as it comes: wrapped as a CloudEvent, once or twice, or bare."""

import uuid
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agent_actors.protocol import ids
from agent_actors.routes.sidecar.envelope import InvalidEvent, published, read_json


@dataclass(frozen=True, slots=True)
class ForeignEvent:
    """What an event says, the id of its telling, and when it was published (epoch seconds)."""

    data: Mapping[str, Any]
    id: str
    at: float | None


def read_told(body: bytes) -> ForeignEvent:
    """An event, wrapped or bare.

    A CloudEvent that was published as plain JSON is wrapped once more by daprd, with an id that is
    new each time it is published: the inner one counts. A bare event without an `event_id` gets an
    id of its own each time it comes, since it cannot be known again.

    Raises:
        Unusable: It is no JSON object, or wrapped without any id.
    """
    outer = read_json(body)
    if "specversion" not in outer:
        named = outer.get("event_id") or uuid.uuid4()
        return ForeignEvent(outer, ids.told_id("", str(named)), None)
    data = _data(outer)
    if "specversion" in data and ("data" in data or "data_base64" in data):
        outer, data = data, _data(data)
    event_id = _id(outer.get("id")) or _id(data.get("event_id"))
    if not event_id:
        raise InvalidEvent("it has no id, so it could be applied twice")
    source = str(outer.get("source") or "")
    return ForeignEvent(data, ids.told_id(source, event_id), published(outer))


def _data(envelope: Mapping[str, Any]) -> dict[str, Any]:
    data, event_id = envelope.get("data"), _id(envelope.get("id"))
    if isinstance(data, dict):
        return data
    encoded = envelope.get("data_base64")
    try:
        if isinstance(data, str):
            return read_json(data.encode())
        if isinstance(encoded, str):
            return read_json(b64decode(encoded, validate=True))
    except (ValueError, InvalidEvent):
        pass  # Half a character, or no base64, or no JSON: it says nothing that we know.
    raise InvalidEvent("the event has no data", event_id)


def _id(value: object) -> str:
    return str(value) if isinstance(value, str | int) else ""
