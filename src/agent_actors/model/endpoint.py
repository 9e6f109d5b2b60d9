"""The server that answers, and its key: from the environment, else from a secret store."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from pydantic import SecretStr

from agent_actors.clock import Clock
from agent_actors.errors import AgentError, StartupError, Unavailable
from agent_actors.forms.url import is_address
from agent_actors.settings import Settings

log = logging.getLogger(__name__)

GetSecret = Callable[[str, str], Awaitable[str | None]]
"""Reads a secret: store, name; None where there is none. Raises `Unavailable` while it cannot."""

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 5.0
"""Seconds before a store that is away is asked again; doubles from the first to the longest."""
NO_KEY = SecretStr("none")
"""What is sent to a server of one's own that wants no key: the library insists on one."""


@dataclass(frozen=True, slots=True)
class Provider:
    """Whose models there are: where, and what the key is called.

    `default_model` is asked for where no model is named; empty, it is the library's own default.
    """

    base_url: str
    variable: str
    secret: str
    default_model: str = ""

    def key(self, settings: Settings) -> SecretStr | None:
        """The key in the environment, if it is there."""
        return settings.gemini_api_key if self is GEMINI else settings.openai_api_key


# Named, so that a variable for another library cannot send a key elsewhere (`OPENAI_BASE_URL`).
OPENAI = Provider("https://api.openai.com/v1", "OPENAI_API_KEY", "openai-api-key")
GEMINI = Provider(
    "https://generativelanguage.googleapis.com/v1beta/openai/",
    "GEMINI_API_KEY",
    "gemini-api-key",
    "gemini-flash-latest",
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a model is asked for, and by what name.

    `key_from` says where the key comes from; `secret` is its name in the secret store, or empty
    where it is not from there.
    """

    model: str
    base_url: str
    key: SecretStr = field(repr=False)
    key_from: str
    secret: str = ""


class EndpointFinder:
    """Finds the endpoint that the settings mean.

    Args:
        settings: The process's settings.
        clock: Paces the questions to a secret store that is away.
        get_secret: Asks it, where there is one.

    Raises:
        StartupError: A server of one's own is named, but no model, or its URL is none.
    """

    def __init__(self, settings: Settings, clock: Clock, get_secret: GetSecret | None) -> None:
        self._settings = settings
        self._clock = clock
        self._get_secret = get_secret
        self._providers = _providers(settings.model)
        _check_own_server(settings)

    def from_environment(self) -> Endpoint | None:
        """The endpoint, by the environment alone."""
        settings = self._settings
        if settings.model_base_url:
            key = settings.model_api_key or NO_KEY
            where = "AGENT_ACTORS_MODEL_API_KEY"
            return Endpoint(settings.model, settings.model_base_url, key, where)
        for provider in self._providers:
            if (found := provider.key(settings)) is not None:
                return self._endpoint(provider, found, provider.variable)
        return None

    async def find(self) -> Endpoint | None:
        """The endpoint, or None without a key; waits for a secret store until it answers."""
        endpoint = self.from_environment()
        if endpoint is not None:
            return endpoint
        for provider in self._providers:
            if (found := await self._patiently(provider.secret)) is not None:
                where = f"the secret {provider.secret!r} (AGENT_ACTORS_SECRET_STORE)"
                endpoint = self._endpoint(provider, found, where)
                return replace(endpoint, secret=provider.secret)
        return None

    async def renew(self, refused: Endpoint) -> Endpoint | None:
        """The same endpoint with another key, if the store has one by now."""
        if not refused.secret:
            return None
        try:
            found = await self._stored(refused.secret)
        except AgentError as error:
            log.warning("the secret store cannot be asked for a new key: %s", error.detail)
            return None
        return None if found in {None, refused.key} else replace(refused, key=found)

    @property
    def hint(self) -> str:
        """What to set where there is no key: for a line in the log."""
        names = " or ".join(provider.variable for provider in self._providers)
        if not self._settings.model:
            return f"set {names}"
        return f"AGENT_ACTORS_MODEL is {self._settings.model!r}: set {names}"

    def _endpoint(self, provider: Provider, key: SecretStr, where: str) -> Endpoint:
        name = self._settings.model or provider.default_model
        return Endpoint(name, provider.base_url, key, where)

    async def _patiently(self, name: str) -> SecretStr | None:
        pause = FIRST_PAUSE
        while True:
            try:
                return await self._stored(name)
            except Unavailable as error:
                if pause == FIRST_PAUSE:
                    log.warning("the secret store is asked until it answers: %s", error.detail)
            await self._clock.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _stored(self, name: str) -> SecretStr | None:
        store = self._settings.secret_store
        if store is None or self._get_secret is None:
            return None
        key = (await self._get_secret(store, name) or "").strip()
        if key and not (key.isascii() and key.isprintable()):
            log.warning("the secret %r cannot be sent in a header", name)
            return None
        return SecretStr(key) if key else None


def describe_model(settings: Settings) -> str:
    """The model that will answer, in words; which one may hang on what a secret store has."""
    if settings.model in {"echo", "scripted"}:
        return settings.model
    if settings.model_base_url:
        url = urlsplit(settings.model_base_url)
        # Not the whole of it: it may have a password.
        return f"{settings.model} at {url.scheme}://{url.netloc.rpartition('@')[2]}{url.path}"
    for provider in _providers(settings.model):
        if provider.key(settings) is not None:
            return settings.model or provider.default_model or "OpenAI's default"
    return "of the secret store's key, else echo" if settings.secret_store else "echo (no key)"


def _providers(model: str) -> tuple[Provider, ...]:
    if not model:
        return (OPENAI, GEMINI)
    return (GEMINI,) if "gemini" in model.lower() else (OPENAI,)


def _check_own_server(settings: Settings) -> None:
    url = settings.model_base_url
    if url is None:
        return
    if not settings.model:
        raise StartupError("AGENT_ACTORS_MODEL_BASE_URL is set: name a model in AGENT_ACTORS_MODEL")
    if not is_address(url):
        raise StartupError(
            "AGENT_ACTORS_MODEL_BASE_URL is no address of a server such as http://localhost:11434/v1"
        )
