"""The answer to requests that are still running when the drain time is over."""

import asyncio

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent_actors.errors import Unavailable
from agent_actors.routes.edge.problems import document


class CutOff:
    """Answers 503 to a request that the server cancels; uvicorn alone would answer 500."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends the app's response, or ours if the app has not started one."""
        started = False

        async def send_and_note(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, send_and_note)
        except asyncio.CancelledError:
            if started or scope["type"] != "http":
                raise
            keyed = "idempotency-key" in Headers(scope=scope)
            error = Unavailable(
                "The service is stopping, and may or may not have handled this request.",
                retry="same-key" if keyed else "no",
            )
            await document(error)(scope, receive, send)
