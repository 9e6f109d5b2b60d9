"""What a caller is told who still waits when the drain time of a stopping service is over."""

import asyncio

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent_actors.errors import Unavailable
from agent_actors.routes.edge.problems import document


class CutOff:
    """Answers 503 for a request that the server cuts off; uvicorn would answer 500, with a trace.

    Args:
        app: What is served.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The app's answer, or ours if the app had not begun one."""
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except asyncio.CancelledError:
            if begun or scope["type"] != "http":
                raise
            keyed = "idempotency-key" in Headers(scope=scope)
            error = Unavailable(
                "The service is stopping, and it is not known whether it took this request.",
                retry="same-key" if keyed else "no",
            )
            await document(error)(scope, receive, send)
