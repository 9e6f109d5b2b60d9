"""The JSON of turn events on the topic, written and read."""

from dataclasses import replace

import pytest
from pydantic import ValidationError

from agent_actors.errors import Invalid
from agent_actors.protocol.events import TurnEvent, parse_turn, turn_payload
from agent_actors.protocol.messages import Message, Usage

EVENT = TurnEvent(
    conversation="session:x",
    event_id="e-1",
    input=Message("user", "10m"),
    output=Message("assistant", "2024-01-05 standup"),
    seq=3,
    turn_id="t-1",
    model="echo",
    usage=Usage(1, 2),
    floor=1,
    occurred_at="2026-01-01T00:00:00+00:00",
    user="ada",
    schedule="s-1",
)


@pytest.mark.parametrize("event", [EVENT, replace(EVENT, schedule="", floor=0)])
def test_an_event_is_read_as_it_was_written(event: TurnEvent):
    """No field is lost on the way through the topic."""
    assert parse_turn(turn_payload(event)) == event


@pytest.mark.parametrize(("conversation", "session"), [("ada", None), ("session:x", "x")])
def test_a_payload_names_its_session(conversation: str, session: str | None):
    """If the conversation is one of a session."""
    payload = turn_payload(replace(EVENT, conversation=conversation))

    assert payload["session_id"] == session
    assert payload["history_key"] == f"history-{conversation}"


def test_a_payload_of_an_earlier_release_is_read():
    """It has no session, no floor and no schedule."""
    payload = turn_payload(EVENT)
    for name in ("session_id", "floor", "schedule"):
        del payload[name]

    assert parse_turn(payload) == replace(EVENT, floor=0, schedule="")


def test_an_event_of_another_service_is_not_published():
    """It has no number in a conversation."""
    with pytest.raises(ValueError, match="without a number"):
        turn_payload(replace(EVENT, seq=None))


@pytest.mark.parametrize("changes", [{"user_id": "../x"}, {"actor_id": "a b"}])
def test_ids_of_a_payload_are_checked(changes: dict[str, str]):
    """They become parts of keys."""
    with pytest.raises(Invalid):
        parse_turn(turn_payload(EVENT) | changes)


def test_a_payload_of_another_form_is_refused():
    """The error names the field."""
    with pytest.raises(ValidationError, match="seq"):
        parse_turn(turn_payload(EVENT) | {"seq": "x"})
