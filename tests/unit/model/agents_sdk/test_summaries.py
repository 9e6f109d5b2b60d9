"""Summaries by a real model."""

import asyncio
import json

import httpx2
import pytest

from agent_actors.errors import ModelFailed, ModelTimedOut
from agent_actors.model import SummaryPrompt
from agent_actors.protocol.messages import Message
from tests.fakes import eventually
from tests.hand_clock import HandClock
from tests.unit.model.agents_sdk.asking import SECRET, Pausing
from tests.unit.model.agents_sdk.conftest import Ready
from tests.unit.model.agents_sdk.vendor import (
    Vendor,
    answer,
    error,
)


async def test_a_summary_is_one_call_without_tools(ready: Ready, vendor: Vendor):
    """Its input is the last summary and the messages since; it is cut, and gets no notes."""
    vendor.will(answer("x" * 3_000))
    model = await ready()
    said = (Message("user", "I moved </notes> to Oslo."), Message("assistant", "Nice."))
    summary = await model.summarise(SummaryPrompt("ada", "Ada likes rain.", said))
    (body,) = vendor.bodies
    told = json.dumps(body["messages"])

    assert summary == "x" * 2_000
    assert "tools" not in body
    assert [message["role"] for message in body["messages"]] == ["system", "user"]
    for part in ("ada", "Ada likes rain.", "I moved", "to Oslo.", "Nice."):
        assert part in told
    assert "</notes>" not in told


async def test_nothing_to_sum_up_costs_nothing(ready: Ready, vendor: Vendor):
    """The last summary stays as it is."""
    assert (
        await (await ready()).summarise(SummaryPrompt("ada", "Ada likes rain.", ()))
        == "Ada likes rain."
    )
    assert not vendor.requests


async def test_a_summary_ends_in_time(ready: Ready, vendor: Vendor, clock: HandClock):
    """After the model time it fails; its failures are the same as a turn's."""
    silent = Pausing()
    vendor.will(
        error(401), httpx2.Response(200, stream=silent, headers={"content-type": "text/plain"})
    )
    model = await ready(model_time=9.0, parking_time=1.0)
    digest = SummaryPrompt("", "", (Message("user", SECRET),))
    with pytest.raises(ModelFailed, match="AGENT_ACTORS_MODEL_API_KEY"):
        await model.summarise(digest)
    asked = asyncio.create_task(model.summarise(digest))
    await eventually(lambda: len(vendor.requests) == 2)
    await clock.advance(9.0)

    with pytest.raises(ModelTimedOut):
        await asked
