"""Reading CloudEvents."""

import json

import pytest

from agent_actors.routes.sidecar.envelope import InvalidEvent, read_event


def test_an_invalid_event_is_described_without_its_text():
    """The reason names the field, and the error has the id of the event."""
    data = {"actor_id": "ada", "input": {"role": "secret", "content": "secret"}, "output": None}

    with pytest.raises(InvalidEvent) as caught:
        read_event(json.dumps({"id": "x", "data": data}).encode())

    assert caught.value.event_id == "x"
    assert caught.value.permanent
    assert "secret" not in caught.value.reason
