"""Hands events and records to the app's own routes, in process; on Dapr the sidecar posts them."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.types import ASGIApp

from agent_actors.protocol.wire import TOKEN_HEADER
from agent_actors.runtime import Deliver, DeliveryResponse, Headers

Callback = Callable[[bytes], Awaitable[bytes]]
"""A callback route as the function it is: an envelope to the body of its answer."""
Input = Callable[[bytes, Headers], Awaitable[bytes]]
"""The same for the route of an input binding, whose headers say where a record is."""

_EVENT = (b"content-type", b"application/cloudevents+json")


def deliverer(
    app: ASGIApp,
    token: str,
    callbacks: Mapping[str, Callback],
    inputs: Mapping[str, Input] | None = None,
) -> Deliver:
    """Hands envelopes and records to routes of the app.

    Args:
        app: It is posted what the others have not, such as a route that was added to it.
        token: What is posted carries it.
        callbacks: By path; called at once, since routing an event would take a fifth of a turn.
        inputs: The same, for what comes with headers.
    """
    ours = (TOKEN_HEADER.encode(), token.encode())

    async def deliver(path: str, body: bytes, headers: Headers = ()) -> DeliveryResponse:
        callback = callbacks.get(path)
        if callback is not None:
            return DeliveryResponse(200, await callback(body))
        take = (inputs or {}).get(path)
        if take is not None:
            return DeliveryResponse(200, await take(body, headers))
        return await _post(app, path, [*(headers or (_EVENT,)), ours], body)

    return deliver


async def _post(
    app: ASGIApp, path: str, headers: list[tuple[bytes, bytes]], body: bytes
) -> DeliveryResponse:
    """One ASGI request, without a socket."""
    status, parts = 500, []
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "client": None,
        "server": None,
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        elif message["type"] == "http.response.body":
            parts.append(message.get("body", b""))

    await app(scope, receive, send)
    return DeliveryResponse(status, b"".join(parts))
