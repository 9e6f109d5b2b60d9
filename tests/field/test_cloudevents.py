"""CloudEvents in the forms that producers and sidecars give them, on every route for events."""

import json
from base64 import b64encode
from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import Serve
from tests.unit.routes.sidecar.lessons import (
    AT_ONCE,
    as_text,
    becomes,
    conversation,
    got,
    letters,
    message,
    texts,
    wrapped,
)

Event = dict[str, Any]
Form = Callable[[Event], Event]
SPOKEN = {
    "actor_id": "junaid",
    "input": {"role": "user", "content": "Hello"},
    "output": {"role": "assistant", "content": "Hi Junaid!"},
}
"""The event of `user-chat` that another service publishes."""
DATA: dict[str, Event] = {
    "/subscribe": SPOKEN,
    "/conversations": conversation(),
    "/messages": message(),
}


def in_base64(event: Event) -> Event:
    """A binary event: a sidecar's, for any content type that is not JSON (dapr/dapr#2612)."""
    raw = b64encode(json.dumps(event["data"]).encode()).decode()
    rest = {name: value for name, value in event.items() if name != "data"}
    return rest | {"datacontenttype": "application/octet-stream", "data_base64": raw}


def raw(event: Event) -> Event:
    """A whole event that a sidecar took for raw bytes (dapr/dotnet-sdk#1015, dapr/go-sdk#256)."""
    return in_base64(wrapped(event, "made by the sidecar", time="2999-01-01T00:00:00Z"))


def twice(event: Event) -> Event:
    """An event that was published as plain JSON, so that the sidecar wrapped it again."""
    return wrapped(event, "made by the sidecar", time="2999-01-01T00:00:00Z")


def twice_as_text(event: Event) -> Event:
    """The same as text, as an SDK sends it unless told otherwise (dapr-sandbox/dart-sdk#2)."""
    return as_text(twice(event))


def base64_in_raw(event: Event) -> Event:
    """A binary event that was taken for raw bytes."""
    return raw(in_base64(event))


def beside_null(event: Event) -> Event:
    """Some encoders write both members of the data, one of them null."""
    return in_base64(event) | {"data": None}


def text_beside_null(event: Event) -> Event:
    """The other way about."""
    return as_text(event) | {"data_base64": None, "dataschema": None, "traceparent": None}


def structured(event: Event) -> Event:
    """The four required attributes, with time and data: no sidecar has added its own."""
    kept = ("specversion", "id", "source", "type", "time", "data")
    return {name: event[name] for name in kept}


def as_it_is(event: Event) -> Event:
    """As daprd delivers it."""
    return event


FORMS: list[Form] = [
    as_it_is,
    structured,
    as_text,
    in_base64,
    raw,
    twice,
    twice_as_text,
    base64_in_raw,
    beside_null,
    text_beside_null,
]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
@pytest.mark.parametrize("path", DATA)
async def test_every_form_is_read_on_every_route(serve: Serve, path: str, form: Form):
    """It takes effect once, in whatever form it comes again."""
    async with serve(**AT_ONCE) as served:
        for each in (form, as_it_is, form):
            assert await served.deliver(each(wrapped(DATA[path])), path) == "SUCCESS"

        await becomes(served, "/analytics/junaid", {"message_count": 1})
        if path == "/conversations":
            assert await texts(served, "s1") == ["Hello", "Hi Junaid!"]
        if path == "/subscribe":
            remembered = [entry["content"] for entry in await served.memory("junaid")]
            assert remembered == ["Hello", "Hi Junaid!"]


@pytest.mark.parametrize(
    "broken",
    [
        {"data_base64": "%%%"},
        {"data_base64": "aGk="},
        {"data_base64": ""},
        {"data_base64": 7},
        {"data_base64": b64encode(json.dumps(SPOKEN).encode("utf-16")).decode()},
        {"data": "no json"},
        {"data": [SPOKEN]},
        {"data": None},
        {},
    ],
    ids=str,
)
@pytest.mark.parametrize("path", DATA)
async def test_data_that_cannot_be_read_is_dropped(serve: Serve, path: str, broken: Event):
    """No later delivery can make it readable; the broker keeps it as a dead letter."""
    rest = {name: value for name, value in wrapped(None).items() if name != "data"}
    async with serve() as served:
        assert await served.deliver(rest | broken, path) == "DROP"
        assert await served.deliver(rest | broken, f"{path}/dead") == "SUCCESS"
        assert len(await letters(served)) == 1


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
async def test_a_deletion_counts_for_every_form(serve: Serve, form: Form):
    """An event from before its user was deleted has no effect, however it is wrapped."""
    async with serve(**AT_ONCE) as served:
        assert (await served.http.delete("/users/junaid")).status_code == 204
        for path, data in DATA.items():
            assert await served.deliver(form(wrapped(data)), path) == "SUCCESS"

        assert await texts(served, "s1") == []
        assert await served.memory("junaid") == []
        assert (await served.http.get("/analytics/junaid")).status_code == 404


async def test_a_member_called_data_makes_no_envelope(serve: Serve):
    """The bare event of another service may have any members of its own."""
    async with serve() as served:
        event = conversation(event_id="c1", data={"channel": "web"}, data_base64="aGk=")
        assert await served.deliver(event, "/conversations") == "SUCCESS"

        assert len((await got(served, "/conversations/s1"))["history"]) == 2
