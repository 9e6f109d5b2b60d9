"""The model servers behave as the tests here assume; the service takes no part."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from llmock.pytest_plugin import LLMock

from agent_actors.clock import SystemClock
from tests.fakes import eventually
from tests.llm.aimock import Aimock

TOOL = {"type": "function", "function": {"name": "clock", "parameters": {"type": "object"}}}
DONE = "[DONE]"
clock = SystemClock()


@pytest.fixture
async def http() -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(timeout=10.0, trust_env=False) as client:
        yield client


class Caller:
    """Calls a model server by OpenAI's API."""

    def __init__(self, http: httpx2.AsyncClient, base_url: str) -> None:
        self._http = http
        self._url = f"{base_url}/chat/completions"

    async def post(self, *messages: str | dict[str, Any], **more: Any) -> httpx2.Response:
        """The server's response; a text is the user's message."""
        said = [
            {"role": "user", "content": message} if isinstance(message, str) else message
            for message in messages
        ]
        return await self._http.post(self._url, json={"model": "m", "messages": said} | more)

    async def ask(self, *messages: str | dict[str, Any], **more: Any) -> dict[str, Any]:
        """The message of the response."""
        answer = await self.post(*messages, **more)
        assert answer.status_code == 200, answer.text
        message: dict[str, Any] = answer.json()["choices"][0]["message"]
        return message

    async def stream(self, said: str, **more: Any) -> list[str]:
        """The data of each event of a stream."""
        usage = {"include_usage": True}
        answer = await self.post(said, stream=True, stream_options=usage, **more)
        assert answer.headers["content-type"].startswith("text/event-stream")
        return [line[6:] for line in answer.text.splitlines() if line.startswith("data: ")]

    async def called(self, said: str, **more: Any) -> dict[str, Any]:
        """The only tool call of a stream, as one message."""
        events = [json.loads(event) for event in await self.stream(said, **more) if event != DONE]
        deltas = [choice["delta"] for event in events for choice in event["choices"]]
        first, *rest = [part for delta in deltas for part in delta.get("tool_calls", ())]
        function = first["function"]
        function["arguments"] += "".join(part["function"]["arguments"] for part in rest)
        call = {"id": first["id"], "type": "function", "function": function}
        return {"role": "assistant", "content": None, "tool_calls": [call]}


@pytest.fixture
def scripted(aimock: Aimock, http: httpx2.AsyncClient) -> Caller:
    return Caller(http, aimock.base_url)


@pytest.fixture
def breaking(llmock: LLMock, http: httpx2.AsyncClient) -> Caller:
    return Caller(http, llmock.base_url())


async def test_the_script_decides_by_what_the_user_said_last(aimock: Aimock, scripted: Caller):
    """The user's last message decides; the journal has the requests."""
    aimock.says("rain", "Take an umbrella.")
    aimock.says("", "Go out.")

    assert (await scripted.ask("rain", "sun"))["content"] == "Go out."
    assert (await scripted.ask("sun", "Will it rain?"))["content"] == "Take an umbrella."
    assert [call.said for call in aimock.journal()] == ["sun", "Will it rain?"]
    assert [call.said for call in aimock.journal("rain")] == ["Will it rain?"]
    assert aimock.journal()[0].roles == ["user", "user"]


async def test_a_request_that_no_line_fits_is_refused(aimock: Aimock, scripted: Caller):
    """Without a matching line the answer is 404, and the journal has that call, too."""
    aimock.says("rain", "Take an umbrella.")

    assert (await scripted.post("sun")).status_code == 404
    assert [call.status for call in aimock.journal()] == [404]
    assert aimock.begun() == 1


async def test_a_reset_forgets(aimock: Aimock, scripted: Caller):
    """A reset clears aimock's script and its journal."""
    aimock.says("", "Hello.")
    await scripted.ask("hi")
    aimock.reset()

    assert not aimock.journal()
    assert aimock.begun() == 0
    assert (await scripted.post("hi")).status_code == 404


async def test_a_script_can_change_under_way(aimock: Aimock, scripted: Caller):
    """A new script changes aimock's answers and keeps its journal."""
    aimock.says("", "Hello.")
    before = await scripted.ask("hi")
    aimock.forget_script()
    aimock.says("", "Good night.")
    after = await scripted.ask("hi")

    assert (before["content"], after["content"]) == ("Hello.", "Good night.")
    assert len(aimock.journal()) == 2


@pytest.mark.parametrize("stream", [False, True])
async def test_a_tool_is_called_then_its_result_answered(
    aimock: Aimock, scripted: Caller, stream: bool
):
    """The scripted server calls a tool, and answers after it gets the result."""
    aimock.calls("time", "clock", "It is noon.", arguments={"zone": "UTC"})
    ask = scripted.called if stream else scripted.ask
    asked = await ask("What time is it?", tools=[TOOL])
    (call,) = asked["tool_calls"]
    result = {"role": "tool", "tool_call_id": call["id"], "content": "12:00"}
    answer = await scripted.ask("What time is it?", asked, result, tools=[TOOL])

    assert call["function"]["name"] == "clock"
    assert json.loads(call["function"]["arguments"]) == {"zone": "UTC"}
    assert answer["content"] == "It is noon."
    assert [each.tools for each in aimock.journal()] == [["clock"], ["clock"]]
    assert aimock.journal()[1].roles == ["user", "assistant", "tool"]


async def test_a_stream_comes_in_parts_and_ends_with_its_usage(aimock: Aimock, scripted: Caller):
    """A stream has the answer in chunks, then the usage, then the end mark."""
    usage = {"prompt_tokens": 11, "completion_tokens": 5}
    aimock.script(
        {"match": {}, "response": {"content": "Hello there.", "usage": usage}, "chunkSize": 4}
    )
    *parts, tokens, done = await scripted.stream("hi")
    choices = [json.loads(part)["choices"][0] for part in parts]

    assert "".join(choice["delta"].get("content", "") for choice in choices) == "Hello there."
    assert len([choice for choice in choices if choice["delta"].get("content")]) == 3
    assert choices[-1]["finish_reason"] == "stop"
    assert json.loads(tokens)["usage"] == usage | {"total_tokens": 16}
    assert done == DONE


async def test_a_delay_holds_the_answer_back(aimock: Aimock, scripted: Caller):
    """The scripted server answers no sooner than its script says."""
    aimock.says("", "At last.", delay=0.2)
    start = clock.monotonic()
    await scripted.ask("hi")

    assert clock.monotonic() - start >= 0.19


async def test_a_caller_that_leaves_was_begun_and_is_in_no_journal(
    aimock: Aimock, scripted: Caller, http: httpx2.AsyncClient
):
    """A call counts when it begins; one whose caller leaves is not in the journal."""
    aimock.says("", "Too late.", delay=20.0)
    with pytest.raises(TimeoutError):
        async with clock.timeout(0.2):
            await scripted.ask("hi")
    await eventually(lambda: aimock.begun() == 1)

    assert not aimock.journal()


@pytest.mark.parametrize(("code", "retry_after"), [(429, 2), (500, None), (503, None)])
async def test_it_fails_as_often_as_it_is_told(
    aimock: Aimock, scripted: Caller, code: int, retry_after: float | None
):
    """The scripted server fails twice, then answers; a 429 has a `Retry-After`."""
    aimock.fails("hi", code, times=2, retry_after=retry_after)
    aimock.says("hi", "Hello.")
    answers = [await scripted.post("hi") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [code, code, 200]
    assert answers[0].headers.get("retry-after") == (None if retry_after is None else "2")
    assert [call.status for call in aimock.journal()] == [code, code, 200]


async def test_a_failure_may_come_after_the_tool(aimock: Aimock, scripted: Caller):
    """The scripted server fails only on a request with a tool's result."""
    aimock.fails("time", 500, hasToolResult=True)
    aimock.calls("time", "clock", "It is noon.")
    asked = await scripted.ask("time", tools=[TOOL])
    result = {"role": "tool", "tool_call_id": asked["tool_calls"][0]["id"], "content": "12:00"}

    assert (await scripted.post("time", asked, result)).status_code == 500


async def test_a_stream_can_be_cut(aimock: Aimock, scripted: Caller):
    """The scripted server drops the connection after the scripted number of chunks."""
    aimock.says("", "Hello there.", chunkSize=1, truncateAfterChunks=3)

    with pytest.raises(httpx2.RemoteProtocolError):
        await scripted.stream("hi")


async def test_a_connection_can_be_dropped(aimock: Aimock, scripted: Caller):
    """The scripted server drops the connection instead of answering."""
    aimock.says("", "never said", chaos={"disconnectRate": 1})

    with pytest.raises(httpx2.RemoteProtocolError):
        await scripted.ask("hi")


async def test_an_answer_can_be_junk(aimock: Aimock, scripted: Caller):
    """The scripted server sends 200 and no valid JSON."""
    aimock.says("", "never said", chaos={"malformedRate": 1})
    answer = await scripted.post("hi")

    assert answer.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        answer.json()


async def test_llmock_says_what_it_is_told_and_calls_tools(llmock: LLMock, breaking: Caller):
    """The breaking server answers with the next line of its script, tool calls included."""
    llmock.call_tool("clock", {"zone": "UTC"}).reply("It is noon.")
    asked = await breaking.ask("time", tools=[TOOL])
    answer = await breaking.ask("time")

    assert asked["tool_calls"][0]["function"]["name"] == "clock"
    assert json.loads(asked["tool_calls"][0]["function"]["arguments"]) == {"zone": "UTC"}
    assert answer["content"] == "It is noon."
    assert len(llmock.requests) == 2


async def test_llmock_limits_the_rate(llmock: LLMock, breaking: Caller):
    """The breaking server answers 429 with a `Retry-After`."""
    llmock.rate_limit(retry_after=3)
    refused = await breaking.post("hi")

    assert (refused.status_code, refused.headers["retry-after"]) == (429, "3")
    assert (await breaking.post("hi")).status_code == 200


async def test_llmock_ends_a_stream_early_without_a_word(llmock: LLMock, breaking: Caller):
    """A stream ends properly in the middle, without a finish reason or an end mark."""
    llmock.reply("One two three four five six.").truncate(after_chunks=2)
    events = await breaking.stream("hi")
    reasons = {json.loads(event)["choices"][0]["finish_reason"] for event in events}

    assert len(events) == 2
    assert reasons == {None}


async def test_llmock_corrupts_a_stream(llmock: LLMock, breaking: Caller):
    """The breaking server sends a chunk that is no valid JSON."""
    llmock.reply("One two three four.").corrupt(after_chunks=1)
    events = await breaking.stream("hi")

    with pytest.raises(json.JSONDecodeError):
        [json.loads(event) for event in events if event != DONE]


async def test_llmock_hangs_up_in_a_stream(llmock: LLMock, breaking: Caller):
    """The breaking server drops the connection in the middle of a stream."""
    llmock.reply("One two three four.").disconnect(after_chunks=1)

    with pytest.raises(httpx2.RemoteProtocolError):
        await breaking.stream("hi")


@pytest.mark.parametrize("kind", ["malformed_arguments", "unknown_tool"])
async def test_llmock_breaks_a_tool_call(llmock: LLMock, breaking: Caller, kind: str):
    """A tool call has arguments that are no valid JSON, or names a tool that was not offered."""
    llmock.call_tool("clock").break_tool_call(kind)
    function = (await breaking.ask("time", tools=[TOOL]))["tool_calls"][0]["function"]

    if kind == "unknown_tool":
        assert function["name"] != "clock"
    else:
        with pytest.raises(json.JSONDecodeError):
            json.loads(function["arguments"])


async def test_llmock_grades_its_client(llmock: LLMock, breaking: Caller):
    """The breaking server reports a client that returns before its `Retry-After`."""
    llmock.rate_limit(retry_after=5)
    await breaking.post("hi")
    await breaking.post("hi")

    assert [finding.code for finding in llmock.verdict().errors] == ["retry_after_ignored"]
    with pytest.raises(AssertionError, match="Retry-After"):
        llmock.assert_resilient()
