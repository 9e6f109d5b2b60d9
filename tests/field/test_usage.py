"""Numbers of tokens that are no numbers: nobody's answer is lost for them."""

import json
from typing import Any

import pytest

from agent_actors.protocol.messages import Usage
from tests.field.dialect import events, stream, whole
from tests.unit.model.agents_sdk.conftest import Ready
from tests.unit.model.agents_sdk.vendor import Vendor, a_prompt

USAGES: list[tuple[Any, Usage]] = [
    ({"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}, Usage(3, 4)),
    ({"prompt_tokens": "3", "completion_tokens": 4.0}, Usage(3, 4)),
    ({"input_tokens": 3, "output_tokens": 4}, Usage(3, 4)),
    ({"prompt_tokens": 3, "completion_tokens": None, "total_tokens": None}, Usage(3, 0)),
    ({"prompt_tokens": -3, "completion_tokens": 4, "prompt_tokens_details": None}, Usage(0, 4)),
    ({"prompt_tokens": 3, "completion_tokens": 4, "prompt_tokens_details": []}, Usage(3, 4)),
    (
        {
            "prompt_tokens": 3,
            "completion_tokens": 4,
            "prompt_tokens_details": {"cached_tokens": "x"},
        },
        Usage(3, 4),
    ),
    ({"prompt_tokens": True, "completion_tokens": {}, "total_tokens": "many"}, Usage(0, 0)),
    ({"prompt_tokens": float("nan"), "completion_tokens": float("inf")}, Usage(0, 0)),
    ([], Usage(0, 0)),
    ("7", Usage(0, 0)),
    (7, Usage(0, 0)),
    (None, Usage(0, 0)),
]


@pytest.mark.parametrize(("usage", "counted"), USAGES, ids=str)
async def test_an_answer_survives_its_numbers(
    ready: Ready, vendor: Vendor, usage: Any, counted: Usage
):
    """What is a number is counted, the rest is not."""
    choice = {"index": 0, "message": {"content": "Hello"}, "finish_reason": "stop"}
    body = json.dumps({"id": None, "created": "now", "choices": [choice], "usage": usage})
    vendor.will(stream(body.encode(), kind="application/json"))
    reply = await (await ready()).reply(a_prompt())

    assert (reply.content, reply.usage) == ("Hello", counted)


@pytest.mark.parametrize(("usage", "counted"), USAGES, ids=str)
async def test_a_stream_survives_its_numbers(
    ready: Ready, vendor: Vendor, usage: Any, counted: Usage
):
    """In a chunk of their own or beside the end, also where an earlier chunk has counted."""
    sent = [
        {"choices": [{"index": 0, "delta": {"content": "Hello"}}], "usage": None},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": usage},
        {"choices": None, "usage": usage},
    ]
    vendor.will(stream(events([json.dumps(each) for each in sent])))
    reply = await (await ready(model_stream=True)).reply(a_prompt())

    assert (reply.content, reply.usage) == ("Hello", counted)


@pytest.mark.parametrize("name", ["id", "model", "created", "object", "system_fingerprint"])
@pytest.mark.parametrize("value", [None, 7, [], {}, "x"], ids=str)
async def test_members_around_the_answer_do_not_matter(
    ready: Ready, vendor: Vendor, name: str, value: Any
):
    """Their types are theirs."""
    vendor.will(whole({"content": "Hello"}, **{name: value}))

    assert (await (await ready()).reply(a_prompt())).content == "Hello"
