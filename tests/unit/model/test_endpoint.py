"""Where the key of a model comes from."""

import asyncio
import logging
from typing import Any

import pytest
from pydantic import SecretStr

from agent_actors.errors import StartupError, Unavailable
from agent_actors.model.endpoint import GEMINI, OPENAI, Endpoint, EndpointFinder, describe_model
from agent_actors.settings import Settings
from tests.hand_clock import HandClock, settle


class Secrets:
    """A secret store in a dict that is unavailable for a number of reads."""

    def __init__(self, away: int = 0, **kept: str) -> None:
        self.kept = {name.replace("_", "-"): value for name, value in kept.items()}
        self.away = away
        self.asked: list[tuple[str, str]] = []

    async def get(self, store: str, name: str) -> str | None:
        self.asked.append((store, name))
        if self.away:
            self.away -= 1
            raise Unavailable("The sidecar is away.")
        return self.kept.get(name)


def finder_of(
    secrets: Secrets | None = None, clock: HandClock | None = None, **values: Any
) -> EndpointFinder:
    if secrets is not None:
        values["secret_store"] = "vault"
    settings = Settings(**values)
    return EndpointFinder(settings, clock or HandClock(), secrets.get if secrets else None)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"OPENAI_API_KEY": "o"}, ("", OPENAI.base_url, "o")),
        ({"GEMINI_API_KEY": "g"}, ("gemini-flash-latest", GEMINI.base_url, "g")),
        ({"OPENAI_API_KEY": "o", "GEMINI_API_KEY": "g"}, ("", OPENAI.base_url, "o")),
        (
            {"model": "Gemini-Pro", "OPENAI_API_KEY": "o", "GEMINI_API_KEY": "g"},
            ("Gemini-Pro", GEMINI.base_url, "g"),
        ),
        ({"model": "gpt", "OPENAI_API_KEY": "o"}, ("gpt", OPENAI.base_url, "o")),
    ],
)
async def test_a_model_is_asked_for_at_its_provider(
    values: dict[str, Any], expected: tuple[str, str, str]
):
    """A name with `gemini` in it means Gemini, any other OpenAI; without a name the key decides."""
    endpoint = await finder_of(**values).find()

    assert endpoint is not None
    assert (endpoint.model, endpoint.base_url, endpoint.key.get_secret_value()) == expected


@pytest.mark.parametrize(
    ("values", "missing"),
    [
        ({}, "set OPENAI_API_KEY or GEMINI_API_KEY"),
        (
            {"model": "gpt", "GEMINI_API_KEY": "g"},
            "set OPENAI_API_KEY",
        ),
        (
            {"model": "gemini-x", "OPENAI_API_KEY": "o"},
            "set GEMINI_API_KEY",
        ),
    ],
)
async def test_a_key_that_is_missing_is_named(values: dict[str, Any], missing: str):
    """A named model cannot use the other provider's key."""
    found = finder_of(**values)

    assert await found.find() is None
    assert found.hint == missing


@pytest.mark.parametrize(("key", "sent"), [({}, "none"), ({"model_api_key": "own"}, "own")])
async def test_a_server_of_ones_own_comes_first(key: dict[str, Any], sent: str):
    """Its key is optional, and the providers' keys are not sent there."""
    url = "http://127.0.0.1:11434/v1"
    values: dict[str, Any] = {"model": "gemini-clone", "GEMINI_API_KEY": "g"}
    endpoint = await finder_of(model_base_url=url, **key, **values).find()

    assert endpoint == Endpoint("gemini-clone", url, SecretStr(sent), "AGENT_ACTORS_MODEL_API_KEY")


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"model_base_url": "http://127.0.0.1/v1"}, "AGENT_ACTORS_MODEL$"),
        *(
            ({"model_base_url": url, "model": "m"}, "AGENT_ACTORS_MODEL_BASE_URL")
            for url in (
                "127.0.0.1/v1",
                "http://[::1/v1",
                "http://h:abc/v1",
                "http://:80",
                "ftp://h",
            )
        ),
    ],
)
def test_a_server_of_ones_own_needs_a_model_and_a_url(values: dict[str, Any], named: str):
    """The service does not start with settings that cannot work."""
    with pytest.raises(StartupError, match=named):
        finder_of(**values)


async def test_a_key_is_read_from_the_secret_store():
    """Each provider's secret is read, OpenAI's first; a newline at its end is dropped."""
    secrets = Secrets(gemini_api_key="g\n")
    endpoint = await finder_of(secrets).find()

    assert endpoint is not None
    assert (endpoint.model, endpoint.key.get_secret_value()) == ("gemini-flash-latest", "g")
    assert "gemini-api-key" in endpoint.key_from
    assert secrets.asked == [("vault", "openai-api-key"), ("vault", "gemini-api-key")]


async def test_the_environment_wins():
    """With a key in the environment the store is not read, not even when the key is refused."""
    secrets = Secrets(openai_api_key="stored")
    finder = finder_of(secrets, OPENAI_API_KEY="set")
    endpoint = await finder.find()

    assert endpoint is not None
    assert endpoint.key.get_secret_value() == "set"
    assert await finder.renew(endpoint) is None
    assert not secrets.asked


async def test_a_store_that_is_away_is_asked_again():
    """At once, and then with pauses that double, up to five seconds, until it answers."""
    clock, secrets = HandClock(), Secrets(9, openai_api_key="o")
    finding = asyncio.create_task(finder_of(secrets, clock).find())
    await settle()
    counts = []
    for pause in (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0):
        counts.append(len(secrets.asked))
        await clock.advance(pause)

    assert counts == [2, 3, 4, 5, 6, 7, 8, 9]
    endpoint = await finding
    assert endpoint is not None
    assert endpoint.key.get_secret_value() == "o"


async def test_a_refused_key_is_looked_for_again():
    """Another key in the store replaces it; the same key, none or an unavailable store does not."""
    secrets = Secrets(openai_api_key="old")
    finder = finder_of(secrets)
    endpoint = await finder.find()
    assert endpoint is not None
    same = await finder.renew(endpoint)
    secrets.kept = {}
    gone = await finder.renew(endpoint)
    secrets.away = 1
    silent = await finder.renew(endpoint)
    secrets.kept = {"openai-api-key": "new"}
    fresh = await finder.renew(endpoint)

    assert (same, gone, silent) == (None, None, None)
    assert fresh is not None
    assert fresh.key.get_secret_value() == "new"


async def test_a_secret_that_no_header_can_carry_is_none(caplog: pytest.LogCaptureFixture):
    """The log has its name, never its value."""
    assert await finder_of(Secrets(openai_api_key="schlüssel")).find() is None
    assert "openai-api-key" in caplog.text
    assert "schlüssel" not in caplog.text


async def test_a_key_is_never_shown(caplog: pytest.LogCaptureFixture):
    """Neither the endpoint's text nor the log has it."""
    caplog.set_level(logging.DEBUG)
    endpoint = await finder_of(Secrets(1, openai_api_key="top-secret"), _Quick()).find()

    assert endpoint is not None
    assert "top-secret" not in f"{endpoint!r} {endpoint} {caplog.text}"


class _Quick(HandClock):
    async def sleep(self, seconds: float) -> None:
        """Waits for nothing."""


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "echo (no API key)"),
        ({"model": "scripted"}, "scripted"),
        ({"OPENAI_API_KEY": "k"}, "OpenAI's default"),
        ({"GEMINI_API_KEY": "k"}, "gemini-flash-latest"),
        ({"GEMINI_API_KEY": "k", "model": "gpt-5"}, "echo (no API key)"),
        ({"secret_store": "own"}, "by the secret store's API key, else echo"),
        (
            {"model": "small", "model_base_url": "http://me:top-secret@localhost:1/v1?key=hidden"},
            "small at http://localhost:1/v1",
        ),
    ],
)
def test_what_will_answer_is_said_without_secrets(given: dict[str, Any], said: str):
    """The line is printed when the service starts."""
    assert describe_model(Settings(**given)) == said
