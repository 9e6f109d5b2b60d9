"""How the model's library gets into the process, and out of it."""

import asyncio
import threading
from typing import Any

import pytest

from agent_actors.clock import SystemClock
from agent_actors.model.agents_sdk import AgentsModel, CustomAgent
from agent_actors.settings import Settings
from tests.fakes import eventually
from tests.unit.model.agents_sdk.vendor import HERE, Vendor, a_prompt, answer


class Slow(AgentsModel):
    """Loads when the test lets it."""

    def __init__(self, vendor: Vendor) -> None:
        super().__init__(Settings(), SystemClock(), HERE, transport=vendor)
        self.may = threading.Event()
        self.error: Exception | None = None

    def _make_runner(self) -> Any:
        assert self.may.wait(20)
        if self.error is not None:
            raise self.error
        return super()._make_runner()


async def test_a_question_waits_until_it_is_loaded():
    """The event loop keeps running, and the model is not ready."""
    vendor = Vendor()
    vendor.will(answer())
    model = Slow(vendor)
    before = model.unready()
    await model.start()
    await model.start()
    asked = asyncio.create_task(model.reply(a_prompt()))
    await asyncio.wait({asked}, timeout=0.01)

    assert before == model.unready() == "The model's library is being loaded."
    assert not asked.done()

    model.may.set()

    assert (await asked).content == "hello"
    assert model.unready() is None
    await model.stop()


async def test_a_caller_who_leaves_does_not_end_the_loading():
    """It continues for the next caller."""
    model = Slow(Vendor())
    asked = asyncio.create_task(model.reply(a_prompt()))
    await asyncio.wait({asked}, timeout=0.01)
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    model.may.set()
    await eventually(lambda: model.unready() is None)
    await model.stop()


async def test_a_library_that_cannot_be_loaded_is_reported(caplog: pytest.LogCaptureFixture):
    """The model is not ready, and the log names the error."""
    model = Slow(Vendor())
    model.error = ModuleNotFoundError("No module named 'agents'")
    model.may.set()
    with pytest.raises(ModuleNotFoundError):
        await model.reply(a_prompt())

    assert model.unready() == "The model's library could not be loaded; see the log."
    assert "ModuleNotFoundError" in caplog.text
    await model.stop()


async def test_a_stop_waits_for_the_loading_and_closes():
    """The connections are closed once; before a start there is nothing to stop."""
    model = Slow(Vendor())
    await model.stop()
    await model.start()
    stopping = asyncio.create_task(model.stop())
    await asyncio.wait({stopping}, timeout=0.01)

    assert not stopping.done()

    model.may.set()
    await stopping
    await model.stop()


async def test_a_model_of_ones_own_is_no_name():
    """An agent brings its model only as an object."""

    class Agent:
        def __init__(self, model: object) -> None:
            self.model = model

    brought = [CustomAgent(Agent(model)).brings_its_model for model in (None, "name", object())]  # type: ignore[arg-type]

    assert brought == [False, False, True]
    assert not CustomAgent().brings_its_model
