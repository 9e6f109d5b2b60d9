"""The model: does its server take the key, and has it the model?"""

import socket
import ssl
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any
from urllib.parse import quote, urlsplit

import httpx2
from pydantic_core import from_json

from agent_actors.clock import Clock
from agent_actors.doctor.finding import Finding, Report
from agent_actors.doctor.seen import Seen
from agent_actors.doctor.service import note_skew
from agent_actors.errors import AgentError, StartupError
from agent_actors.model.keys import Endpoint, GetSecret, Keys
from agent_actors.settings import Settings

WITHIN = 5.0
"""Seconds for the secret store."""
SHOWN = 5
"""Models of a server that are named."""
_REASONS: dict[type[BaseException], str] = {
    ConnectionRefusedError: "nothing listens there",
    socket.gaierror: "its name is not known",
    ssl.SSLCertVerificationError: "its certificate is not trusted",
}
_OFFLINE = frozenset({"echo", "scripted"})


class ModelCheck:
    """The model's server takes our key, and has the model. Nothing is asked of the model itself.

    Args:
        http: Asks the server.
        settings: Which model, where.
        get_secret: Reads the secret store.
        seen: Is told of the server's clock.
        clock: Our own.
    """

    name = "model"

    def __init__(
        self,
        http: httpx2.AsyncClient,
        settings: Settings,
        get_secret: GetSecret,
        seen: Seen,
        clock: Clock,
    ) -> None:
        self._http = http
        self._settings = settings
        self._get_secret = get_secret
        self._seen = seen
        self._clock = clock
        self._report = Report(self.name)

    async def look(self) -> Sequence[Finding]:
        """What the list of the server's models says."""
        if self._settings.model in _OFFLINE:
            return self._report.ok(f"{self._settings.model} answers: no key and no network needed")
        try:
            keys = Keys(self._settings, self._clock, self._get_secret)
            async with self._clock.timeout(WITHIN):
                endpoint = await keys.endpoint()
        except StartupError as error:
            return self._report.fail(str(error), "docs/models.md has examples")
        except (AgentError, TimeoutError):
            return self._report.fail("the secret store does not give a key", "see `secrets` above")
        if endpoint is None:
            return self._keyless(keys.missing)
        return await self._ask(endpoint)

    def _keyless(self, missing: str) -> Sequence[Finding]:
        if self._settings.model:
            return self._report.warn("there is no key, so it is `echo` that answers", missing)
        return self._report.ok(f"echo answers, since there is no key; for a real model {missing}")

    async def _ask(self, endpoint: Endpoint) -> Sequence[Finding]:
        host, place = _whereabouts(endpoint.base_url)
        try:
            answer = await self._get(endpoint, "models")
            note_skew(self._seen, "the model's server", answer.headers, self._clock)
            refused = self._refused(answer, endpoint, host)
            return refused or await self._named(answer, endpoint, host)
        except httpx2.TimeoutException:
            why = "does not answer in time"
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            why = f"cannot be reached ({_reason(error)})"
        return self._report.fail(f"{place} {why}", self._way(host))

    def _way(self, host: str) -> str:
        """What to do about a server that does not answer."""
        if self._settings.model_base_url is None:
            return "look at the network and its proxies (HTTPS_PROXY)"
        if _local(host):
            return "does it run? start it, or set AGENT_ACTORS_MODEL_BASE_URL to where it is"
        return "look at AGENT_ACTORS_MODEL_BASE_URL, the network and its proxies (HTTPS_PROXY)"

    async def _get(self, endpoint: Endpoint, path: str) -> httpx2.Response:
        bearer = {"authorization": f"Bearer {endpoint.key.get_secret_value()}"}
        return await self._http.get(f"{endpoint.base_url.rstrip('/')}/{path}", headers=bearer)

    def _refused(self, answer: httpx2.Response, endpoint: Endpoint, host: str) -> Sequence[Finding]:
        status = answer.status_code
        # Gemini tells of a wrong key by a 400.
        if status in {401, 403} or "API_KEY_INVALID" in answer.text:
            return self._report.fail(
                f"{host} refuses the key ({status})", f"put a valid one into {endpoint.key_from}"
            )
        if status == httpx2.codes.TOO_MANY_REQUESTS:
            return self._report.warn(
                f"{host} takes the key, but nothing now ({status})", "look at its quota"
            )
        if answer.is_server_error:
            return self._report.fail(f"{host} fails ({status})", "try again later")
        if not answer.is_success or _names(answer) is None:
            return self._report.warn(
                f"{host} does not list its models ({status}), so the key is not known to be good",
                "`agent-actors chat doctor hello` asks it",
            )
        return []

    async def _named(
        self, answer: httpx2.Response, endpoint: Endpoint, host: str
    ) -> Sequence[Finding]:
        if not endpoint.model:
            return self._report.ok(f"{host} takes the key of {endpoint.key_from}")
        names = _names(answer) or []
        found = f"{endpoint.model} at {host}, which takes the key of {endpoint.key_from}"
        if any(_same(name, endpoint.model) for name in names):
            return self._report.ok(found)
        single = await self._get(endpoint, f"models/{quote(endpoint.model, safe='/:')}")
        if single.is_success:
            return self._report.ok(found)
        has = ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")
        # A server of one's own may answer under any name; a provider does not.
        told = self._report.warn if self._settings.model_base_url else self._report.fail
        return told(
            f"{host} has no model {endpoint.model!r}",
            f"name another in AGENT_ACTORS_MODEL: {has or 'it lists none'}",
        )


def _whereabouts(base_url: str) -> tuple[str, str]:
    """The host, and the host with its port: of the whole URL a password may be a part."""
    url = urlsplit(base_url)
    named = url.hostname or ""
    host = f"[{named}]" if ":" in named else named
    return named, f"{host}:{url.port or (443 if url.scheme == 'https' else 80)}"


def _reason(error: BaseException) -> str:
    """What the system said, in our words: those of a library may repeat the URL."""
    cause: BaseException | None = error
    while cause is not None:
        for kind, words in _REASONS.items():
            if isinstance(cause, kind):
                return words
        cause = cause.__cause__ or cause.__context__
    return type(error).__name__


def _local(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _names(answer: httpx2.Response) -> list[str] | None:
    """The models of a list; None where it is no such list."""
    try:
        told: Any = from_json(answer.content)
    except ValueError:
        return None
    models = told.get("data") if isinstance(told, dict) else None
    if not isinstance(models, list):
        return None
    return [str(each["id"]) for each in models if isinstance(each, dict) and "id" in each]


def _same(name: str, wanted: str) -> bool:
    """Gemini writes `models/` before a name, Ollama `:latest` behind it."""
    return name.removeprefix("models/") in {wanted, f"{wanted}:latest"}
