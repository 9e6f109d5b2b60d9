"""Refuses a body that is too large: by its declared length at once, else as it comes."""

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent_actors.errors import TooLarge
from agent_actors.routes.edge.problems import document
from agent_actors.routes.sidecar.subscriptions import PATHS


class BodyLimit:
    """Answers 413 as a problem document (FastAPI's own limit answers in plain text).

    Callbacks are not limited here: an event has each text of its turn twice, and more of them than
    a message may have; they are read only after their token was seen.

    Args:
        app: What is served.
        largest: Bytes of a body, at most.
    """

    def __init__(self, app: ASGIApp, largest: int) -> None:
        self._app = app
        self._largest = largest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http" or scope["path"] in PATHS:
            await self._app(scope, receive, send)
        elif self._declares_more(Headers(scope=scope)):
            error = TooLarge(f"The request's body has more than {self._largest} bytes.")
            await document(error)(scope, receive, send)
        else:
            await self._app(scope, self._counted(receive), send)

    def _declares_more(self, headers: Headers) -> bool:
        length = headers.get("content-length", "")
        return length.isascii() and length.isdigit() and int(length) > self._largest

    def _counted(self, receive: Receive) -> Receive:
        received = 0

        async def counting() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._largest:
                raise HTTPException(413)
            return message

        return counting
