"""The public keys of an issuer, as it publishes them (a JSON Web Key Set)."""

import asyncio
import logging
from typing import Any

import httpx2
from pydantic_core import from_json

from agent_actors.clock import Clock
from agent_actors.errors import Unavailable

log = logging.getLogger(__name__)

REFRESH = 300.0
"""Seconds after which the keys are fetched anew: a key that was withdrawn is taken no longer."""
USABLE = 3_600.0
"""Seconds for which they are used while the issuer does not answer."""
PAUSE = 10.0
"""Seconds between two fetches at least: tokens with made-up key ids cause no more."""
TIME = 5.0
"""Seconds that a fetch may take."""
LARGEST = 512 * 1024
"""Bytes of a key set, at most."""

Jwk = dict[str, Any]


class InvalidKeySet(Exception):
    """What came is no key set."""


class KeySet:
    """Keys by their ids, fetched when they are first needed; one fetch at a time.

    Args:
        url: Where they are.
        clock: The time.
        transport: What carries requests; the network by default.
    """

    def __init__(
        self, url: httpx2.URL, clock: Clock, transport: httpx2.AsyncBaseTransport | None = None
    ) -> None:
        self._url = url
        self._clock = clock
        self._transport = transport
        self._http: httpx2.AsyncClient | None = None
        self._keys: list[Jwk] = []
        self._fetched: float | None = None
        self._tried: float | None = None
        self._fetching: asyncio.Task[None] | None = None

    async def find(self, kid: str | None) -> Jwk | None:
        """The key of that id; without an id, the only key there is.

        Raises:
            Unavailable: The issuer does not answer, so it is not known.
        """
        found = self._find(kid) if self._age(self._fetched) < USABLE else None
        if self._age(self._fetched) >= REFRESH or found is None:
            fetching = self._fetch()
            if found is None:
                if fetching is not None:
                    await asyncio.shield(fetching)
                self._require_fetched()
                found = self._find(kid)
        return found

    async def close(self) -> None:
        """Fetches no more. Idempotent."""
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.gather(self._fetching, return_exceptions=True)
        if self._http is not None:
            await self._http.aclose()

    def _find(self, kid: str | None) -> Jwk | None:
        if kid is None:
            return self._keys[0] if len(self._keys) == 1 else None
        return next((key for key in self._keys if key.get("kid") == kid), None)

    def _age(self, at: float | None) -> float:
        return float("inf") if at is None else self._clock.monotonic() - at

    def _require_fetched(self) -> None:
        """The last try has worked: what is not among the keys is none."""
        if self._fetched is None or self._fetched != self._tried:
            left = max(PAUSE - self._age(self._tried), 1.0)
            raise Unavailable(
                "The issuer's keys cannot be fetched, so no token of it can be checked.",
                retry_after=left,
            )

    def _fetch(self) -> asyncio.Task[None] | None:
        """The fetch that runs, or a new one unless it would be too soon."""
        if self._fetching is not None and not self._fetching.done():
            return self._fetching
        if self._age(self._tried) < PAUSE:
            return None
        self._tried = self._clock.monotonic()
        self._fetching = asyncio.create_task(self._renew(self._tried))
        return self._fetching

    async def _renew(self, tried: float) -> None:
        try:
            async with self._clock.timeout(TIME):
                self._keys = await self._published()
        except (httpx2.HTTPError, TimeoutError, InvalidKeySet) as error:
            reason = str(error) or type(error).__name__
            log.warning("the keys of AGENT_ACTORS_JWT_JWKS_URL were not fetched: %s", reason)
            return
        self._fetched = tried

    async def _published(self) -> list[Jwk]:
        async with self._client().stream("GET", self._url) as answer:
            if answer.status_code != httpx2.codes.OK:
                raise InvalidKeySet(f"it answered {answer.status_code}")
            body = bytearray()
            async for part in answer.aiter_bytes():
                body += part
                if len(body) > LARGEST:
                    raise InvalidKeySet(f"it has more than {LARGEST} bytes")
        return _keys(bytes(body))

    def _client(self) -> httpx2.AsyncClient:
        if self._http is None:
            self._http = httpx2.AsyncClient(
                timeout=TIME,
                transport=self._transport,
                trust_env=self._url.scheme == "https",  # No proxy leads to this machine.
            )
        return self._http


def _keys(body: bytes) -> list[Jwk]:
    """Those that signatures are checked by."""
    try:
        published = from_json(body)["keys"]
        keys = [key for key in published if isinstance(key, dict)]
    except (ValueError, TypeError, KeyError):
        raise InvalidKeySet("it is no JSON Web Key Set") from None
    return [key for key in keys if key.get("use", "sig") == "sig"]
