"""The model that does as it is told."""

import asyncio

import pytest

from agent_actors.clock import SystemClock
from agent_actors.errors import ModelFailed
from agent_actors.model import Prompt
from agent_actors.model.scripted import ScriptedModel
from agent_actors.protocol.messages import Message
from tests.conftest import Serve
from tests.hand_clock import HandClock, settle
from tests.readings import read


def a_prompt(content: str) -> Prompt:
    return Prompt("ada", "ada", "t", 1, Message("user", content), (), ())


async def test_it_is_slow_when_told():
    """`/slow 3` answers three seconds later, and not before."""
    clock = HandClock()
    asked = asyncio.create_task(ScriptedModel(clock).reply(a_prompt("/slow 3 hi")))
    await settle()
    await clock.advance(2.9)

    assert not asked.done()

    await clock.advance(0.1)

    assert "Got your message: /slow 3 hi at" in (await asked).content


async def test_it_fails_when_told():
    """`/fail` raises a model's error, `/break` one that no model should raise."""
    model = ScriptedModel(HandClock())

    with pytest.raises(ModelFailed):
        await model.reply(a_prompt("/fail now"))
    with pytest.raises(RuntimeError):
        await model.reply(a_prompt("/break"))


async def test_it_hangs_when_told():
    """`/hang` never answers."""
    clock = HandClock()
    asked = asyncio.create_task(ScriptedModel(clock).reply(a_prompt("/hang")))
    await clock.advance(10_000)

    assert not asked.done()

    asked.cancel()


async def test_it_echoes_anything_else():
    """A message without a command is answered as by `echo`."""
    reply = await ScriptedModel(HandClock()).reply(a_prompt("slow 3"))

    assert reply.content.startswith("Memory: Message count: 1. Got your message: slow 3 at")


async def test_its_calls_are_counted_under_its_name(serve: Serve):
    """They are not counted as calls of `echo`, which makes the text."""
    async with serve(model=ScriptedModel(SystemClock())) as served:
        assert (await served.say("ada", "hi")).status_code == 200

        readings = await read(served.http)
        assert readings.of("model_calls_total", model="scripted", outcome="done") == 1
        assert readings.of("model_calls_total") == 1
