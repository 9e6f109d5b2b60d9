"""How a server frames an answer: events with other lines between them, and no events at all."""

import gzip
import json
import zlib
from collections.abc import Callable

import httpx2
import pytest

from tests.field.dialect import USAGE, Json, Pieces, call, chunks, error, events, whole
from tests.field.test_tool_calls import A, Weather, assert_paired
from tests.hand_clock import HandClock
from tests.unit.model.agents_sdk.asking import failing
from tests.unit.model.agents_sdk.conftest import Ready
from tests.unit.model.agents_sdk.vendor import Vendor, a_prompt, answer

Change = Callable[[bytes], bytes]
STREAM = events(chunks({"content": "Hel"}, {"content": "lo"}))
WHOLE = whole({"role": "assistant", "content": "Hello"}).content
EVENTS, JSON = "text/event-stream", "application/json"
BETWEEN: dict[str, Change] = {
    "a mark at the beginning": lambda body: b"\xef\xbb\xbf" + body,
    # anomalyco/opencode#21515 and others: OpenRouter's comments while it waits
    "comments": lambda body: body.replace(b"data:", b": OPENROUTER PROCESSING\n\ndata:"),
    # seifghazi/claude-code-proxy#32
    "event lines": lambda body: body.replace(b"data:", b"event: message\nid: 5\nretry: 9\ndata:"),
    # dataelement/Clawith#106
    "no space": lambda body: body.replace(b"data: ", b"data:"),
    "empty lines first": lambda body: b"\n\r\n\n" + body,
    "an end twice": lambda body: body + b"data: [DONE]\n\n",
    "no end": lambda body: body.replace(b"data: [DONE]\n\n", b""),
    "no last newline": bytes.rstrip,
    "a comment after the end": lambda body: body + b": bye",
    "several lines of data": lambda body: body.replace(b', "', b',\ndata: "'),
}
KINDS = [EVENTS, f"{EVENTS}; charset=utf-8", JSON, "text/plain", "application/x-ndjson", "", "x"]
LINES = b"".join(each.encode() + b"\n" for each in chunks({"content": "Hel"}, {"content": "lo"}))
BODIES: dict[str, bytes] = {
    # unslothai/unsloth#6570, sgl-project/mini-sglang#51, kaito-project/kaito#1880: always a stream;
    # vllm-project/vllm-ascend#6985, NEKOparapa/AiNiee#920: a stream that says it is JSON
    "a stream": STREAM,
    "a whole answer": WHOLE,
    # decolua/9router#3492: and the end of a stream after it
    "a whole answer with an end": WHOLE + b"\n\ndata: [DONE]\n\n",
    "a whole answer in an event": b"data: " + WHOLE + b"\n\n",
    "indented": json.dumps(json.loads(WHOLE), indent=2).encode(),
    # langgenius/dify#4120: an object in each line
    "lines": LINES,
    "spaces that keep the connection alive": b"  \n\n \n" + WHOLE,
    "zeros at the end": WHOLE + b"\n\0",
}


def sent(body: bytes, kind: str = EVENTS, size: int = 3, **headers: str) -> httpx2.Response:
    """A body in pieces, with this content type."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    given = {"content-type": kind} if kind else {}
    return httpx2.Response(200, headers=given | named, stream=Pieces(body, size))


@pytest.mark.parametrize("size", [1, 2, 7, 0])
@pytest.mark.parametrize("change", BETWEEN.values(), ids=BETWEEN)
async def test_what_is_between_the_events_does_not_matter(
    ready: Ready, vendor: Vendor, change: Change, size: int
):
    """Also with other line ends, in pieces of any size."""
    model = await ready(model_stream=True)
    for end in (b"\n", b"\r\n", b"\r"):
        vendor.will(sent(change(STREAM).replace(b"\n", end), size=size))
        assert (await model.reply(a_prompt())).content == "Hello"


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
async def test_the_content_type_does_not_matter(
    ready: Ready, vendor: Vendor, body: bytes, streams: bool
):
    """Nor what was asked for: an answer that can be read is read."""
    model = await ready(model_stream=streams)
    for kind in KINDS:
        vendor.will(sent(body, kind))
        assert (await model.reply(a_prompt())).content == "Hello", kind


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("kind", [JSON, EVENTS])
async def test_a_stream_that_breaks_off_is_kept_nowhere(
    ready: Ready, vendor: Vendor, clock: HandClock, kind: str, streams: bool
):
    """Neither where a whole answer was asked for."""
    model = await ready(model_stream=streams)
    for body in (STREAM, LINES):
        vendor.will(sent(body[: body.index(b'"finish_reason"')], kind))
        assert (await failing(model, clock)).status == 502


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])
async def test_a_tool_call_comes_in_any_frame(ready: Ready, vendor: Vendor, streams: bool):
    """Its pieces are put together, and its data goes back."""
    signed = {"extra_content": {"google": {"thought_signature": "AY89"}}}
    calls: list[Json] = [
        {"content": "I look.", "reasoning": "hm"},
        {"tool_calls": [call("weather", A[:5], index=0, id="a", **signed)]},
        {"tool_calls": [{"index": 0, "function": {"arguments": A[5:]}}]},
    ]
    tools = Weather()
    vendor.will(sent(events(chunks(*calls, finish="tool_calls")), JSON), answer("done"))
    reply = await (await ready(tools=tools.tools, model_stream=streams)).reply(a_prompt())
    (message,) = [each for each in vendor.bodies[1]["messages"] if each.get("tool_calls")]

    assert (reply.content, reply.usage.input_tokens, tools.asked) == ("done", 6, ["Rome"])
    assert (message["content"], message["reasoning"]) == ("I look.", "hm")
    assert message["tool_calls"][0]["extra_content"] == signed["extra_content"]
    assert_paired(vendor.bodies[1]["messages"], 1)


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_a_packed_answer_is_unpacked(
    ready: Ready,
    vendor: Vendor,
    clock: HandClock,
    coding: str,
    streams: bool,
):
    """One that is cut off is not kept."""
    pack = gzip.compress if coding == "gzip" else zlib.compress
    body = pack(STREAM if streams else WHOLE)
    model = await ready(model_stream=streams)
    kind = EVENTS if streams else JSON
    vendor.will(sent(body, kind, content_encoding=coding))
    assert (await model.reply(a_prompt())).content == "Hello"

    vendor.will(sent(body[: len(body) // 2], kind, content_encoding=coding))
    assert (await failing(model, clock)).status == 502


LAST: list[tuple[list[Json], str]] = [
    # abundantbeing/hermes-browser-extension#11, go-kratos/blades#189: the whole text at the end
    ([{"delta": {"content": "Hel"}}, {"delta": {"content": "lo"}}, {"message": "Hello"}], "Hello"),
    ([{"delta": {"content": "Hello"}}, {"message": "Hello", "delta": {}}], "Hello"),
    ([{"delta": {"content": "Hel"}}, {"message": "Hello"}], "Hello"),
    ([{"delta": {"content": "Hello"}}, {"message": ""}], "Hello"),
    # Tried by hand: parts under the other name stay parts.
    ([{"message": "ha"}, {"message": "ha"}], "haha"),
    ([{"message": "Hel"}, {"message": "lo"}], "Hello"),
]


@pytest.mark.parametrize(("choices", "text"), LAST, ids=str)
async def test_a_whole_message_repeats_nothing(
    ready: Ready, vendor: Vendor, choices: list[Json], text: str
):
    """What was streamed before it is not said twice."""
    made = [
        each | {"message": {"role": "assistant", "content": each["message"]}}
        if "message" in each
        else each
        for each in choices
    ]
    data = [json.dumps({"choices": [{"index": 0, **each}]}) for each in made]
    end = json.dumps({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    vendor.will(sent(events([*data, end, "[DONE]"])))

    assert (await (await ready(model_stream=True)).reply(a_prompt())).content == text


@pytest.mark.parametrize("parts", [1, 2, 5])
async def test_numbers_in_each_chunk_are_no_end(
    ready: Ready, vendor: Vendor, clock: HandClock, parts: int
):
    """memex-lab/dart_agent_core#23: SiliconFlow, and vLLM by an option, count with every chunk."""
    data = [
        json.dumps({"choices": [{"index": 0, "delta": {"content": "a"}}], "usage": USAGE})
        for _ in range(parts)
    ]
    end = json.dumps(
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": USAGE}
    )
    model = await ready(model_stream=True)
    for more in ([], ["[DONE]"]):
        vendor.will(sent(events([*data, *more])))
        assert (await failing(model, clock)).status == 502
    vendor.will(sent(events([*data, end, "[DONE]"])))
    reply = await model.reply(a_prompt())

    assert reply.content == "a" * parts
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (3, 4)


@pytest.mark.parametrize("between", [1, 3])
async def test_numbers_alone_end_an_answer_only_as_the_last(
    ready: Ready, vendor: Vendor, clock: HandClock, between: int
):
    """Tried by hand: some servers send them in place of a word for the end, others in between."""
    part = json.dumps({"choices": [{"index": 0, "delta": {"content": "a"}}]})
    alone = json.dumps({"choices": [], "usage": USAGE})
    model = await ready(model_stream=True)
    vendor.will(sent(events([part, *[alone] * between, part])))
    assert (await failing(model, clock)).status == 502

    vendor.will(sent(events([part, *[alone] * between])))
    assert (await model.reply(a_prompt())).content == "a"


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])
async def test_an_error_of_vllm_has_another_form(
    ready: Ready, vendor: Vendor, clock: HandClock, streams: bool
):
    """With status 200, alone or in the middle of a stream, it means what it says."""
    said = {"object": "error", "message": "This model's maximum context length is 5", "code": 400}
    half = json.dumps({"choices": [{"index": 0, "delta": {"content": "half"}}]})
    model = await ready(model_stream=streams)
    for body in (events([json.dumps(said)]), events([half, json.dumps(said), "[DONE]"])):
        vendor.will(sent(body))
        failed = await failing(model, clock)
        assert (failed.status, failed.retry) == (502, "no")
        assert "AGENT_ACTORS_WINDOW_TOKENS" in failed.detail
    vendor.will(error(200, said))
    assert "AGENT_ACTORS_WINDOW_TOKENS" in (await failing(model, clock)).detail
