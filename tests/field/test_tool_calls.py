"""Tool calls with other ids, other indexes and other arguments than OpenAI's."""

import json
from typing import Any

import pytest
from agents import function_tool

from tests.field.dialect import Json, call, chunks, events, stream, streamed, whole
from tests.hand_clock import HandClock
from tests.unit.model.agents_sdk.asking import failing
from tests.unit.model.agents_sdk.conftest import Ready
from tests.unit.model.agents_sdk.vendor import Vendor, a_prompt, answer

A, B = '{"city": "Rome"}', '{"city": "Oslo"}'


class Weather:
    """A tool that keeps the cities it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

        @function_tool
        async def weather(city: str) -> str:
            """The weather of a city."""
            self.asked.append(city)
            return f"Rain in {city}."

        @function_tool
        async def noon() -> str:
            """The time."""
            self.asked.append("noon")
            return "noon"

        self.tools = (weather, noon)


WHOLE: list[tuple[list[Any], list[str]]] = [
    ([call("weather", A, id="a"), call("weather", B, id="b")], ["Rome", "Oslo"]),
    # NousResearch/hermes-agent#1440: llama.cpp sends objects.
    ([call("weather", {"city": "Rome"}, id="a")], ["Rome"]),
    (
        [call("noon", {}, id="a"), call("noon", None, id="b"), call("noon", "", id="c")],
        ["noon"] * 3,
    ),
    # ggml-org/llama.cpp#11992, Arize-ai/openinference#2240: no ids; others repeat them.
    ([call("weather", A), call("weather", B)], ["Rome", "Oslo"]),
    ([call("weather", A, id=""), call("weather", B, id=None)], ["Rome", "Oslo"]),
    ([call("weather", A, id="a"), call("weather", B, id="a")], ["Rome", "Oslo"]),
    ([{"id": "a", "function": {"name": "weather", "arguments": A}}], ["Rome"]),
    ([{"id": 7, "type": None, "function": {"name": "weather", "arguments": A}}], ["Rome"]),
    ([{"id": "a", "name": "weather", "arguments": {"city": "Rome"}}], ["Rome"]),
    ([call("weather", A, id="a"), None, {"function": None}, "x"], ["Rome"]),
]
STREAMED: list[tuple[list[list[Any]], list[str]]] = [
    # One index for all: ollama/ollama#15457, vercel/ai#14277, su-kaka/gcli2api#406
    (
        [[call("weather", A, index=0, id="a")], [call("weather", B, index=0, id="b")]],
        ["Rome", "Oslo"],
    ),
    (
        [[call("weather", A, index=0, id="a"), call("weather", B, index=0, id="b")]],
        ["Rome", "Oslo"],
    ),
    # The same without ids, or with one id for all: huggingface/smolagents#1958
    ([[call("weather", A, index=0)], [call("weather", B, index=0)]], ["Rome", "Oslo"]),
    (
        [[call("weather", A, index=0, id="a")], [call("weather", B, index=0, id="a")]],
        ["Rome", "Oslo"],
    ),
    ([[call("noon", "", index=0)], [call("weather", B, index=0)]], ["noon", "Oslo"]),
    # No index: ollama/ollama#7881
    ([[call("weather", A, id="a")], [call("weather", B, id="b")]], ["Rome", "Oslo"]),
    ([[call("weather", A), call("weather", B)]], ["Rome", "Oslo"]),
    # Pieces, with the id and the name in the first or in each: spring-projects/spring-ai#5974
    (
        [
            [call("weather", "", index=0, id="a")],
            [{"index": 0, "function": {"arguments": A[:5]}}],
            [{"index": 0, "id": None, "function": {"name": None, "arguments": A[5:]}}],
        ],
        ["Rome"],
    ),
    (
        [[call("weather", A[:5], index=0, id="a")], [call("weather", A[5:], index=0, id="a")]],
        ["Rome"],
    ),
    ([[call("weather", A[:5], id="a")], [{"function": {"arguments": A[5:]}}]], ["Rome"]),
    # Tried by hand: an id and a name in each chunk, without arguments or with all of them again.
    ([[call("noon", "{}", index=0, id="a")], [call("noon", "", index=0, id="a")]], ["noon"]),
    ([[call("noon", "{}", index=0, id="a")], [call("noon", "{}", index=0, id="a")]], ["noon"]),
    ([[call("weather", A, index=0, id="a")], [call("weather", A, index=0, id="a")]], ["Rome"]),
    (
        [[call("noon", each, index=0, id="a")] for each in ("", "{}", None)],
        ["noon"],
    ),
    ([[call("noon", "{}", index=0, id=each)] for each in "ab"], ["noon"] * 2),
    # Pieces of two calls in turn, each under its index or by its id: QwenLM/Qwen-Agent#943
    (
        [
            [call("weather", A[:5], index=0, id="a"), call("weather", B[:5], index=1, id="b")],
            [{"index": 0, "function": {"arguments": A[5:]}}],
            [{"index": 1, "function": {"arguments": B[5:]}}],
        ],
        ["Rome", "Oslo"],
    ),
    (
        [
            [call("weather", A[:5], index=0, id="a")],
            [call("weather", B[:5], index=0, id="b")],
            [{"index": 0, "id": "a", "function": {"arguments": A[5:]}}],
            [{"index": 0, "id": "b", "function": {"arguments": B[5:]}}],
        ],
        ["Rome", "Oslo"],
    ),
    # No id on the second call: sgl-project/sglang#7048, anomalyco/opencode#25925
    (
        [[call("weather", A, index=0, id="a")], [call("weather", B, index=1, id=None)]],
        ["Rome", "Oslo"],
    ),
    ([[call("weather", {"city": "Rome"}, index=0, id="a")]], ["Rome"]),
    (
        [[call("weather", A, index="0", id="a")], [call("weather", B, index=None, id="b")]],
        ["Rome", "Oslo"],
    ),
]


@pytest.mark.parametrize(("calls", "asked"), WHOLE, ids=str)
async def test_each_call_of_an_answer_runs(
    ready: Ready, vendor: Vendor, calls: list[Any], asked: list[str]
):
    """Once, in its order, with its own result."""
    tools = Weather()
    vendor.will(whole({"content": None, "tool_calls": calls}, "tool_calls"), answer("done"))
    reply = await (await ready(tools=tools.tools)).reply(a_prompt())

    assert (reply.content, tools.asked) == ("done", asked)
    assert_paired(vendor.bodies[1]["messages"], len(asked))


@pytest.mark.parametrize("finish", ["tool_calls", "stop", "tool_use"])
@pytest.mark.parametrize(("parts", "asked"), STREAMED, ids=str)
async def test_each_call_of_a_stream_runs(
    ready: Ready, vendor: Vendor, parts: list[list[Any]], asked: list[str], finish: str
):
    """The same, however its pieces are numbered."""
    tools = Weather()
    deltas = [{"tool_calls": part} for part in parts]
    vendor.will(streamed(*deltas, finish=finish), streamed({"content": "done"}))
    reply = await (await ready(tools=tools.tools, model_stream=True)).reply(a_prompt())

    assert (reply.content, tools.asked) == ("done", asked)
    assert_paired(vendor.bodies[1]["messages"], len(asked))


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])
async def test_deep_json_is_a_failure(
    ready: Ready, vendor: Vendor, clock: HandClock, streams: bool
):
    """Tried by hand: it was a bug to whoever walked through it."""
    deep: Any = "x"
    for _ in range(450):
        deep = [deep]
    calls = {"tool_calls": [call("noon", "{}", index=0, extra_content={"google": deep})]}
    vendor.will((streamed if streams else whole)(calls, finish="tool_calls"))
    failed = await failing(await ready(tools=Weather().tools, model_stream=streams), clock)

    assert failed.status == 502
    assert "unexpectedly" not in failed.detail


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])
async def test_a_function_call_of_the_first_api_runs(ready: Ready, vendor: Vendor, streams: bool):
    """OpenAI's own first form, which old servers still have."""
    tools = Weather()
    old = {"content": None, "function_call": {"name": "weather", "arguments": A}}
    first = streamed(old, finish="function_call") if streams else whole(old, "function_call")
    vendor.will(first, streamed({"content": "done"}) if streams else answer("done"))
    await (await ready(tools=tools.tools, model_stream=streams)).reply(a_prompt())

    assert tools.asked == ["Rome"]


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    "arguments",
    [
        '{"city": "\\ud83d"}',
        '{"city": ["\\uDE00"]}',
        '{"city": "R',
        '{"city": ' + "[" * 5_000 + "]" * 5_000 + "}",  # Tried by hand, as the next.
        '{"city": ["\\ud83d", ' + "[" * 5_000 + "]" * 5_000 + "]}",
        '["Rome"]',
        '"Rome"',
        "7",
        "{}",
    ],
)
async def test_senseless_arguments_are_told_to_the_model(
    ready: Ready, vendor: Vendor, arguments: str, streams: bool
):
    """The tool does not run, and the turn goes on."""
    tools = Weather()
    calls = {"content": None, "tool_calls": [call("weather", arguments, id="a", index=0)]}
    first = streamed(calls, finish="tool_calls") if streams else whole(calls, "tool_calls")
    vendor.will(first, streamed({"content": "done"}) if streams else answer("done"))
    reply = await (await ready(tools=tools.tools, model_stream=streams)).reply(a_prompt())

    assert (reply.content, tools.asked) == ("done", [])
    assert "arguments do not fit" in vendor.bodies[1]["messages"][-1]["content"]


HALVES: list[tuple[list[str], list[str]]] = [
    # Servers that count UTF-16 cut a character in the middle; JSON may name one half alone.
    (['{"city": "a\ud83d', '\ude00b"}'], ["a\U0001f600b"]),
    (['{"city": "\ud83d"}', ""], ["\ufffd"]),
    (['{"city": "a', '\ude00"}'], ["a\ufffd"]),
    (['{"city": "a"}', "\ud83d"], []),
]


@pytest.mark.parametrize(("pieces", "asked"), HALVES)
async def test_a_character_of_arguments_may_come_in_two_chunks(
    ready: Ready, vendor: Vendor, pieces: list[str], asked: list[str]
):
    """Found by the fuzz: names, ids and arguments with half a character could not be sent again."""
    half: Json = {"index": 0, "function": {"arguments": pieces[1]}}
    for name, given in (("weather", "a"), ("weather", "\ud83d"), ("we\ud83d", "a")):
        tools = Weather()
        deltas = [{"tool_calls": [call(name, pieces[0], index=0, id=given)]}]
        vendor.will(
            streamed(*deltas, {"tool_calls": [half]}, finish="tool_calls"),
            streamed({"content": "done"}),
        )
        made = await ready(tools=tools.tools, model_stream=True)
        assert (await made.reply(a_prompt())).content == "done"
        assert tools.asked == (asked if name == "weather" else [])


@pytest.mark.parametrize(
    "broken",
    [
        call("weather", '{"city": "\ud83d"}', id="a"),
        call("weather", A, id="\ud83d"),
        call("we\ud83d", A, id="a"),
        call("weather", {"\ud83d": "\ude00"}, id="a"),
    ],
)
async def test_half_a_character_is_replaced_in_a_call(ready: Ready, vendor: Vendor, broken: Json):
    """What goes back to the server can be encoded."""
    vendor.will(whole({"content": None, "tool_calls": [broken]}, "tool_calls"), answer("done"))

    assert (await (await ready(tools=Weather().tools)).reply(a_prompt())).content == "done"


async def test_calls_and_text_come_in_one_stream(ready: Ready, vendor: Vendor):
    """Text before and after a call is kept, in pieces of one byte."""
    deltas: list[Json] = [
        {"content": "<think>hm</think>I look "},
        {"tool_calls": [call("weather", A, index=0, id="a")], "content": "it up."},
    ]
    tools = Weather()
    vendor.will(
        stream(events(chunks(*deltas, finish="tool_calls")), 1), streamed({"content": "done"})
    )
    reply = await (await ready(tools=tools.tools, model_stream=True)).reply(a_prompt())

    assert tools.asked == ["Rome"]
    assert json.loads(reply.items)[-1]["content"][0]["text"] == "done"
    assert [m["content"] for m in vendor.bodies[1]["messages"] if m.get("tool_calls")] == [
        "I look it up."
    ]


def assert_paired(messages: list[Json], number: int) -> None:
    """Each call has an id of its own, and each result names one of them."""
    ids = [each["id"] for message in messages for each in message.get("tool_calls") or ()]
    results = [message["tool_call_id"] for message in messages if message["role"] == "tool"]

    assert len(set(ids)) == number
    assert sorted(ids) == sorted(results)
