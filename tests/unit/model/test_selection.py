"""The model that a process answers with."""

import asyncio
import subprocess
import sys
from typing import Any

import pytest

from agent_actors.errors import Defect, ModelFailed, StartupError, Unavailable
from agent_actors.model import Model, Prompt, SummaryPrompt
from agent_actors.model.agents_sdk import AgentsModel
from agent_actors.model.echo import EchoModel
from agent_actors.model.endpoint import Endpoint, EndpointFinder
from agent_actors.model.scripted import ScriptedModel
from agent_actors.model.selection import DeferredModel, choose_model
from agent_actors.protocol.messages import Message
from agent_actors.settings import Settings
from tests.fakes import HeldModel, QuickModel, eventually
from tests.hand_clock import HandClock, settle


def a_prompt() -> Prompt:
    return Prompt("ada", "ada", "t", 1, Message("user", "hi"), (), ())


class Store:
    """A secret store with one key, or with an error to raise."""

    def __init__(self, key: str | None = None) -> None:
        self.key = key
        self.error: Exception | None = None

    async def get(self, store: str, name: str) -> str | None:
        if self.error is not None:
            raise self.error
        return self.key


class Built:
    """Makes models that answer at once, and keeps the endpoints they were made for."""

    def __init__(self) -> None:
        self.endpoints: list[Endpoint | None] = []
        self.model = Watched()

    def __call__(self, endpoint: Endpoint | None) -> Model:
        self.endpoints.append(endpoint)
        return self.model


class Watched(QuickModel):
    """Keeps whether it was started and stopped."""

    def __init__(self) -> None:
        super().__init__()
        self.log: list[str] = []
        self.reason: str | None = None

    async def start(self) -> None:
        self.log.append("start")

    async def stop(self) -> None:
        self.log.append("stop")

    def unready(self) -> str | None:
        return self.reason


def chosen(
    built: Built, clock: HandClock, store: Store | None = None, **values: Any
) -> DeferredModel:
    settings = Settings(secret_store="vault" if store else None, **values)
    finder = EndpointFinder(settings, clock, store.get if store else None)
    return DeferredModel(finder, built, EchoModel(clock))


@pytest.mark.parametrize(("name", "kind"), [("echo", EchoModel), ("scripted", ScriptedModel)])
def test_the_built_in_models_need_no_key(name: str, kind: type[Model]):
    """Their names select them even if there are keys."""
    assert type(choose_model(Settings(model=name, OPENAI_API_KEY="o"), HandClock())) is kind


def test_settings_that_contradict_each_other_are_refused():
    """A server's URL needs a model."""
    with pytest.raises(StartupError, match="AGENT_ACTORS_MODEL"):
        choose_model(Settings(model_base_url="http://127.0.0.1/v1"), HandClock())


async def test_without_a_key_it_is_echo(caplog: pytest.LogCaptureFixture):
    """The log says once which variable to set; a summary quotes the last messages."""
    model = choose_model(Settings(), HandClock())
    await model.start()
    replies = [(await model.reply(a_prompt())).model for _ in range(2)]
    summary = await model.summarise(SummaryPrompt("ada", "", (Message("user", "hi"),)))
    warnings = [record.getMessage() for record in caplog.records]

    assert (replies, summary) == (["echo", "echo"], "ada lately said: 'hi'.")
    assert (model.unready(), model.uses_history) == (None, False)
    (line,) = warnings
    assert "OPENAI_API_KEY" in line
    await model.stop()


async def test_with_a_key_it_is_the_real_model():
    """It is built for the endpoint, started, called and stopped."""
    built = Built()
    model = chosen(built, HandClock(), OPENAI_API_KEY="o")
    await model.start()
    reply = await model.reply(a_prompt())
    summary = await model.summarise(SummaryPrompt("ada", "", (Message("user", "hi"),)))
    built.model.reason = "loading"
    reason = model.unready()
    await model.stop()

    assert (reply.content, summary) == ("reply to hi", "ada lately said: 'hi'.")
    assert (reason, model.uses_history) == ("loading", True)
    assert [endpoint is not None for endpoint in built.endpoints] == [True]
    assert built.model.log == ["start", "stop"]


async def test_a_key_means_the_agents_sdk():
    """A key in the environment is used at once, and the library is loaded."""
    model = choose_model(Settings(OPENAI_API_KEY="o"), HandClock())
    await model.start()
    await settle()

    assert model.unready() in {None, "The model's library is being loaded."}

    await eventually(lambda: model.unready() is None, 60.0)
    await model.stop()


def test_an_agent_with_a_model_of_its_own_waits_for_no_key():
    """That agent can answer whatever the secret store does."""

    class Agent:
        model = object()

    settings = Settings(secret_store="vault")

    assert isinstance(choose_model(settings, HandClock(), agent=Agent()), AgentsModel)  # type: ignore[arg-type]


async def test_it_is_not_ready_before_the_store_answers():
    """A turn waits as well, and is answered once the store has answered."""
    built, clock, store = Built(), HandClock(), Store("o")
    store.error = Unavailable("The sidecar is away.")
    model = chosen(built, clock, store)
    await model.start()
    asked = asyncio.create_task(model.reply(a_prompt()))
    await settle()
    reason = model.unready()

    assert reason is not None
    assert "secret store" in reason
    assert not asked.done()

    store.error = None
    await clock.advance(10)

    assert (await asked).content == "reply to hi"
    assert model.unready() is None
    await model.stop()


async def test_a_stop_ends_the_wait_for_the_store():
    """No task is left; a stop before the start does nothing."""
    store = Store()
    store.error = Unavailable("The sidecar is away.")
    clock = HandClock()
    model = chosen(Built(), clock, store)
    await model.stop()
    await model.start()
    await settle()
    await model.stop()
    await model.stop()

    assert clock.waiting == 0


async def test_a_caller_who_leaves_does_not_end_the_choice():
    """A cancelled turn does not end the search for a key."""
    clock, store = HandClock(), Store("o")
    store.error = Unavailable("The sidecar is away.")
    model = chosen(Built(), clock, store)
    asked = asyncio.create_task(model.reply(a_prompt()))
    await settle()
    asked.cancel()
    await settle()
    store.error = None
    await clock.advance(10)

    assert model.unready() is None
    await model.stop()


async def test_a_store_that_does_not_exist_is_reported(caplog: pytest.LogCaptureFixture):
    """It is not read again, and the caller's error names the setting to check."""
    store = Store()
    store.error = Defect("There is no such store.")
    model = chosen(Built(), HandClock(), store)
    await model.start()
    with pytest.raises(ModelFailed, match="AGENT_ACTORS_SECRET_STORE"):
        await model.reply(a_prompt())

    assert "There is no such store." in caplog.text
    assert "see the log" in (model.unready() or "")
    await model.stop()


async def test_the_last_resort_is_used_where_the_store_has_no_key():
    """A store without a key is like no store."""
    model = chosen(built := Built(), HandClock(), Store(None))
    reply = await model.reply(a_prompt())

    assert reply.model == "echo"
    assert not built.endpoints
    await model.stop()


def test_no_vendors_library_is_imported_before_it_is_used():
    """The app starts without `agents` and `openai`, which take seconds to import."""
    code = """
import sys
import agent_actors.app
import agent_actors.model.selection
sys.exit(" ".join({"agents", "openai"} & set(sys.modules)) or None)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")


async def test_a_held_answer_does_not_hold_the_model_back():
    """Turns call the selected model at the same time, not one after another."""
    built = Built()
    held = HeldModel()
    model = DeferredModel(
        EndpointFinder(Settings(OPENAI_API_KEY="o"), HandClock(), None),
        lambda _: held,
        built.model,
    )
    asked = [asyncio.create_task(model.reply(a_prompt())) for _ in range(3)]
    await settle()

    assert len(held.prompts) == 3

    held.free.set()
    await asyncio.gather(*asked)
    await model.stop()
