"""Values to JSON and back."""

import json
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from agent_actors.protocol.codec import Malformed, ValueSerializer, decode, encode
from agent_actors.protocol.messages import Message, ProcessTurn, ResponseRequest, TurnState
from tests.fakes import a_turn

texts = st.text(st.characters(exclude_categories=["Cs"]))


@given(texts)
def test_any_text_survives(text: str):
    """What was said is what is read, whatever it is."""
    serializer = ValueSerializer()
    message = Message("user", text)

    assert serializer.deserialize(serializer.serialize(message), Message) == message
    assert serializer.deserialize(serializer.serialize(text)) == text


@pytest.mark.parametrize("text", ["10m", "2024-01-05 standup", "1h30m", "P1D", "1e3", "null", ""])
def test_text_that_looks_like_something_else_stays_text(text: str):
    """Durations, dates and numbers in text are text."""
    serializer = ValueSerializer()

    assert serializer.deserialize(serializer.serialize({"content": text})) == {"content": text}


def test_a_value_is_read_as_the_type_that_is_asked_for():
    """A request is decoded into the frozen value of its contract."""
    request = ProcessTurn(a_turn("hi"), 1.5)

    assert decode(encode(request), ProcessTurn) == request


def test_what_is_none_is_left_out():
    """Neither we nor a caller write the fields that have no value."""
    assert decode(b'{"turn_id":"t","status":"queued"}', TurnState) == TurnState("t", "queued")
    assert encode(TurnState("t", "queued")) == b'{"turn_id":"t","status":"queued"}'


def test_an_argument_of_another_form_is_malformed_and_not_repeated():
    """A wrong argument becomes a value that names the field and not what it held."""
    secret = b'{"conversation": 7, "message": "secret"}'
    found = ValueSerializer().deserialize(secret, ResponseRequest)

    assert isinstance(found, Malformed)
    assert "message" in found.reason
    assert "secret" not in found.reason


def test_broken_json_is_malformed():
    """It does not raise where a type is asked for; outside the SDK a wrong value is an error."""
    assert isinstance(ValueSerializer().deserialize(b"{", Message), Malformed)
    with pytest.raises(ValidationError):
        decode(b"{}", Message)


def test_durations_of_the_sdk_are_written_as_dapr_reads_them():
    """A reminder's timedelta goes out in Dapr's own notation."""
    body = json.loads(ValueSerializer().serialize({"dueTime": timedelta(seconds=30), "data": "x"}))

    assert body == {"dueTime": "0h0m30s0ms0μs", "data": "x"}
