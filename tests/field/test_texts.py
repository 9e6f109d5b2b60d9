"""Texts of an answer: reasoning in tags and fields, parts, nulls and half characters."""

import json
from typing import Any

import pytest

from tests.field.dialect import chunks, events, stream, streamed, whole
from tests.hand_clock import HandClock
from tests.unit.model.agents_sdk.asking import failing
from tests.unit.model.agents_sdk.conftest import Ready
from tests.unit.model.agents_sdk.vendor import Vendor, a_prompt

MESSAGES: list[tuple[Any, str]] = [
    # deepseek-ai/DeepSeek-R1#23, ollama/ollama#8875, anomalyco/opencode#21515
    ({"content": "<think>\nThe user is rude.\n</think>\n\nHello"}, "Hello"),
    ({"content": "\n <think></think>Hello"}, "Hello"),
    ({"content": "<thinking>hm</thinking>\n<think>well</think>\nHello"}, "Hello"),
    ({"content": "[THINK]Is 1 < 2?[/THINK]Yes"}, "Yes"),
    # Tried by hand: other forms of a tag, and marks before it.
    ({"content": "<THINK>hm</Think>Hello"}, "Hello"),
    ({"content": "[think]hm[/think]Hello"}, "Hello"),
    ({"content": "<think time=3>hm</think>Hello"}, "Hello"),
    ({"content": "\ufeff<think>hm</think>Hello"}, "Hello"),
    ({"content": "\u200b<think>hm</think>\u200bHello"}, "Hello"),
    ({"content": "\ufeffHello"}, "\ufeffHello"),
    ({"content": "<think about it"}, "<think about it"),
    ({"content": "<think about=1 < 2>Hello"}, "<think about=1 < 2>Hello"),
    # mudler/LocalAI#4761: the template has put the opening tag into the prompt.
    ({"content": "The user is rude, 1 < 2.\n</think>\n\nHello"}, "Hello"),
    ({"content": "hm\n</think>\nHello\n</think>\nis a tag"}, "Hello\n</think>\nis a tag"),
    # Tags that are not at the beginning are what the answer is about.
    ({"content": "Write <think>hm</think> first"}, "Write <think>hm</think> first"),
    ({"content": "End it by </think> always"}, "End it by </think> always"),
    ({"content": "<thinker> is a tag"}, "<thinker> is a tag"),
    ({"content": "a < b"}, "a < b"),
    # Reasoning in fields of its own.
    ({"content": "Hello", "reasoning_content": "The user is rude."}, "Hello"),
    ({"content": "Hello", "reasoning": "The user is rude."}, "Hello"),
    ({"content": "Hello", "thinking": "The user is rude.", "reasoning": None}, "Hello"),
    # Parts, as Mistral and Azure send them.
    ({"content": [{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}]}, "Hello"),
    (
        {
            "content": [
                {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
                {"type": "text", "text": "Hello"},
            ]
        },
        "Hello",
    ),
    ({"content": [{"type": "text", "text": {"value": "Hello"}}, None, 7]}, "Hello"),
    # Nulls and strangers beside the text.
    (
        {
            "content": "Hello",
            "tool_calls": None,
            "refusal": None,
            "audio": None,
            "annotations": None,
        },
        "Hello",
    ),
    ({"content": "Hello", "tool_calls": [], "function_call": None, "refusal": ""}, "Hello"),
    ({"content": "Hello", "tool_calls": [None], "annotations": {}, "reasoning": 7}, "Hello"),
]


@pytest.mark.parametrize(("message", "text"), MESSAGES, ids=str)
async def test_an_answer_is_its_text(ready: Ready, vendor: Vendor, message: Any, text: str):
    """Reasoning is not text: it is neither shown nor stored."""
    vendor.will(whole({"role": "assistant", **message}))
    reply = await (await ready()).reply(a_prompt())

    assert reply.content == text
    assert reply.items == ""


@pytest.mark.parametrize("size", [1, 3, 0])
@pytest.mark.parametrize(("message", "text"), MESSAGES, ids=str)
async def test_a_streamed_answer_is_the_same(
    ready: Ready, vendor: Vendor, message: Any, text: str, size: int
):
    """However its text is cut into chunks, and its bytes into pieces."""
    given = message["content"]
    cut = [given[i : i + (size or 99)] for i in range(0, len(given), size or 99)]
    first = {**message, "content": cut[0] if cut else given}
    vendor.will(streamed(first, *({"content": each} for each in cut[1:]), size=size))
    reply = await (await ready(model_stream=True)).reply(a_prompt())

    assert reply.content == text


@pytest.mark.parametrize(
    "between",
    [
        # NousResearch/hermes-agent#75525, microsoft/autogen#8169, pydantic/pydantic-ai#5170
        "null",
        '{"choices": null}',
        '{"choices": [{"index": 0, "delta": null}]}',
        '{"choices": [{"index": 0, "delta": {"content": null}, "finish_reason": ""}]}',
        "{}",
        '""',
        "",
        "ping",
        '{"choices": [{"index": 1, "delta": {"content": "another"}}]}',
        '{"usage": []}',
    ],
)
async def test_a_chunk_that_says_nothing_costs_nothing(ready: Ready, vendor: Vendor, between: str):
    """The rest of the answer is whole."""
    first, second, *rest = chunks({"content": "Hel"}, {"content": "lo"})
    vendor.will(stream(events([between, first, between, second, between, *rest])))

    assert (await (await ready(model_stream=True)).reply(a_prompt())).content == "Hello"


@pytest.mark.parametrize("between", ['{"choices": [{"index": 0, "delta": {"content": "l', "[1"])
async def test_a_chunk_that_is_cut_off_fails(
    ready: Ready, vendor: Vendor, clock: HandClock, between: str
):
    """An answer without one of its parts is not kept."""
    first, second, *rest = chunks({"content": "Hel"}, {"content": "lo"})
    vendor.will(stream(events([first, between, second, *rest])))

    assert (await failing(await ready(model_stream=True), clock)).status == 502


@pytest.mark.parametrize("end", ["\n\n", "\r\n\r\n", "\r\r", "\n"])
@pytest.mark.parametrize("size", [1, 2, 7, 0])
async def test_lines_end_in_any_way(ready: Ready, vendor: Vendor, end: str, size: int):
    """Events are read as the standard says, also with other line ends inside their text."""
    deltas = [{"content": "Hel\u2028"}, {"content": "\u0085lo\x0c"}]
    sent = [json.dumps(json.loads(each), ensure_ascii=False) for each in chunks(*deltas)[:-1]]
    vendor.will(stream(b": hello" + end.encode() + events([*sent, "[DONE]"], end), size))

    reply = await (await ready(model_stream=True)).reply(a_prompt())
    assert reply.content == "Hel\u2028\u0085lo\x0c"


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])
async def test_half_a_character_is_replaced(ready: Ready, vendor: Vendor, streams: bool):
    """JSON may name half a surrogate pair, which could be neither saved nor sent."""
    broken = '{"choices":[{"index":0,"%s":{"content":"a\\ud83d b"},"finish_reason":"stop"}]}'
    if streams:
        vendor.will(stream(events([broken % "delta", "[DONE]"])))
    else:
        body = (broken % "message").encode()
        vendor.will(stream(body, kind="application/json"))

    assert (await (await ready(model_stream=streams)).reply(a_prompt())).content == "a\ufffd b"


async def test_a_character_may_come_in_two_chunks(ready: Ready, vendor: Vendor):
    """Servers that count UTF-16 cut a character in the middle."""
    delta = '{"choices":[{"index":0,"delta":{"content":"%s"}}]}'
    sent = [delta % "a\\ud83d", delta % "\\ude00b", *chunks()]
    vendor.will(stream(events(sent)))

    assert (await (await ready(model_stream=True)).reply(a_prompt())).content == "a\U0001f600b"


async def test_a_stream_may_come_whole(ready: Ready, vendor: Vendor):
    """A server that cannot stream answers as if it was not asked to."""
    vendor.will(whole({"role": "assistant", "content": "<think>hm</think>Hello"}))

    assert (await (await ready(model_stream=True)).reply(a_prompt())).content == "Hello"


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])
async def test_reasoning_alone_is_no_answer(
    ready: Ready, vendor: Vendor, clock: HandClock, streams: bool
):
    """An answer that ends within its reasoning says nothing to the user."""
    said = {"content": "<think>The user is rude."}
    vendor.will(streamed(said, finish="length") if streams else whole(said, "length"))

    assert (await failing(await ready(model_stream=streams), clock)).status == 502
