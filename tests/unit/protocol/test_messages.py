"""The values that travel."""

import dataclasses
import inspect

import pytest

from agent_actors.errors import Busy, Refused
from agent_actors.protocol import messages
from agent_actors.protocol.codec import decode, encode
from agent_actors.protocol.dead_letters import Envelope
from agent_actors.protocol.messages import Message, Problem, Reply, Usage

VALUES = [
    value
    for _, value in inspect.getmembers(messages, inspect.isclass)
    if value.__module__ == messages.__name__
]


@pytest.mark.parametrize("value", VALUES)
def test_values_are_frozen(value: type):
    """Nothing that travels can be changed on its way."""
    assert dataclasses.is_dataclass(value)
    assert value.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert not hasattr(value, "__dict__") or "__slots__" in vars(value)


def test_an_error_travels_as_a_problem():
    """What an actor returns as its error is what its caller gets."""
    problem = Problem.of(Busy("Too many.", turn_id="t"))
    raised = decode(encode(problem), Problem).error()

    assert isinstance(raised, Refused)
    assert (raised.status, raised.title, raised.detail) == (429, Busy.title, "Too many.")
    assert (raised.retry, raised.turn_id) == ("same-key", "t")


def test_a_reply_needs_only_its_text():
    """A model that does not count tokens says so by zeros."""
    assert decode(b'{"content":"hi"}', Reply) == Reply("hi", "", Usage(0, 0))


@pytest.mark.parametrize("role", ["system", "tool", "User", ""])
def test_a_message_has_one_of_two_roles(role: str):
    """Any other role is refused where a message is read."""
    with pytest.raises(ValueError, match="role"):
        decode(encode({"role": role, "content": "x"}), Message)


@pytest.mark.parametrize(
    "event", [b"", b"{}", '{"said":"10m ☃ “"}\x00\u2028'.encode(), b"\xff\x00", b"\xed\xa0\x80"]
)
def test_an_envelope_is_what_was_delivered(event: bytes):
    """Byte for byte, also where it is no text (I8)."""
    assert decode(encode(Envelope.of(event)), Envelope).event == event


def test_an_envelope_that_is_text_stays_legible():
    """Only what is no text is base64."""
    assert Envelope.of(b'{"id":"x"}') == Envelope('{"id":"x"}', "utf-8")
    assert Envelope.of(b"\xff").encoding == "base64"
