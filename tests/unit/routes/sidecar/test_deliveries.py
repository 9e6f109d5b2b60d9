"""Events on their way to the app's own routes."""

import json

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from agent_actors.routes.sidecar.deliveries import deliverer
from agent_actors.runtime import DeliveryResponse, Headers


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers what it was sent."""
    request = Request(scope, receive)
    shown = {
        "method": request.method,
        "path": request.url.path,
        "token": request.headers.get("dapr-api-token"),
        "type": request.headers.get("content-type"),
        "body": (await request.body()).decode(),
    }
    await JSONResponse(shown, 201)(scope, receive, send)


async def silent(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers nothing at all."""


async def in_parts(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"a", "more_body": True})
    await send({"type": "http.response.body", "body": b"b"})


async def test_an_event_is_posted_with_the_token():
    """As the sidecar would do it."""
    delivered = await deliverer(app, "secret", {})("/subscribe", b"{}")

    assert delivered.status == 201
    assert json.loads(delivered.body) == {
        "method": "POST",
        "path": "/subscribe",
        "token": "secret",
        "type": "application/cloudevents+json",
        "body": "{}",
    }


async def test_an_answer_may_come_in_parts():
    """Its body is whole."""
    assert await deliverer(in_parts, "t", {})("/x", b"") == DeliveryResponse(200, b"ab")


async def test_no_answer_is_a_failure():
    """A route that says nothing has not taken the event."""
    assert (await deliverer(silent, "t", {})("/x", b"")).status == 500


async def test_a_plain_answer_is_kept_as_it_is():
    """Whatever its status."""
    delivered = await deliverer(Response("no", 404), "t", {})("/x", b"")

    assert delivered == DeliveryResponse(404, b"no")


async def test_a_callback_is_called_without_a_request():
    """Its answer is a success, whatever it says; the app hears nothing of it."""

    async def callback(body: bytes) -> bytes:
        return b"answer to " + body

    deliver = deliverer(app, "t", {"/subscribe": callback})

    assert await deliver("/subscribe", b"x") == DeliveryResponse(200, b"answer to x")
    assert (await deliver("/other", b"x")).status == 201


async def test_headers_are_kept():
    """They say what it is, where nobody here takes it, too."""
    headers = [(b"content-type", b"application/json"), (b"__offset", b"7")]

    async def take(body: bytes, given: Headers) -> bytes:
        return body + dict(given)[b"__offset"]

    deliver = deliverer(app, "t", {}, {"/receive": take})

    assert await deliver("/receive", b"x", headers) == DeliveryResponse(200, b"x7")
    posted = json.loads((await deliver("/other", b"x", headers)).body)
    assert (posted["type"], posted["token"]) == ("application/json", "t")
