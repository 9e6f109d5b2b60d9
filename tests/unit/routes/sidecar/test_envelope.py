"""A CloudEvent, read."""

import json

import pytest

from agent_actors.protocol.messages import Message, TurnEvent
from agent_actors.routes.sidecar.envelope import Event, InvalidEvent, read_event


def test_an_event_of_the_lesson_is_read():
    """The actor it names is the user and the conversation; there is no number."""
    said, answered = {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}
    data = {"actor_id": "ada", "input": said, "output": answered}
    event = read_event(json.dumps({"id": "x", "data": data}).encode())

    assert event == Event(
        "ada", TurnEvent("ada", "x", Message("user", "a"), Message("assistant", "b"), None)
    )


def test_an_unusable_event_is_told_without_what_was_said():
    """The reason names the field, and the id of the event."""
    data = {"actor_id": "ada", "input": {"role": "secret", "content": "secret"}, "output": None}

    with pytest.raises(InvalidEvent) as caught:
        read_event(json.dumps({"id": "x", "data": data}).encode())

    assert caught.value.event_id == "x"
    assert caught.value.for_ever
    assert "secret" not in caught.value.reason


def test_an_unknown_version_is_not_hopeless():
    """Another release may read it."""
    with pytest.raises(InvalidEvent) as caught:
        read_event(b'{"id": "x", "data": {"seq": 1, "version": 9, "event_id": "e"}}')

    assert not caught.value.for_ever
    assert caught.value.event_id == "e"
