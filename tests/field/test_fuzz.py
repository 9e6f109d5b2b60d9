"""Any JSON in the shapes of an answer, cut and split anywhere."""

import json
import os
from itertools import pairwise
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent_actors.clock import SystemClock
from agent_actors.errors import ModelError
from agent_actors.model.agents_sdk import AgentsModel
from tests.field.dialect import Pieces, chunks, events
from tests.unit.model.agents_sdk.vendor import HERE, Vendor, a_prompt
from tests.unit.model.agents_sdk.vendor import settings as of

pytestmark = pytest.mark.deep

FUZZ = settings(
    deadline=None,
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "20")),
    suppress_health_check=list(HealthCheck),
)
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2)
    ),
    max_leaves=4,
)


def shape(**members: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """An object with some of these members, each as it should be or anything else."""
    return st.fixed_dictionaries({}, optional={k: v | JUNK for k, v in members.items()})


FUNCTION = shape(
    name=st.sampled_from(["get_current_time", "other"]), arguments=st.sampled_from(["{}", "{", ""])
)
CALL = shape(
    id=st.sampled_from(["a", "b", ""]),
    index=st.integers(0, 2),
    type=st.just("function"),
    function=FUNCTION,
    extra_content=shape(google=shape(thought_signature=st.just("AY89")), vertex=JUNK),
    provider_specific_fields=JUNK,
)
WORDS = st.sampled_from(
    ["Hello", " world", "<think>", "</think>", "\n", "<", "\ud83d", "\ude00", ""]
)
DETAIL = shape(
    type=st.sampled_from(["reasoning.text", "reasoning.encrypted"]),
    text=WORDS,
    signature=st.just("Et8B"),
    index=st.just(0),
)
MESSAGE = shape(
    content=WORDS | st.lists(shape(type=st.just("text"), text=WORDS), max_size=3),
    tool_calls=st.lists(CALL | JUNK, max_size=3),
    refusal=WORDS,
    reasoning_content=WORDS,
    reasoning=WORDS,
    reasoning_details=st.lists(DETAIL | JUNK, max_size=3),
    role=st.just("assistant"),
)
FINISH = st.sampled_from(["stop", "length", "tool_calls", "SAFETY", "abort", None])
USAGE = shape(
    prompt_tokens=st.integers(), completion_tokens=st.integers(), total_tokens=st.integers()
)
CHOICE = shape(index=st.just(0), message=MESSAGE, delta=MESSAGE, finish_reason=FINISH)
ANSWER = shape(
    id=st.text(max_size=3), choices=st.lists(CHOICE | JUNK, max_size=2), usage=USAGE, error=JUNK
)


KINDS = st.sampled_from(["text/event-stream", "application/json", "text/plain", ""])


async def outcome(response: Any, *, streams: bool) -> str | None:
    """The answer of a turn, or None if it failed as a turn may."""
    vendor = Vendor()
    # What the model is asked again after a tool is answered at once.
    vendor.will(response, *[_done(streams) for _ in range(9)])
    model = AgentsModel(
        of(model_retries=0, model_stream=streams), SystemClock(), HERE, transport=vendor
    )
    try:
        return (await model.reply(a_prompt())).content
    except ModelError as error:
        if error.status not in {502, 504}:
            raise
        return None
    finally:
        await model.stop()


def _done(streams: bool) -> httpx2.Response:
    if streams:
        return httpx2.Response(200, stream=Pieces(events(chunks({"content": "done"}))))
    choice = {"index": 0, "message": {"content": "done"}, "finish_reason": "stop"}
    return httpx2.Response(200, json={"choices": [choice]})


@FUZZ
@given(answer=ANSWER)
async def test_no_whole_answer_is_a_defect(answer: Any):
    """A turn ends with an answer that can be saved, or fails as the model's."""
    body = json.dumps(answer).encode()
    said = await outcome(httpx2.Response(200, stream=Pieces(body)), streams=False)

    assert said is None or said.encode()


@FUZZ
@given(sent=st.lists(ANSWER | JUNK, max_size=4), size=st.integers(1, 40))
async def test_no_stream_is_a_defect(sent: list[Any], size: int):
    """The same, in pieces of any size."""
    body = events([json.dumps(each) for each in sent])
    said = await outcome(httpx2.Response(200, stream=Pieces(body, size)), streams=True)

    assert said is None or said.encode()


TEXT = st.text(alphabet="ab<>/think\n \u2028\U0001f600", min_size=1, max_size=30).filter(str.strip)


@FUZZ
@given(
    text=TEXT,
    cuts=st.lists(st.integers(0, 30), max_size=4),
    size=st.integers(1, 40),
    kind=KINDS,
    end=st.sampled_from(["\n\n", "\r\n\r\n", "\r\r", "\n"]),
    between=st.sampled_from(["", ": ping\n\n", "event: x\nid: 7\n", "retry: 9\r\n", "data:\n\n"]),
    streams=st.booleans(),
)
async def test_no_whole_answer_is_lost(
    text: str, cuts: list[int], size: int, kind: str, end: str, between: str, streams: bool
):
    """Cut into chunks and pieces anywhere, in any frame, an answer is the one in one piece."""
    ends = sorted({0, *(min(each, len(text)) for each in cuts), len(text)})
    deltas = [{"content": text[a:b]} for a, b in pairwise(ends)]
    body = b"".join(between.encode() + events([each], end) for each in chunks(*deltas))
    sent = httpx2.Response(200, headers={"content-type": kind}, stream=Pieces(body, size))
    cut = await outcome(sent, streams=streams)
    choice = {"index": 0, "message": {"content": text}, "finish_reason": "stop"}
    whole = await outcome(httpx2.Response(200, json={"choices": [choice]}), streams=False)

    assert cut == whole
    assert whole is None or whole == text or "think" in text


@FUZZ
@given(
    text=TEXT,
    share=st.floats(0, 1, exclude_max=True),
    lost=st.booleans(),
    kind=KINDS,
    streams=st.booleans(),
)
async def test_no_half_answer_is_kept(
    text: str, share: float, lost: bool, kind: str, streams: bool
):
    """A stream that ends before its end is no answer, with a broken connection or without."""
    body = events(chunks({"content": text}, {"content": "."})[:3])
    until = int(share * body.index(b'"finish_reason"'))
    pieces = Pieces(body, until=until) if lost else Pieces(body[:until])
    sent = httpx2.Response(200, headers={"content-type": kind}, stream=pieces)

    assert await outcome(sent, streams=streams) is None


@FUZZ
@given(body=ANSWER | JUNK, status=st.sampled_from([400, 401, 404, 413, 429, 500, 503]))
async def test_no_error_is_a_defect(body: Any, status: int):
    """Whatever its body is, it is the model's failure."""
    for streams in (False, True):
        sent = httpx2.Response(status, stream=Pieces(json.dumps(body).encode()))
        assert await outcome(sent, streams=streams) is None
