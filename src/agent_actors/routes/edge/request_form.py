"""Gives every request one form, before any layer looks at it: the path and the method of a route.

Access control, limits and routing then see the same path, and nothing has to be redirected: a
redirect would need the address by which the caller knows the service, which a proxy may hide.
"""

from starlette.routing import Match, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent_actors.access.rules import RULES

_SLASHED = frozenset(
    path for _, _, path in (route.partition(" ") for route in RULES) if path.endswith("/")
) - {"/"}
"""The routes that end with a slash."""


class RequestForm:
    """ASGI middleware: a final slash changes nothing, and HEAD is GET without a body.

    FastAPI, unlike Starlette, has no HEAD for a route of GET.
    """

    def __init__(self, app: ASGIApp, router: Router) -> None:
        self._app = app
        self._router = router

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] == "http":
            scope = self._with_path(scope)
            if scope["method"] == "HEAD":
                scope, send = {**scope, "method": "GET"}, _without_body(send)
        await self._app(scope, receive, send)

    def _with_path(self, scope: Scope) -> Scope:
        path: str = scope["path"]
        route = path.removeprefix(scope.get("root_path", ""))
        if route in _SLASHED:
            return scope
        if route + "/" in _SLASHED:
            return _moved(scope, path + "/")
        if not route.endswith("/") or route.endswith("//") or route == "/":
            return scope
        # The slash of `x%2F` belongs to the last part of the path.
        raw: bytes = scope.get("raw_path") or b"/"
        if not raw.partition(b"?")[0].endswith(b"/") or self._serves(scope):
            return scope
        return _moved(scope, path[:-1])

    def _serves(self, scope: Scope) -> bool:
        """Whether there is a route with that slash, which was added to the app."""
        return any(route.matches(scope)[0] is not Match.NONE for route in self._router.routes)


def _without_body(send: Send) -> Send:
    """Sends the head of an answer, and of its body only that it has ended."""

    async def send_head(message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return send_head


def _moved(scope: Scope, path: str) -> Scope:
    raw: bytes | None = scope.get("raw_path")
    if raw is not None:
        raw = raw.removesuffix(b"/") if scope["path"].endswith("/") else raw + b"/"
    return {**scope, "path": path, "raw_path": raw}
