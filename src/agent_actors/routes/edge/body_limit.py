"""Refuses a request whose body is too large or not in UTF-8, as it is read."""

from collections.abc import Container

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent_actors.errors import TooLarge
from agent_actors.routes.edge.problems import document


class BodyLimit:
    """ASGI middleware that answers 413 or 400 with a problem document, except for exempt paths.

    JSON is UTF-8 (RFC 8259, 8.1), but Python's parser takes UTF-16 and UTF-32 as well. They are the
    only JSON with a zero byte: in UTF-8 one would have to be escaped. Other text that is not UTF-8
    cannot be parsed.

    `largest` is the most bytes that a body may have.
    """

    def __init__(self, app: ASGIApp, largest: int, exempt: Container[str] = ()) -> None:
        self._app = app
        self._largest = largest
        self._exempt = exempt

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] != "http" or scope["path"] in self._exempt:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        length = headers.get("content-length", "")
        is_json = "json" in headers.get("content-type", "").lower()
        if length.isascii() and length.isdigit() and int(length) > self._largest:
            error = TooLarge(f"The request's body has more than {self._largest} bytes.")
            await document(error)(scope, receive, send)
            return
        received = 0

        async def count() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._largest:
                raise HTTPException(413)
            if is_json and b"\0" in message.get("body", b""):
                raise HTTPException(400)
            return message

        await self._app(scope, count, send)
