"""The public keys of an issuer (a JSON Web Key Set, RFC 7517)."""

import asyncio
import logging
from typing import Any

import httpx2
from pydantic_core import from_json

from agent_actors.clock import Clock
from agent_actors.errors import Unavailable

log = logging.getLogger(__name__)

REFRESH = 300.0
"""Seconds after which the keys are fetched again, so that a revoked key is no longer accepted."""
USABLE = 3_600.0
"""Seconds for which old keys are used while the issuer does not answer."""
PAUSE = 10.0
"""The least number of seconds between two fetches, also for tokens with unknown key ids."""
TIME = 5.0
"""Time limit of a fetch, in seconds."""
LARGEST = 512 * 1024
"""Largest key set, in bytes."""

_KINDS = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}
"""The type of key that an algorithm takes (RFC 7518, 3.1; RFC 8037), by how its name begins."""
_CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}

Jwk = dict[str, Any]


class InvalidKeySet(Exception):
    """The answer is not a key set."""


class KeySet:
    """The keys by their ids, fetched at the first use; one fetch at a time."""

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

    async def find(self, kid: str | None, algorithm: str) -> Jwk | None:
        """The key with that id for that algorithm; without an id, the only one for it.

        An issuer may publish keys of several algorithms, or for encryption, under one id.

        Raises `Unavailable` if the keys cannot be fetched.
        """
        found = self._find(kid, algorithm) if self._age(self._fetched) < USABLE else None
        if self._age(self._fetched) >= REFRESH or found is None:
            fetching = self._fetch()
            if found is None:
                if fetching is not None:
                    await asyncio.shield(fetching)
                # Only if the last fetch succeeded, a missing key is unknown.
                if self._fetched is None or self._fetched != self._tried:
                    raise Unavailable(
                        "The issuer's signing keys cannot be fetched, so its tokens cannot be"
                        " checked.",
                        retry_after=max(PAUSE - self._age(self._tried), 1.0),
                    )
                found = self._find(kid, algorithm)
        return found

    async def close(self) -> None:
        """Cancels a running fetch and closes the connection. Idempotent."""
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.gather(self._fetching, return_exceptions=True)
        if self._http is not None:
            await self._http.aclose()

    def _find(self, kid: str | None, algorithm: str) -> Jwk | None:
        fitting = [key for key in self._keys if _fits(key, algorithm)]
        if kid is None:
            return fitting[0] if len(fitting) == 1 else None
        named = [key for key in fitting if key.get("kid") == kid]
        # A key that names the algorithm is meant for it; one without a name may be for another.
        exact = (key for key in named if key.get("alg") == algorithm)
        return next(exact, named[0] if named else None)

    def _age(self, at: float | None) -> float:
        return float("inf") if at is None else self._clock.monotonic() - at

    def _fetch(self) -> asyncio.Task[None] | None:
        """The running fetch, or a new one, unless the last one was too recent."""
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
            log.warning(
                "could not fetch the signing keys from AGENT_ACTORS_JWT_JWKS_URL: %s", reason
            )
            return
        self._fetched = tried

    async def _published(self) -> list[Jwk]:
        if self._http is None:
            self._http = httpx2.AsyncClient(
                timeout=TIME,
                transport=self._transport,
                trust_env=self._url.scheme == "https",  # A web proxy does not lead to this machine.
            )
        async with self._http.stream("GET", self._url) as answer:
            if answer.status_code != httpx2.codes.OK:
                raise InvalidKeySet(f"status {answer.status_code}")
            body = bytearray()
            async for part in answer.aiter_bytes():
                body += part
                if len(body) > LARGEST:
                    raise InvalidKeySet(f"more than {LARGEST} bytes")
        try:
            keys = [key for key in from_json(bytes(body))["keys"] if isinstance(key, dict)]
        except (ValueError, TypeError, KeyError):
            raise InvalidKeySet("not a JSON Web Key Set") from None
        return [key for key in keys if _signs(key)]


def _signs(key: Jwk) -> bool:
    """Whether a key is for signatures; members that are absent or null allow it (RFC 7517, 4)."""
    operations = key.get("key_ops")
    verifies = "verify" in operations if isinstance(operations, list) else True
    return verifies and key.get("use") in (None, "sig")


def _fits(key: Jwk, algorithm: str) -> bool:
    """Whether a key can have made a signature of that algorithm."""
    if key.get("alg") not in (None, algorithm):
        return False
    curve = _CURVES.get(algorithm)
    return key.get("kty") == _KINDS.get(algorithm[:2]) and (
        curve is None or key.get("crv") == curve
    )
