"""Refuses a request whose body is too large or not in UTF-8, as it is read."""

from collections.abc import Container

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent_actors.errors import TooLarge
from agent_actors.routes.edge.problems import document

_WIDEST = 4
"""Bytes of a character in UTF-32."""


class BodyLimit:
    """ASGI middleware that answers 413 or 400 with a problem document, except for exempt paths.

    JSON is UTF-8 (RFC 8259, 8.1), but Python's parser takes UTF-16 and UTF-32 as well. They have a
    zero among their first bytes, since JSON begins with ASCII. What else is not UTF-8 is refused by
    the parser.

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
        received, beginning = 0, b""

        async def count() -> Message:
            nonlocal received, beginning
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._largest:
                raise HTTPException(413)
            if is_json and len(beginning) < _WIDEST:
                beginning = (beginning + message.get("body", b""))[:_WIDEST]
                if len(beginning) > 1 and b"\0" in beginning:
                    raise HTTPException(400)
            return message

        await self._app(scope, count, send)
