"""What every answer to a browser says: headers of security, and which pages may read it (CORS)."""

import re
from collections.abc import Sequence

from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import HTMLResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent_actors.access.origins import parse_origins

Header = tuple[bytes, bytes]

_ALWAYS: Sequence[Header] = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
)
_POLICY = b"content-security-policy"
_NOTHING = b"default-src 'none'; frame-ancestors 'none'"
_HSTS = (b"strict-transport-security", b"max-age=31536000")
_SENT = ("authorization", "content-type", "idempotency-key", "prefer")
_READ = ("link", "location", "preference-applied", "retry-after", "www-authenticate")
_ASKED_AGAIN = 600
"""Seconds after which a browser asks again whether a page may send a request."""


class SecurityHeaders:
    """Adds its headers to every answer.

    Args:
        app: What is served.
        hsts: Shall browsers come by https only?
    """

    def __init__(self, app: ASGIApp, *, hsts: bool) -> None:
        self._app = app
        common = [*_ALWAYS, _HSTS] if hsts else [*_ALWAYS]
        self._plain: list[Header] = [*common, (_POLICY, _NOTHING)]
        self._pages = {
            "/docs": [*common, (_POLICY, _policy(get_swagger_ui_html(openapi_url="", title="")))],
            "/redoc": [*common, (_POLICY, _policy(get_redoc_html(openapi_url="", title="")))],
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = self._pages.get(scope["path"], self._plain)

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *headers]
            await send(message)

        await self._app(scope, receive, dressed)


def _policy(page: HTMLResponse) -> bytes:
    """What lets a page of FastAPI work: what it loads is named in it, and nothing else may be."""
    named = re.findall(r"https://[^/\"']+", bytes(page.body).decode())
    sources = " ".join(sorted(set(named)))
    return (
        f"default-src 'none'; script-src 'unsafe-inline' {sources};"
        f" style-src 'unsafe-inline' {sources}; img-src 'self' data: {sources};"
        " connect-src 'self'; worker-src blob:; frame-ancestors 'none'"
    ).encode()


def cors(app: ASGIApp, text: str) -> ASGIApp:
    """Lets web pages of those origins call, without cookies: a token is a header (or none needed).

    Raises:
        StartupError: As `parse_origins`.
    """
    return CORSMiddleware(
        app,
        allow_origins=parse_origins(text),
        allow_methods=["GET", "POST", "PUT", "DELETE"],
        allow_headers=_SENT,
        allow_credentials=False,
        expose_headers=_READ,
        max_age=_ASKED_AGAIN,
    )
