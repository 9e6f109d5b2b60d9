"""One pooled session to the sidecar's HTTP API, and what its errors mean to us.

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
    """What the sidecar answered: an HTTP status and a body."""

    status: int
    body: bytes

    @property
    def ok(self) -> bool:
        """Did it do what it was asked?"""
        return 200 <= self.status < 300

    @property
    def code(self) -> str:
        """Dapr's `errorCode`, or nothing where the body has none."""
        return self._told("errorCode")

    @property
    def message(self) -> str:
        """Dapr's `message`. It may repeat what an actor said: for DEBUG only."""
        return self._told("message")

    def _told(self, field: str) -> str:
        try:
            told = from_json(self.body)
        except ValueError:
            return ""
        return str(told.get(field, "")) if isinstance(told, dict) else ""


class SidecarClient:
    """The sidecar's HTTP API.

    Args:
        port: Its port on loopback.
        token: What it wants to see (`DAPR_API_TOKEN`), if anything.
        timeout: Seconds that a request may take, longer than any turn.
    """

    def __init__(self, port: int, token: str | None, timeout: float) -> None:
        self._base = f"http://127.0.0.1:{port}/v1.0/"
        self._headers = {wire.TOKEN_HEADER: token} if token else {}
        self._timeout = timeout
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Opens the pool; connections are made when they are needed."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=60),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=self._headers,
            auto_decompress=False,  # Nothing was said of accepting anything compressed.
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
        """Sends one request.

        Args:
            method: The HTTP method.
            path: Below `/v1.0/`, each part of it by `part`.
            body: JSON.
            headers: Beside the token and the content's type.
            patience: In place of the one for every request.

        Raises:
            Unavailable: The sidecar could not be reached, or did not answer in time.
        """
        if self._session is None:
            raise Unavailable("The runtime has not been started.")
        url = _url(self._base + path)
        given = _JSON | headers if headers else _JSON
        if tracing.enabled():
            given = {**given, **tracing.headers()}
        try:
            async with self._session.request(
                method,
                url,
                data=body,
                headers=given,
                allow_redirects=False,  # The token is the sidecar's, and nobody else's.
                timeout=patience or self._session.timeout,
            ) as answer:
                return SidecarResponse(answer.status, await answer.read())
        except (aiohttp.ClientError, ConnectionError, TimeoutError) as error:
            log.debug("%s %s: %s", method, path, type(error).__name__)
            raise Unavailable(_AWAY) from None
        except RuntimeError:
            # aiohttp has no error of its own for a session that was closed meanwhile.
            if not self._session.closed:
                raise
            raise Unavailable("The runtime is stopping.") from None

    async def ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        """Sends a request that must succeed, and returns its body.

        Raises:
            Unavailable: The sidecar is away, or could not do it now.
            Defect: It will never do it.
        """
        answer = await self.send(method, path, body)
        if not answer.ok:
            raise failure(answer, path)
        return answer.body

    async def metadata(self, within: float) -> dict[str, Any]:
        """What the sidecar says of itself. Nothing is logged: it is asked again and again.

        Raises:
            Unavailable: It did not say it in that many seconds; the text says why.
            Defect: It never will.
        """
        try:
            async with asyncio.timeout(within):
                answer = await self.send("GET", "metadata")
            if not answer.ok:
                raise _refusal(answer)
            told = from_json(answer.body)
        except (TimeoutError, ValueError):
            raise Unavailable(_AWAY) from None
        return told if isinstance(told, dict) else {}


def section(told: dict[str, Any], name: str) -> dict[str, Any]:
    """A part of the metadata; empty where it has none of that form."""
    found = told.get(name)
    return found if isinstance(found, dict) else {}


@lru_cache(maxsize=4096)  # A turn asks for the same seven addresses each time.
def _url(text: str) -> URL:
    return URL(text, encoded=True)


@lru_cache(maxsize=4096)
def part(text: str) -> str:
    """A name as a part of a path: daprd decodes each, and takes a bare `+` for a space."""
    return quote(text, safe="~")


def failure(answer: SidecarResponse, path: str) -> Unavailable | Defect:
    """The error behind an answer that is not a success.

    The sidecar's message is kept out of it: it may repeat what an actor, and so a person, said.
    """
    what = path.split("/", 1)[0]
    log.warning("the sidecar answered %s %s to %s", answer.status, answer.code, what)
    log.debug("its words: %s", answer.message)
    return _refusal(answer)


def _refusal(answer: SidecarResponse) -> Unavailable | Defect:
    if answer.status in {401, 403}:
        return Unavailable("The sidecar refuses this service: is its DAPR_API_TOKEN the same?")
    if 400 <= answer.status < 500 and not answer.code.startswith("ERR_ACTOR"):
        return Defect(f"The sidecar does not take this request ({answer.code or answer.status}).")
    return Unavailable("The sidecar, or what is behind it, could not do it now; try again.")
