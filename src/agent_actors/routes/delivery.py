"""Hands events to the app's own routes, in process: what the sidecar does by HTTP on Dapr."""

from typing import Any

from starlette.types import ASGIApp

from agent_actors.routes.dependencies import TOKEN_HEADER
from agent_actors.runtime import Deliver, Delivered


def deliverer(app: ASGIApp, token: str) -> Deliver:
    """Posts envelopes to routes of the app, with the token that callbacks must carry."""
    headers = [
        (b"content-type", b"application/cloudevents+json"),
        (TOKEN_HEADER.encode(), token.encode()),
    ]

    async def deliver(path: str, body: bytes) -> Delivered:
        return await _post(app, path, headers, body)

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
