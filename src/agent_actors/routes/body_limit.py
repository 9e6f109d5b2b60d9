"""Refuses a body that says it is too large, before any of it is read."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from agent_actors.errors import TooLarge
from agent_actors.routes.problems import document


class DeclaredLength:
    """Answers 413 by `Content-Length`; a body without one is counted by FastAPI as it comes.

    FastAPI's own limit would answer here too, but in plain text.
    """

    def __init__(self, app: ASGIApp, largest: int) -> None:
        self._app = app
        self._largest = largest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "http" and self._too_large(Headers(scope=scope)):
            error = TooLarge(f"The request's body has more than {self._largest} bytes.")
            await document(error)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _too_large(self, headers: Headers) -> bool:
        length = headers.get("content-length", "")
        return length.isascii() and length.isdigit() and int(length) > self._largest
