"""Security headers for browsers, and the web pages that may call the service (CORS)."""

from collections.abc import Mapping, Sequence

from starlette.middleware.cors import CORSMiddleware
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
PLAIN: Sequence[Header] = (*_ALWAYS, (_POLICY, _NOTHING))
"""The headers of an answer that is no page."""
_PAGE = (
    "default-src 'none'; script-src 'self'; style-src 'self'{styles}; img-src 'self' data:;"
    " connect-src 'self'; {more}base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_REDOC_STYLES = (
    " 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"  # No text: rules are added by script.
    " 'sha256-QMIg+bpjm3JdElJ388KYke01izlUW0UoNOeKjpMxdgc='"  # Those of its scroll bars.
)
"""The hashes of the two `<style>` elements that ReDoc 2.5 makes."""
_POLICIES: Mapping[str, bytes] = {
    "/docs": _PAGE.format(styles="", more="").encode(),
    "/redoc": _PAGE.format(styles=_REDOC_STYLES, more="worker-src blob:; ").encode(),
}
"""What each page may load: files of this service, and nothing from elsewhere."""
_HSTS = (b"strict-transport-security", b"max-age=31536000")
_REQUEST_HEADERS = ("authorization", "content-type", "idempotency-key", "prefer")
_RESPONSE_HEADERS = ("link", "location", "preference-applied", "retry-after", "www-authenticate")
_PREFLIGHT_AGE = 600
"""Seconds for which a browser may remember that a page may call."""


class SecurityHeaders:
    """Adds security headers to every answer; with `hsts`, browsers must use https from now on."""

    def __init__(self, app: ASGIApp, *, hsts: bool) -> None:
        self._app = app
        common = [*_ALWAYS, _HSTS] if hsts else [*_ALWAYS]
        self._plain: list[Header] = [*common, (_POLICY, _NOTHING)]
        self._pages = {path: [*common, (_POLICY, policy)] for path, policy in _POLICIES.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = self._pages.get(scope["path"], self._plain)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *headers]
            await send(message)

        await self._app(scope, receive, send_with_headers)


def cors(app: ASGIApp, text: str) -> ASGIApp:
    """Lets web pages of these origins call, without cookies: tokens are sent as headers.

    Raises:
        StartupError: An origin is invalid.
    """
    return CORSMiddleware(
        app,
        allow_origins=parse_origins(text),
        allow_methods=["GET", "HEAD", "POST", "PUT", "DELETE"],
        allow_headers=_REQUEST_HEADERS,
        allow_credentials=False,
        expose_headers=_RESPONSE_HEADERS,
        max_age=_PREFLIGHT_AGE,
    )
