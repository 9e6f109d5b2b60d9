"""Reading CloudEvents."""

import json

import pytest

from agent_actors.protocol.events import TurnEvent
from agent_actors.protocol.messages import Message
from agent_actors.routes.sidecar.envelope import Delivery, InvalidEvent, read_event


def test_an_event_of_the_lesson_is_read():
    """The actor it names is the user and the conversation; there is no number."""
    said, answered = {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}
    data = {"actor_id": "ada", "input": said, "output": answered}
    event = read_event(json.dumps({"id": "x", "data": data}).encode())

    pair = Message("user", "a"), Message("assistant", "b")
    assert event == Delivery(TurnEvent("ada", "x", *pair, user="ada"))


def test_an_invalid_event_is_described_without_its_text():
    """The reason names the field, and the error has the id of the event."""
    data = {"actor_id": "ada", "input": {"role": "secret", "content": "secret"}, "output": None}

    with pytest.raises(InvalidEvent) as caught:
        read_event(json.dumps({"id": "x", "data": data}).encode())

    assert caught.value.event_id == "x"
    assert caught.value.permanent
    assert "secret" not in caught.value.reason
