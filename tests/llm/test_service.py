"""The service with a model server by another project: its requests and their results."""

import re
from typing import Any

import pytest

from tests.conftest import Served
from tests.llm.aimock import Aimock, Call, text
from tests.llm.conftest import Talk

TIME = "get_current_time"
"""The tool that every agent has."""

streamed = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


def check_whole(call: Call) -> None:
    """Every tool call has its result, every result its call, and every user message an answer."""
    open_calls: set[str] = set()
    for before, message in zip([None, *call.messages], call.messages, strict=False):
        if message["role"] == "tool":
            open_calls.remove(message["tool_call_id"])
            continue
        assert not open_calls
        assert before is None or (before["role"], message["role"]) != ("user", "user")
        open_calls = {each["id"] for each in message.get("tool_calls") or ()}
    assert not open_calls


def heard(call: Call) -> str:
    """All messages of the request, as one text."""
    return "\n".join(text(message) for message in call.messages)


async def nothing_is_kept(service: Served, user: str) -> None:
    """The user has neither entries nor turns."""
    assert (await service.history(user))["history"] == []
    assert (await service.http.get(f"/response/{user}/count")).json()["count"] == 0


@streamed
async def test_the_models_server_answers_a_turn(aimock: Aimock, talk: Talk, stream: bool):
    """The reply and the usage come from the server, which got one call with the model's name."""
    usage = {"prompt_tokens": 31, "completion_tokens": 7}
    reply = {"content": "Hello, Ada.", "usage": usage}
    aimock.script({"match": {"userMessage": "good morning"}, "response": reply})
    async with talk(aimock.base_url, model_stream=stream) as service:
        answer = await service.say("ada", "good morning")
        (pair,) = (await service.services.reader.history("ada", 10)).pairs

    assert answer.status_code == 200, answer.text
    assert answer.json()["response"] == {"role": "assistant", "content": "Hello, Ada."}
    assert (pair.output.usage.input_tokens, pair.output.usage.output_tokens) == (31, 7)
    (call,) = aimock.journal()
    assert call.body["model"] == "small"
    assert bool(call.body.get("stream")) is stream
    assert call.said == "good morning"


@streamed
async def test_a_tool_is_called_and_remembered(aimock: Aimock, talk: Talk, stream: bool):
    """The model gets the tool's result, and the next turn has both call and result."""
    aimock.calls("what time", TIME, "It is late.")
    aimock.says("thank you", "You are welcome.")
    async with talk(aimock.base_url, model_stream=stream) as service:
        first = await service.reply("ada", "what time is it?")
        second = await service.reply("ada", "thank you")

    assert (first, second) == ("It is late.", "You are welcome.")
    asked, told, next_turn = aimock.journal()
    assert TIME in asked.tools
    assert told.roles[-2:] == ["assistant", "tool"]
    assert told.messages[-2]["tool_calls"][0]["function"]["name"] == TIME
    result = text(told.messages[-1])
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", result)
    assert next_turn.roles[-5:] == ["user", "assistant", "tool", "assistant", "user"]
    assert text(next_turn.messages[-3]) == result
    assert text(next_turn.messages[-2]) == "It is late."
    for call in (asked, told, next_turn):
        check_whole(call)


@streamed
@pytest.mark.parametrize("code", [429, 500, 503])
async def test_a_call_that_fails_leaves_nothing_behind(
    aimock: Aimock, talk: Talk, code: int, stream: bool
):
    """A server that keeps failing means 502, and the next turn has nothing of the failed one."""
    aimock.fails("a secret", code, retry_after=0)
    aimock.says("hello", "Hello.")
    async with talk(aimock.base_url, model_retries=1, model_stream=stream) as service:
        answer = await service.say("ada", "a secret")
        await nothing_is_kept(service, "ada")
        reply = await service.reply("ada", "hello")

    assert answer.status_code == 502, answer.text
    assert "secret" not in answer.text
    assert reply == "Hello."
    *failed, served = aimock.journal()
    assert [call.status for call in failed] == [code, code]
    assert "a secret" not in heard(served)
    check_whole(served)


async def test_a_call_that_fails_after_a_tool_leaves_nothing_behind(aimock: Aimock, talk: Talk):
    """A failed turn's tool calls and results are in no later turn."""
    aimock.fails("what time", 500, hasToolResult=True)
    aimock.calls("what time", TIME, "never said")
    aimock.says("hello", "Hello.")
    async with talk(aimock.base_url, model_retries=0) as service:
        answer = await service.say("ada", "what time is it?")
        await nothing_is_kept(service, "ada")
        await service.reply("ada", "hello")

    assert answer.status_code == 502, answer.text
    assert "tool" not in aimock.journal("hello")[0].roles
    assert "what time" not in heard(aimock.journal("hello")[0])


async def test_a_call_that_the_server_did_not_take_is_sent_again(aimock: Aimock, talk: Talk):
    """The server recovers in time and answers; the caller notices nothing."""
    aimock.fails("hello", 503, times=2)
    aimock.says("hello", "Hello.")
    async with talk(aimock.base_url, model_retries=2) as service:
        reply = await service.reply("ada", "hello")

    assert reply == "Hello."
    assert [call.status for call in aimock.journal()] == [503, 503, 200]


@pytest.mark.parametrize("code", [400, 401, 404])
async def test_a_call_that_the_server_refuses_is_not_sent_again(
    aimock: Aimock, talk: Talk, code: int
):
    """A call that would fail again is sent once: 502."""
    aimock.fails("hello", code)
    async with talk(aimock.base_url, model_retries=2) as service:
        answer = await service.say("ada", "hello")
        await nothing_is_kept(service, "ada")

    assert answer.status_code == 502, answer.text
    assert [call.status for call in aimock.journal()] == [code]


@streamed
async def test_a_model_that_takes_too_long(aimock: Aimock, talk: Talk, stream: bool):
    """The model time ends the call: 504, nothing is saved, and the request is cancelled."""
    aimock.says("hello", "Too late.", delay=20.0)
    short: dict[str, Any] = {"model_time": 0.6, "parking_time": 0.2}
    async with talk(aimock.base_url, model_stream=stream, **short) as service:
        answer = await service.say("ada", "hello")
        await nothing_is_kept(service, "ada")

    assert answer.status_code == 504, answer.text
    assert aimock.begun() == 1
    assert not aimock.journal()


async def test_users_do_not_see_one_another(aimock: Aimock, talk: Talk):
    """The model never gets one user's messages in another user's turn."""
    aimock.says("", "I see.")
    async with talk(aimock.base_url) as service:
        await service.reply("ada", "my cat is called Turing")
        await service.reply("bob", "what is my cat called?")

    assert "Turing" not in heard(aimock.journal("what is my cat called?")[0])
