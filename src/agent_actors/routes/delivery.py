"""Hands events to the app's own routes, in process: what the sidecar does by HTTP on Dapr."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.types import ASGIApp

from agent_actors.routes.dependencies import TOKEN_HEADER
from agent_actors.runtime import Deliver, Delivered

Callback = Callable[[bytes], Awaitable[bytes]]
"""A callback route as the function it is: an envelope to the body of its answer."""


def deliverer(app: ASGIApp, token: str, callbacks: Mapping[str, Callback]) -> Deliver:
    """Hands envelopes to routes of the app.

    Args:
        app: It is posted what `callbacks` has not, such as a route that was added to it.
        token: What a posted envelope carries.
        callbacks: By path; called at once, since routing an event would take a fifth of a turn.
    """
    headers = [
        (b"content-type", b"application/cloudevents+json"),
        (TOKEN_HEADER.encode(), token.encode()),
    ]

    async def deliver(path: str, body: bytes) -> Delivered:
        callback = callbacks.get(path)
        if callback is None:
            return await _post(app, path, headers, body)
        return Delivered(200, await callback(body))

    return deliver


async def _post(
    app: ASGIApp, path: str, headers: list[tuple[bytes, bytes]], body: bytes
) -> Delivered:
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
    return Delivered(status, b"".join(parts))
