"""Bugs of the lessons' timers and bindings; see `test_regressions`."""

import logging
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent_actors.notifications.text import notification
from agent_actors.routes.sidecar.subscriptions import INPUTS
from tests.unit.conversation.talk import Talk

BINDINGS = Path(__file__).parents[2] / "components" / "bindings"


def component(name: str) -> dict[str, Any]:
    """The metadata of a component, by name; a reference to a secret is None."""
    document = yaml.safe_load((BINDINGS / f"{name}.yaml").read_text(encoding="utf-8"))
    return {item["name"]: item.get("value") for item in document["spec"]["metadata"]}


async def test_b18_a_timer_starts_and_calls_what_it_names():
    """Its callback is a method of the actor, and a turn needs nothing of it."""
    talk = Talk(message_count_timer=True)
    await talk.answered("hi")
    timer = talk.client.timers["ChatAgent", "ada", "log-message-count"]

    assert callable(getattr(talk.chat, timer["callback"]))


async def test_b19_a_timer_ends_after_its_ten_times(caplog: pytest.LogCaptureFixture):
    """It is not there any more, so that it keeps no actor alive."""
    caplog.set_level(logging.INFO)
    talk = Talk(message_count_timer=True)
    await talk.answered("hi")
    ticks = 0
    while talk.counting:
        await talk.count()
        ticks += 1

    assert ticks == 10
    assert len([each for each in caplog.messages if each.endswith("has 2 entries")]) == 10


def test_b26_the_binding_publishes_nowhere():
    """It is an input, and says so; a `topic` that only an output has is not there."""
    kafka = component("kafka-binding")

    assert kafka["direction"] == "input"
    assert {"topic", "publishTopic"}.isdisjoint(kafka)


def test_b27_the_route_is_the_one_that_is_there():
    """What may work later is kept by the broker, in a group of its own, from the beginning."""
    kafka = component("kafka-binding")

    assert kafka["route"] in INPUTS
    assert (kafka["topics"], kafka["consumerGroup"]) == ("user-messages", "chat-agent-group")
    assert (kafka["consumeRetryEnabled"], kafka["initialOffset"]) == ("true", "oldest")


def test_b28_the_number_is_the_users():
    """No component has one, and no text; what is secret is not in the file either."""
    twilio = component("twilio-binding")
    told = notification("ada", "hi", "hello")

    assert told == "New message from ada: hi -> hello"
    assert "toNumber" not in twilio
    assert [twilio[name] for name in ("accountSid", "authToken", "fromNumber")] == [None] * 3
