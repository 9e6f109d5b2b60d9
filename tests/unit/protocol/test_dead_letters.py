"""What every place for dead letters agrees on."""

import json
from base64 import b64encode

import pytest

from agent_actors.protocol import dead_letters


def test_one_event_of_one_topic_has_one_id():
    """The CloudEvent's id names it, whatever else is in the envelope."""
    again = json.dumps({"id": "x", "traceparent": "other"}).encode()

    assert dead_letters.id_of("news", b'{"id":"x"}') == dead_letters.id_of("news", again)
    assert dead_letters.id_of("news", b'{"id":"x"}') != dead_letters.id_of("news", b'{"id":"y"}')
    assert dead_letters.id_of("news", b'{"id":"x"}') != dead_letters.id_of("plain", b'{"id":"x"}')


@pytest.mark.parametrize("event", [b"{", b"[1]", b"{}", b'{"id":""}', b"\xff", b""])
def test_what_has_no_id_is_named_by_its_bytes(event: bytes):
    """Also what is no envelope is one letter."""
    assert dead_letters.id_of("news", event) == dead_letters.id_of("news", event)
    assert dead_letters.id_of("news", event) != dead_letters.id_of("news", event + b" ")


def test_an_id_is_told_from_other_text():
    """Only what could be an id becomes part of a key."""
    assert dead_letters.is_id(dead_letters.id_of("news", b"{}"))
    for text in ("", "nothing", "..", dead_letters.id_of("news", b"{}").upper(), "a||b"):
        assert not dead_letters.is_id(text)


@pytest.mark.parametrize(
    ("event", "shown"), [(b'{"id":"x"}', {"id": "x"}), (b"{", "{"), (b"\xff", "\ufffd")]
)
def test_a_letter_is_shown_with_its_event(event: bytes, shown: object):
    """As JSON where it is JSON, else as text; the time as RFC 3339."""
    letter = dead_letters.shown("id", "news", "why", 3, 1_767_225_600.0, event)

    assert (letter.id, letter.topic, letter.reason, letter.tries) == ("id", "news", "why", 3)
    assert letter.at == "2026-01-01T00:00:00Z"
    assert letter.event == shown


@pytest.mark.parametrize(
    ("event", "about"),
    [
        ({"id": "x", "data": {"user_id": "ada"}}, True),
        ({"id": "x", "data": {"user_id": None, "actor_id": "ada"}}, True),
        ({"id": "x", "data": '{"user_id": "ada"}'}, True),
        ({"id": "x", "data": {"specversion": "1.0", "data": {"user_id": "ada"}}}, True),
        ({"id": "x", "data_base64": b64encode(b'{"user_id": "ada"}').decode()}, True),
        ({"id": "x", "data": {"data_base64": b64encode(b'{"actor_id":"ada"}').decode()}}, True),
        ({"id": "x", "data_base64": "ada"}, False),
        ({"user_id": "ada"}, True),
        ({"id": "x", "data": {"user_id": "ada2"}}, False),
        ({"id": "ada", "data": "ada"}, False),
        ("ada", False),
        (None, False),
    ],
)
def test_a_letter_is_about_the_user_it_names(event: object, about: bool):
    """By either name that an event can give its user, wrapped once, twice or not at all."""
    assert dead_letters.is_about(event, "ada") is about
