"""The model's server and its key, from the environment or else from a secret store."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import partial
from urllib.parse import urlsplit

from pydantic import SecretStr

from agent_actors.clock import Clock
from agent_actors.errors import AgentError, StartupError, Unavailable
from agent_actors.forms.url import is_address, origin
from agent_actors.model import ModelDescription
from agent_actors.retry import RetryPolicy, retry
from agent_actors.settings import Settings

log = logging.getLogger(__name__)

GetSecret = Callable[[str, str], Awaitable[str | None]]
"""Reads a secret by store and name; None if there is none. Raises `Unavailable` on an outage."""

STORE = RetryPolicy(pause=0.1, longest=5.0)
"""How often an unavailable store is asked again."""
BUILT_IN = ("echo", "scripted")
"""The models of the service itself."""
ELSEWHERE = (
    *("claude", "anthropic", "codestral", "command-", "deepseek", "gemma", "glm-", "grok", "kimi"),
    *("llama", "mistral", "mixtral", "moonshot", "phi", "qwen", "smollm"),
)
"""How the names of models begin that other vendors and servers have."""
DEFAULT = "OpenAI's default"
"""The model if none is named: the library chooses it."""
NO_KEY = SecretStr("none")
"""The key for a server that wants none: the library insists on one."""


@dataclass(frozen=True, slots=True)
class Provider:
    """A vendor of models: its address, and where its key is found.

    `default_model` is used if no model is named; an empty one means the library's own default.
    """

    base_url: str
    variable: str
    secret: str
    default_model: str = ""

    def key(self, settings: Settings) -> SecretStr | None:
        """The key in the environment."""
        return settings.gemini_api_key if self is GEMINI else settings.openai_api_key


# The address is fixed, so that OPENAI_BASE_URL, set for another program, cannot redirect the key.
OPENAI = Provider("https://api.openai.com/v1", "OPENAI_API_KEY", "openai-api-key")
GEMINI = Provider(
    "https://generativelanguage.googleapis.com/v1beta/openai/",
    "GEMINI_API_KEY",
    "gemini-api-key",
    "gemini-flash-latest",
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A model on a server, with its key.

    `key_from` says in words where the key comes from. `secret` is the key's name in the secret
    store, or empty if the key comes from the environment.
    """

    model: str
    base_url: str
    key: SecretStr = field(repr=False)
    key_from: str
    secret: str = ""

    def describe(self) -> ModelDescription:
        """The model and its server, without user and path, which may be secret."""
        return ModelDescription(self.model or DEFAULT, origin(self.base_url))


class EndpointFinder:
    """Finds the endpoint that the settings describe; `get_secret` reads the secret store, if any.

    Raises `StartupError` if `model_base_url` is invalid, or set without a model.
    """

    def __init__(self, settings: Settings, clock: Clock, get_secret: GetSecret | None) -> None:
        url = settings.model_base_url
        if url is not None and not settings.model:
            raise StartupError(
                "AGENT_ACTORS_MODEL_BASE_URL is set: name a model in AGENT_ACTORS_MODEL"
            )
        if url is not None and not is_address(url):
            raise StartupError(
                "AGENT_ACTORS_MODEL_BASE_URL is not a server's URL such as http://localhost:11434/v1"
            )
        if url is not None and any(each in "?#" or each.isspace() for each in url):
            raise StartupError(
                "AGENT_ACTORS_MODEL_BASE_URL has a query, a fragment or a space; paths are put"
                " after it, so it must end before them"
            )
        self._settings = settings
        self._clock = clock
        self._get_secret = get_secret
        self._providers = _providers(settings.model)

    def from_environment(self) -> Endpoint | None:
        """The endpoint, if the environment has its key."""
        settings = self._settings
        if settings.model_base_url:
            key = settings.model_api_key or NO_KEY
            origin = "AGENT_ACTORS_MODEL_API_KEY"
            return Endpoint(settings.model, settings.model_base_url, key, origin)
        for provider in self._providers:
            if (found := provider.key(settings)) is not None:
                return self._endpoint(provider, found, provider.variable)
        return None

    @property
    def may_find(self) -> bool:
        """Whether there is an endpoint, or a secret store that may have its key."""
        return self._settings.secret_store is not None or self.from_environment() is not None

    @property
    def named(self) -> bool:
        """Whether the settings name a model."""
        return bool(self._settings.model)

    @property
    def no_key(self) -> str:
        """Why a model that is named cannot be called without a key, and what to set."""
        names = " or ".join(provider.variable for provider in self._providers)
        return (
            f"AGENT_ACTORS_MODEL is {self._settings.model!r}, but there is no API key for it; set"
            f" {names}, or AGENT_ACTORS_MODEL_BASE_URL to a server of your own, or"
            " AGENT_ACTORS_MODEL=echo to try the service without one."
        )

    async def find(self) -> Endpoint | None:
        """The endpoint, or None without a key; waits until the secret store answers."""
        endpoint = self.from_environment()
        if endpoint is not None:
            return endpoint
        for provider in self._providers:
            name = provider.secret
            try:
                found = await self._secret(name)
            except Unavailable as error:
                log.warning("waiting for the secret store: %s", error.detail)
                ask = partial(self._secret, name)
                found = await retry(ask, STORE, on=Unavailable, clock=self._clock)
            if found is not None:
                origin = f"the secret {name!r} (AGENT_ACTORS_SECRET_STORE)"
                return replace(self._endpoint(provider, found, origin), secret=name)
        return None

    async def renew(self, refused: Endpoint) -> Endpoint | None:
        """The endpoint with another key, if the store has one after this one was refused."""
        if not refused.secret:
            return None
        try:
            found = await self._secret(refused.secret)
        except AgentError as error:
            log.warning("could not read a new API key from the secret store: %s", error.detail)
            return None
        return None if found in {None, refused.key} else replace(refused, key=found)

    @property
    def hint(self) -> str:
        """The variables to set if there is no key, for the log."""
        return f"set {' or '.join(provider.variable for provider in self._providers)}"

    def _endpoint(self, provider: Provider, key: SecretStr, origin: str) -> Endpoint:
        name = self._settings.model or provider.default_model
        return Endpoint(name, provider.base_url, key, origin)

    async def _secret(self, name: str) -> SecretStr | None:
        store = self._settings.secret_store
        if store is None or self._get_secret is None:
            return None
        key = (await self._get_secret(store, name) or "").strip()
        if key and not (key.isascii() and key.isprintable()):
            log.warning("the secret %r cannot be sent in an HTTP header", name)
            return None
        return SecretStr(key) if key else None


def require_served(settings: Settings) -> None:
    """Checks that the model's name can be one of the vendors that are called without a base URL.

    Raises:
        StartupError: It is another vendor's, or a misspelt name of a built-in model.
    """
    name = settings.model
    if settings.model_base_url or name in BUILT_IN or GEMINI in _providers(name):
        return
    if meant := get_close_matches(name.strip().lower(), BUILT_IN, n=1, cutoff=0.7):
        raise StartupError(f"AGENT_ACTORS_MODEL is {name!r}; did you mean {meant[0]!r}?")
    if "/" in name or name.lower().startswith(ELSEWHERE):
        raise StartupError(
            f"AGENT_ACTORS_MODEL is {name!r}, which neither OpenAI nor Gemini serves; set"
            " AGENT_ACTORS_MODEL_BASE_URL to an OpenAI-compatible server that does (the vendor's"
            " own, such as https://api.anthropic.com/v1/, LiteLLM or Ollama), and"
            " AGENT_ACTORS_MODEL_API_KEY to its API key."
        )


def describe_model(settings: Settings) -> str:
    """The model in a few words, without secrets, for the start line.

    Whether the secret store has a key is not known yet.
    """
    if settings.model in BUILT_IN:
        return settings.model
    if settings.model_base_url:
        url = urlsplit(settings.model_base_url)
        # User name, password and query are left out.
        return f"{settings.model} at {url.scheme}://{url.netloc.rpartition('@')[2]}{url.path}"
    for provider in _providers(settings.model):
        if provider.key(settings) is not None:
            return settings.model or provider.default_model or DEFAULT
    return (
        "by the secret store's API key, else echo" if settings.secret_store else "echo (no API key)"
    )


def _providers(model: str) -> tuple[Provider, ...]:
    if not model:
        return (OPENAI, GEMINI)
    return (GEMINI,) if "gemini" in model.lower() else (OPENAI,)
