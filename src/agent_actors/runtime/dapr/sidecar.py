"""One pooled session to the sidecar's HTTP API, and its errors as ours.

The SDK's own client opens a connection per call, and its synchronous one blocks the event loop.
"""

import asyncio
import logging
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import quote

import aiohttp
from pydantic_core import from_json
from yarl import URL

from agent_actors.errors import Defect, Unavailable
from agent_actors.observability import tracing
from agent_actors.protocol import wire

log = logging.getLogger(__name__)

_AWAY = "The sidecar cannot be reached; try again."
_JSON = {"content-type": "application/json"}


@dataclass(frozen=True, slots=True)
class SidecarResponse:
    """A response of the sidecar: an HTTP status and a body."""

    status: int
    body: bytes

    @property
    def ok(self) -> bool:
        """Did the request succeed?"""
        return 200 <= self.status < 300

    @property
    def code(self) -> str:
        """Dapr's `errorCode`; empty if the body has none."""
        return self._field("errorCode")

    @property
    def message(self) -> str:
        """Dapr's `message`. It may contain what an actor returned: for DEBUG only."""
        return self._field("message")

    def _field(self, name: str) -> str:
        try:
            document = from_json(self.body)
        except ValueError:
            return ""
        return str(document.get(name, "")) if isinstance(document, dict) else ""


class SidecarClient:
    """The sidecar's HTTP API, on a port of loopback.

    `token` is the one that it requires (`DAPR_API_TOKEN`), if any; `timeout` is the time limit of a
    request in seconds, longer than any turn.
    """

    def __init__(self, port: int, token: str | None, timeout: float) -> None:
        self._base = f"http://127.0.0.1:{port}/v1.0/"
        self._headers = {wire.TOKEN_HEADER: token} if token else {}
        self._timeout = timeout
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Opens the pool; connections are opened when they are needed."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=60),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=self._headers,
            auto_decompress=False,  # No request accepts compressed responses.
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
            timeout=aiohttp.ClientTimeout(total=self._timeout),
        )

    async def stop(self) -> None:
        """Closes the pool. Idempotent."""
        if self._session is not None:
            await self._session.close()

    async def send(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        *,
        patience: aiohttp.ClientTimeout | None = None,
    ) -> SidecarResponse:
        """Sends one request with a JSON body, to a path whose segments are quoted by `part`.

        `headers` are those beside the token and the content type; `patience` replaces the usual
        timeout.

        Raises:
            Unavailable: The sidecar could not be reached, or did not answer in time.
        """
        if self._session is None:
            raise Unavailable("The runtime has not been started.")
        url = _url(self._base + path)
        sent = _JSON | headers if headers else _JSON
        if tracing.enabled():
            sent = {**sent, **tracing.headers()}
        try:
            async with self._session.request(
                method,
                url,
                data=body,
                headers=sent,
                allow_redirects=False,  # The token is for the sidecar only.
                timeout=patience or self._session.timeout,
            ) as answer:
                return SidecarResponse(answer.status, await answer.read())
        except (aiohttp.ClientError, ConnectionError, TimeoutError) as error:
            log.debug("%s %s: %s", method, path, type(error).__name__)
            raise Unavailable(_AWAY) from None
        except RuntimeError:
            # aiohttp has no error class for a session that was closed meanwhile.
            if not self._session.closed:
                raise
            raise Unavailable("The runtime is stopping.") from None

    async def ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        """Sends a request that must succeed, and returns its body.

        Raises:
            Unavailable: The sidecar is unavailable, or the request failed for now.
            Defect: The request can never succeed.
        """
        answer = await self.send(method, path, body)
        if not answer.ok:
            raise failure(answer, path)
        return answer.body

    async def metadata(self, within: float) -> dict[str, Any]:
        """The sidecar's metadata. A failure is not logged, since it is requested again and again.

        Raises:
            Unavailable: There was no metadata in that many seconds; the text says why.
            Defect: The request can never succeed.
        """
        try:
            async with asyncio.timeout(within):
                answer = await self.send("GET", "metadata")
            if not answer.ok:
                raise _refusal(answer)
            document = from_json(answer.body)
        except (TimeoutError, ValueError):
            raise Unavailable(_AWAY) from None
        return document if isinstance(document, dict) else {}


def section(metadata: dict[str, Any], name: str) -> dict[str, Any]:
    """A section of the metadata; empty if it is not there."""
    found = metadata.get(name)
    return found if isinstance(found, dict) else {}


@lru_cache(maxsize=4096)  # Each turn of an actor requests the same seven URLs.
def _url(text: str) -> URL:
    return URL(text, encoded=True)


@lru_cache(maxsize=4096)
def part(text: str) -> str:
    """A name as a path segment: daprd decodes each, and takes a bare `+` for a space."""
    return quote(text, safe="~")


def failure(answer: SidecarResponse, path: str) -> Unavailable | Defect:
    """The error for a response that is not a success.

    It leaves out the sidecar's text, which may contain people's messages.
    """
    what = path.split("/", 1)[0]
    log.warning("the sidecar answered %s %s to %s", answer.status, answer.code, what)
    log.debug("its text: %s", answer.message)
    return _refusal(answer)


def _refusal(answer: SidecarResponse) -> Unavailable | Defect:
    if answer.status in {401, 403}:
        return Unavailable(
            "The sidecar refuses this service: check that both have the same DAPR_API_TOKEN."
        )
    if 400 <= answer.status < 500 and not answer.code.startswith("ERR_ACTOR"):
        return Defect(f"The sidecar does not take this request ({answer.code or answer.status}).")
    return Unavailable("The sidecar, or what is behind it, could not do it now; try again.")
