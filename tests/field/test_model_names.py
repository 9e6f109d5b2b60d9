"""A model that is asked for by name and cannot be called: the start says so, nothing else answers.

Each row is a name as somebody writes it. Sources: kharvd/gpt-cli #75 and crewAIInc/crewAI #736
(told to set OpenAI's key for a model of Anthropic), anomalyco/opencode #225 (a name that no server
knows), pingdotgg/t3code #1225 (LiteLLM).
"""

from pathlib import Path
from typing import Any

import pytest
from agents import Agent

from agent_actors import create_app
from agent_actors.errors import ModelFailed, StartupError
from agent_actors.model.agents_sdk import AgentsModel
from agent_actors.model.echo import EchoModel
from agent_actors.model.endpoint import EndpointFinder
from agent_actors.model.selection import DeferredModel, choose_model
from agent_actors.settings import Settings
from tests.forked import run
from tests.hand_clock import HandClock
from tests.unit.model.test_selection import Built, Store, a_prompt

KEY: dict[str, Any] = {"OPENAI_API_KEY": "o"}
SERVER: dict[str, Any] = {"model_base_url": "http://127.0.0.1:9/v1"}


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("gpt-4o", {}, "set OPENAI_API_KEY"),
        ("gpt-4o", {"GEMINI_API_KEY": "g"}, "set OPENAI_API_KEY"),
        ("gemini-pro", KEY, "set GEMINI_API_KEY"),
        ("ft:gpt-4o:ours", {}, "set OPENAI_API_KEY"),
        ("skripted", {}, "did you mean 'scripted'"),
        ("Echo", KEY, "did you mean 'echo'"),
        ("ecko", {}, "did you mean 'echo'"),
        (" scripted", KEY, "did you mean 'scripted'"),
        ("claude-sonnet-4-5", {}, "AGENT_ACTORS_MODEL_BASE_URL"),
        ("claude-sonnet-4-5", KEY, "https://api.anthropic.com/v1/"),
        ("anthropic/claude-sonnet-4-5", KEY, "LiteLLM"),
        ("openai/gpt-4o", KEY, "AGENT_ACTORS_MODEL_BASE_URL"),
        ("Llama3.2:latest", KEY, "Ollama"),
        ("deepseek-chat", {"secret_store": "vault"}, "AGENT_ACTORS_MODEL_API_KEY"),
        ("mistral-large", {}, "AGENT_ACTORS_MODEL_BASE_URL"),
    ],
)
def test_a_name_that_cannot_be_called_is_refused(name: str, given: dict[str, Any], words: str):
    """The text names the setting, and says what to set."""
    with pytest.raises(StartupError) as refused:
        choose_model(Settings(model=name, **given), HandClock())

    assert str(refused.value).startswith(f"AGENT_ACTORS_MODEL is {name!r}")
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("", {}),
        ("gpt-4o", KEY),
        ("gemini-pro", {"GEMINI_API_KEY": "g"}),
        ("google/gemini-pro", {"GEMINI_API_KEY": "g"}),
        ("claude-sonnet-4-5", SERVER),
        ("anthropic/claude-sonnet-4-5", SERVER),
        ("skripted", SERVER),
        ("gpt-4o", {"secret_store": "vault"}),
    ],
)
def test_a_name_that_may_be_called_is_taken(name: str, given: dict[str, Any]):
    """A server of one's own answers to any name; a store may have the key."""
    choose_model(Settings(model=name, **given), HandClock())


def test_an_agent_that_names_its_model_needs_a_key(tmp_path: Path):
    """Without one `echo` would answer in its place; named as the setting, it may."""
    agent = Agent("waiter", model="gpt-4o")
    with pytest.raises(StartupError, match=r"The agent names the model 'gpt-4o'.*OPENAI_API_KEY"):
        create_app(Settings(data=tmp_path), agent=agent)

    assert isinstance(choose_model(Settings(model="echo"), HandClock(), agent=agent), EchoModel)
    unnamed = choose_model(Settings(), HandClock(), agent=Agent("waiter"))
    assert isinstance(unnamed, DeferredModel)


def test_an_agent_with_a_model_of_its_own_needs_no_name():
    """What the settings name is not called."""

    class Waiter:
        model = object()

    settings = Settings(model="claude-sonnet-4-5")
    model = choose_model(settings, HandClock(), agent=Waiter())  # type: ignore[arg-type]

    assert isinstance(model, AgentsModel)


async def test_a_store_without_the_key_leaves_the_service_unready():
    """A model that was named is not replaced, and the reason is told to whoever asks."""
    settings = Settings(model="gpt-4o", secret_store="vault")
    finder = EndpointFinder(settings, HandClock(), Store(None).get)
    model = DeferredModel(finder, Built(), EchoModel(HandClock()))
    await model.start()
    with pytest.raises(ModelFailed, match="set OPENAI_API_KEY"):
        await model.reply(a_prompt())

    assert "no API key" in (model.unready() or "")
    await model.stop()


@pytest.mark.parametrize("name", ["skripted", "gpt-4o", "claude-sonnet-4-5"])
def test_the_command_refuses_in_one_line(tmp_path: Path, name: str):
    """It exits with 2, like any setting that is not valid."""
    done = run("dev", "--port", "0", "--data", str(tmp_path), AGENT_ACTORS_MODEL=name)

    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert name in done.stderr
    assert done.stderr.startswith("Error: AGENT_ACTORS_MODEL")
