"""However a model's server breaks its answers, a turn is complete or leaves nothing behind."""

from collections.abc import Callable
from typing import Any

import pytest
from llmock.pytest_plugin import LLMock

from tests.conftest import Served
from tests.llm.conftest import Talk

REPLY = "One two three four five six seven eight."

Fault = Callable[[LLMock], object]
ALWAYS: dict[str, Any] = {"times": None}

FAULTS: dict[str, Fault] = {
    "hangs up": lambda server: server.disconnect(after_chunks=2, **ALWAYS),
    "ends early": lambda server: server.truncate(after_chunks=2, **ALWAYS),
    "sends junk": lambda server: server.corrupt(after_chunks=2, **ALWAYS),
    "stalls": lambda server: server.stall(after_chunks=2, seconds=20.0, **ALWAYS),
    "is down": lambda server: server.outage(),
    "refuses what is too long": lambda server: server.context_overflow(**ALWAYS),
}
CODES = {"stalls": 504}


async def kept(service: Served) -> list[str]:
    """The history."""
    return [entry["content"] for entry in (await service.history("ada"))["history"]]


@pytest.mark.parametrize("name", FAULTS)
async def test_a_broken_stream_is_no_answer(llmock: LLMock, talk: Talk, name: str):
    """Part of an answer is never taken for the whole: the turn fails and leaves nothing behind."""
    llmock.tool_mode("off").reply(REPLY, **ALWAYS)
    FAULTS[name](llmock)
    once = {"model_stream": True, "model_retries": 0, "parking_time": 0.2}
    patience = 2.0 if name == "stalls" else 60.0
    async with talk(llmock.base_url(), **once, model_time=patience) as service:
        answer = await service.say("ada", "count")
        history = await kept(service)

    assert answer.status_code == CODES.get(name, 502), answer.text
    assert history == []


async def test_a_stream_that_is_whole_is_answered_whole(llmock: LLMock, talk: Talk):
    """The answer is made of all the stream's chunks."""
    llmock.tool_mode("off").reply(REPLY)
    async with talk(llmock.base_url(), model_stream=True) as service:
        reply = await service.reply("ada", "count")

    assert reply == REPLY
    llmock.assert_resilient()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_a_limit_is_waited_out(llmock: LLMock, talk: Talk, stream: bool):
    """A call refused by a rate limit is repeated after the server's `Retry-After`, not before."""
    llmock.tool_mode("off").rate_limit(retry_after=1).reply(REPLY)
    async with talk(llmock.base_url(), model_stream=stream) as service:
        reply = await service.reply("ada", "count")

    assert reply == REPLY
    assert [request.status for request in llmock.requests] == [429, 200]
    llmock.assert_resilient()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("kind", ["malformed_arguments", "unknown_tool"])
async def test_a_tool_call_that_makes_no_sense_is_told_to_the_model(
    llmock: LLMock, talk: Talk, kind: str, stream: bool
):
    """The model gets a sentence about its wrong call, and may still answer."""
    llmock.break_tool_call(kind)
    async with talk(llmock.base_url(), model_stream=stream) as service:
        answer = await service.say("ada", "what time is it?")
        history = await kept(service)

    assert answer.status_code == 200, answer.text
    assert len(history) == 2
    assert len(llmock.requests) >= 2
    assert llmock.requests[-1].body["messages"][-1]["role"] == "tool"


async def test_every_tool_is_really_called(llmock: LLMock, talk: Talk):
    """A model that calls an offered tool gets its result, and then answers."""
    async with talk(llmock.base_url()) as service:
        answer = await service.say("ada", "what time is it?")

    assert answer.status_code == 200, answer.text
    first, second = (request.body for request in llmock.requests)
    offered = {tool["function"]["name"] for tool in first["tools"]}
    (called,) = second["messages"][-2]["tool_calls"]
    assert called["function"]["name"] in offered
    assert second["messages"][-1]["tool_call_id"] == called["id"]
    llmock.assert_resilient()
