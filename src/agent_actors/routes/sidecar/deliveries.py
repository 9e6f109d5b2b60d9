"""Delivers events and records to the app in process; on Dapr, the sidecar posts them."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.types import ASGIApp

from agent_actors.protocol.wire import TOKEN_HEADER
from agent_actors.runtime import Deliver, DeliveryResponse, Headers

Callback = Callable[[bytes], Awaitable[bytes]]
"""Takes the body of a delivery, and returns the body of the answer."""
InputCallback = Callable[[bytes, Headers], Awaitable[bytes]]
"""The same for an input binding, whose headers have the position of a record."""

_EVENT = (b"content-type", b"application/cloudevents+json")


def deliverer(
    app: ASGIApp,
    token: str,
    callbacks: Mapping[str, Callback],
    inputs: Mapping[str, InputCallback] | None = None,
) -> Deliver:
    """A function that delivers to paths of the app.

    Callbacks and input bindings are called directly, because routing would cost a fifth of a turn.
    Every other path, such as that of a route that was added to the app, gets a POST with the token.
    """
    secret = (TOKEN_HEADER.encode(), token.encode())

    async def deliver(path: str, body: bytes, headers: Headers = ()) -> DeliveryResponse:
        callback = callbacks.get(path)
        if callback is not None:
            return DeliveryResponse(200, await callback(body))
        binding = (inputs or {}).get(path)
        if binding is not None:
            return DeliveryResponse(200, await binding(body, headers))
        return await _post(app, path, [*(headers or (_EVENT,)), secret], body)

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
