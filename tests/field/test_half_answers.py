"""Answers that say of themselves that they are half, and whole ones that only seem so."""

import json
from typing import Any

import pytest

from tests.field.dialect import Json, call, chunks, error, events, stream, streamed, whole
from tests.hand_clock import HandClock
from tests.unit.model.agents_sdk.asking import failing
from tests.unit.model.agents_sdk.conftest import Ready
from tests.unit.model.agents_sdk.vendor import Vendor, a_prompt

HALF = {"content": "Let me look."}
# Tried by hand: calls that cannot be read.
UNREADABLE: list[Json] = [
    HALF,
    {**HALF, "tool_calls": [call("", "{}", id="a", index=0)]},
    {**HALF, "tool_calls": json.dumps([call("noon", "{}", id="a")])},
    {**HALF, "tool_calls": [None, "noon"]},
]
# Tried by hand: events with an error that has no `error` around it.
ERRORS = [
    'event: error\ndata: {"message": "overloaded"}\n\n',
    "event: error\ndata: overloaded\n\n",
    "event: error\ndata: {}\n\n",
    'event: error\ndata: {"type": "overloaded_error", "message": "o"}\n\n',
    'data: {"type": "error", "message": "overloaded"}\n\n',
    'data: {"choices": [{"index": 0, "delta": {"content": ""}, "error": {"code": 502}}]}\n\n',
]
# Tried by hand: errors in which nothing is, beside a whole answer.
NO_ERRORS: list[Any] = [
    {"message": "", "type": "", "param": "", "code": None},
    {"message": None, "code": None},
    {"message": "success", "code": 0},
    {},
    [],
    "",
    "null",
]
NO_ENDS = ["null", "None", False, ""]


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("message", UNREADABLE, ids=str)
async def test_calls_that_cannot_be_read_are_no_answer(
    ready: Ready, vendor: Vendor, clock: HandClock, message: Json, streams: bool
):
    """The text before them is not the turn's."""
    vendor.will((streamed if streams else whole)(message, finish="tool_calls"))
    failed = await failing(await ready(model_stream=streams), clock)

    assert (failed.status, failed.retry) == (502, "same-key")


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("event", ERRORS)
async def test_an_error_ends_a_stream_in_any_form(
    ready: Ready, vendor: Vendor, clock: HandClock, event: str, streams: bool
):
    """Also if an end comes after it."""
    first, *rest = chunks(HALF)
    vendor.will(stream(events([first]) + event.encode() + events(rest)))
    failed = await failing(await ready(model_stream=streams), clock)

    assert (failed.status, failed.retry) == (502, "same-key")


async def test_an_error_in_a_choice_is_one(ready: Ready, vendor: Vendor, clock: HandClock):
    """OpenRouter, tried by hand: the choice has half a message, and an end."""
    choice = {"index": 0, "message": HALF, "finish_reason": "stop", "error": {"code": 502}}
    vendor.will(error(200, {"choices": [choice]}))

    assert (await failing(await ready(), clock)).status == 502


@pytest.mark.parametrize("given", NO_ERRORS, ids=str)
async def test_an_empty_error_beside_an_answer_is_none(ready: Ready, vendor: Vendor, given: Any):
    """The answer is the turn's, whole or streamed."""
    vendor.will(whole({"content": "Hello"}, error=given))
    assert (await (await ready()).reply(a_prompt())).content == "Hello"

    first, *rest = chunks({"content": "Hello"})
    vendor.will(stream(events([json.dumps({**json.loads(first), "error": given}), *rest])))
    assert (await (await ready(model_stream=True)).reply(a_prompt())).content == "Hello"


@pytest.mark.parametrize("word", NO_ENDS, ids=repr)
async def test_a_word_for_nothing_is_no_end(ready: Ready, vendor: Vendor, word: Any):
    """Tried by hand: each chunk has it, and the last one an end."""
    sent = [json.loads(each) for each in chunks({"content": "Hel"}, {"content": "lo"})[:-2]]
    for each in sent[:-1]:
        each["choices"][0]["finish_reason"] = word
    vendor.will(stream(events([*map(json.dumps, sent), " [DONE] "])))
    assert (await (await ready(model_stream=True)).reply(a_prompt())).content == "Hello"

    vendor.will(whole({"content": "Hello"}, word))
    assert (await (await ready()).reply(a_prompt())).content == "Hello"
