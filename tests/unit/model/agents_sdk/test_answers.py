"""Answers of a model's server: only whole ones count, and what is sent back of them."""

import asyncio
import json
import logging
from typing import Any

import httpx2
import pytest

from agent_actors.errors import ModelFailed, ModelTimedOut
from agent_actors.model.agents_sdk import chat_model
from agent_actors.model.endpoint import GEMINI, OPENAI, Endpoint
from agent_actors.protocol.messages import Exchange, Message, Reply, Usage
from tests.fakes import eventually
from tests.hand_clock import HandClock
from tests.unit.model.agents_sdk.asking import SECRET, Breaking, Pausing, both, failing, in_time
from tests.unit.model.agents_sdk.conftest import Ready
from tests.unit.model.agents_sdk.vendor import (
    HERE,
    USAGE,
    Vendor,
    a_prompt,
    answer,
    calling,
    error,
    streamed,
    tool_call,
)

TIME = tool_call("get_current_time")


@both
async def test_an_answer_has_its_model_and_usage(ready: Ready, vendor: Vendor, stream: bool):
    """The reply names the model; a plain answer leaves no items behind."""
    vendor.will(streamed("he", "llo") if stream else answer("hello"))
    model = await ready(model_stream=stream)

    assert await model.reply(a_prompt()) == Reply("hello", "small", Usage(3, 4), "")
    assert vendor.bodies[0].get("stream", False) is stream
    assert vendor.bodies[0]["model"] == "small"
    assert str(vendor.requests[0].url) == "http://vendor.test/v1/chat/completions"


@pytest.mark.parametrize(
    "junk",
    [
        httpx2.Response(200, text="{", headers={"content-type": "application/json"}),
        httpx2.Response(200, content=b"\xff", headers={"content-type": "application/json"}),
        httpx2.Response(200, text="<html>", headers={"content-type": "text/html"}),
        httpx2.Response(200, json={}),
        httpx2.Response(200, json={"choices": []}),
        httpx2.Response(200, json={"choices": [{"index": 0}]}),
        httpx2.Response(200, json={"choices": ["hello"]}),
        httpx2.Response(200, json="hello"),
        httpx2.Response(200, json=[]),
        answer(None, tool_calls="get_current_time"),
        answer(None, tool_calls=[{"id": "c", "type": "function"}]),
        answer(None, tool_calls=[tool_call("get_current_time") | {"function": {"name": None}}]),
        httpx2.Response(200, stream=Breaking(), headers={"content-type": "application/json"}),
        answer(""),
        answer(" \n"),
        answer(None),
        answer(None, finish="length"),
    ],
)
async def test_an_answer_that_is_none_is_a_failure(
    ready: Ready, vendor: Vendor, clock: HandClock, junk: httpx2.Response
):
    """Broken JSON, another form or an empty answer was charged, so it is not requested again."""
    vendor.will(junk)
    failed = await failing(await ready(), clock)

    assert type(failed) is ModelFailed
    assert len(vendor.requests) == 1


@pytest.mark.parametrize(
    "cut",
    [
        streamed("hel", finish=None),
        streamed("hel", finish=None, done=False),
        streamed(finish=None),
        streamed(),
        httpx2.Response(200, text="data: {\n\n", headers={"content-type": "text/event-stream"}),
        httpx2.Response(200, text="<html>", headers={"content-type": "text/html"}),
        httpx2.Response(200, stream=Breaking(), headers={"content-type": "text/event-stream"}),
        streamed({"tool_calls": "x"}),
        streamed({"tool_calls": [{"index": 0, "function": "x"}]}),
    ],
)
async def test_a_stream_that_is_cut_off_is_a_failure(
    ready: Ready, vendor: Vendor, clock: HandClock, cut: httpx2.Response
):
    """Part of an answer is no answer, even if the server ends the stream properly."""
    vendor.will(cut)
    failed = await failing(await ready(model_stream=True), clock)

    assert type(failed) is ModelFailed
    assert len(vendor.requests) == 1


WITHOUT_REASON = """\
data: {"choices": [{"index": 0, "delta": {"content": "hello"}}]}

data: {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4}}

"""


@pytest.mark.parametrize(
    ("text", "usage"),
    [
        (WITHOUT_REASON, Usage(3, 4)),
        (streamed("hello").text.replace(json.dumps(USAGE), "null"), Usage(0, 0)),
    ],
    ids=["no reason", "no usage"],
)
async def test_a_stream_is_whole_with_its_reason_or_its_usage(
    ready: Ready, vendor: Vendor, text: str, usage: Usage
):
    """Some servers send no finish reason, but the usage after the last text; some count nothing."""
    vendor.will(httpx2.Response(200, text=text, headers={"content-type": "text/event-stream"}))
    reply = await (await ready(model_stream=True)).reply(a_prompt())

    assert (reply.content, reply.usage) == ("hello", usage)


async def test_an_error_in_a_stream_is_a_failure(ready: Ready, vendor: Vendor, clock: HandClock):
    """The server's text is not repeated."""
    text = f'data: {{"error": {{"message": "{SECRET}"}}}}\n\n'
    vendor.will(httpx2.Response(200, text=text, headers={"content-type": "text/event-stream"}))
    failed = await failing(await ready(model_stream=True), clock)

    assert type(failed) is ModelFailed


async def test_a_stream_that_falls_silent_is_ended(ready: Ready, vendor: Vendor, clock: HandClock):
    """Half a minute after the last chunk the turn fails with 504, and the stream is closed."""
    silent = Pausing()
    headers = {"content-type": "text/event-stream"}
    vendor.will(httpx2.Response(200, stream=silent, headers=headers))
    model = await ready(model_stream=True)
    asked = asyncio.create_task(model.reply(a_prompt()))
    await eventually(lambda: clock.waiting)
    await clock.advance(chat_model.STALL)
    with pytest.raises(ModelTimedOut):
        await asked

    assert silent.closed


async def test_an_answer_that_the_server_cut_itself_is_an_answer(ready: Ready, vendor: Vendor):
    """With a token limit set on purpose, the text so far is the answer."""
    vendor.will(answer("hello and", finish="length"))

    assert (await (await ready()).reply(a_prompt())).content == "hello and"


@both
async def test_a_refusal_is_final(ready: Ready, vendor: Vendor, clock: HandClock, stream: bool):
    """A model that refuses once will refuse again; its text is not repeated."""
    refusal = {"refusal": f"I do not talk about: {SECRET}"}
    vendor.will(streamed(refusal) if stream else answer(None, **refusal))
    failed = await failing(await ready(model_stream=stream), clock)

    assert (failed.detail, failed.retry) == ("The model refused.", "no")


@both
async def test_a_filter_is_a_refusal(ready: Ready, vendor: Vendor, clock: HandClock, stream: bool):
    """A vendor's filter that withholds or cuts an answer is a refusal."""
    model = await ready(model_stream=stream)
    for said in ([], ["It is"]):
        whole = answer("".join(said) or None, finish="content_filter")
        vendor.will(streamed(*said, finish="content_filter") if stream else whole)
        failed = await failing(model, clock)

        assert (failed.detail, failed.retry) == ("The model refused.", "no")


async def test_no_server_can_count_backwards(ready: Ready, vendor: Vendor):
    """Impossible numbers of tokens are bounded, since they are added to the user's total."""
    body = json.loads(answer("hello").content)
    body["usage"] = {"prompt_tokens": -5, "completion_tokens": 10**30, "total_tokens": 1}
    vendor.will(httpx2.Response(200, json=body))
    reply = await (await ready()).reply(a_prompt())

    assert reply.usage == Usage(0, 2**40)


@both
async def test_every_tool_call_has_an_id_of_its_own(ready: Ready, vendor: Vendor, stream: bool):
    """Calls stay apart if a server sends no ids, or the same ones again."""
    calls = [tool_call("get_current_time", call_id=call_id) for call_id in ("", "c1", "c1")]
    deltas = {"tool_calls": [{"index": n, **call} for n, call in enumerate(calls)]}
    for _ in range(2):
        vendor.will(
            streamed(deltas, finish="tool_calls") if stream else calling(*calls),
            streamed("done") if stream else answer("done"),
        )
    model = await ready(model_stream=stream)
    first = await model.reply(a_prompt("one"))
    window = Exchange(Message("user", "one"), Message("assistant", "done"), first.items)
    await model.reply(a_prompt("two", window))
    sent = vendor.bodies[-1]["messages"]
    called = [call["id"] for message in sent for call in message.get("tool_calls", ())]
    answered = [message["tool_call_id"] for message in sent if message["role"] == "tool"]

    assert len(set(called)) == 6
    assert called == answered
    roles = ["user", "assistant", "tool", "tool", "tool", "assistant"]
    assert [message["role"] for message in sent][1:] == [*roles, *roles[:-1]]


async def test_what_gemini_wants_back_it_gets_back(ready: Ready, vendor: Vendor):
    """The signature of a thought is saved as text and sent with the next turn."""
    signed = TIME | {"extra_content": {"google": {"thought_signature": "signed"}}}
    vendor.will(calling(signed), answer("noon"), answer("bye"))
    endpoint = Endpoint("gemini-small", HERE.base_url, HERE.key, HERE.key_from)
    model = await ready(endpoint)
    first = await model.reply(a_prompt("time?"))
    window = Exchange(
        Message("user", "time?"), Message("assistant", "noon"), json.dumps(json.loads(first.items))
    )
    await model.reply(a_prompt("thanks", window))
    (called,) = [message for message in vendor.bodies[-1]["messages"] if "tool_calls" in message]

    assert called["tool_calls"][0]["extra_content"] == signed["extra_content"]


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        (HERE, {"model": "small"}),
        (
            Endpoint("", OPENAI.base_url, HERE.key, "OPENAI_API_KEY"),
            {"store": False, "reasoning_effort": "none", "verbosity": "low"},
        ),
        (
            Endpoint("gpt-4.1", OPENAI.base_url, HERE.key, "OPENAI_API_KEY"),
            {"model": "gpt-4.1", "store": False},
        ),
        (Endpoint("gemini-flash", GEMINI.base_url, HERE.key, "GEMINI_API_KEY"), {}),
    ],
)
async def test_a_server_is_sent_only_what_it_knows(
    ready: Ready, vendor: Vendor, endpoint: Endpoint, expected: dict[str, Any]
):
    """OpenAI stores nothing, and settings for its default model are sent to no other server."""
    vendor.will(answer())
    await (await ready(endpoint)).reply(a_prompt())
    body = vendor.bodies[0]
    extra = {
        name: body[name] for name in ("store", "reasoning_effort", "verbosity") if name in body
    }

    assert extra == {name: value for name, value in expected.items() if name != "model"}
    assert body["model"] == expected.get("model", body["model"])
    assert str(vendor.requests[0].url).startswith(endpoint.base_url)


@both
@pytest.mark.parametrize("good", [False, True])
async def test_nothing_that_was_said_is_logged(
    ready: Ready,
    vendor: Vendor,
    clock: HandClock,
    caplog: pytest.LogCaptureFixture,
    good: bool,
    stream: bool,
):
    """Neither the message nor the answer nor the key is in the log at INFO."""
    caplog.set_level(logging.INFO)
    if good:
        vendor.will(streamed("her name") if stream else answer("her name"))
    else:
        vendor.will(error(400, said=SECRET))
    model = await ready(model_stream=stream)
    try:
        await in_time(model.reply(a_prompt(SECRET)), clock)
    except ModelFailed:
        assert not good
    for hidden in (SECRET, "her name", "the-key"):
        assert hidden not in caplog.text
