"""Ids, keys and names."""

import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_actors.errors import Blank, Invalid, TooLarge
from agent_actors.protocol import ids, interfaces, wire
from agent_actors.protocol.messages import Message, check_message


@pytest.mark.parametrize(
    "text", ["a", "7", "ada", "a.b:c@d~e_f-g", "user@example.com", "sessions:1", "x" * 128]
)
def test_an_id_of_the_form_is_itself(text: str):
    """What neither daprd nor a URL alters may be used."""
    assert ids.actor_id(text) == text


@pytest.mark.parametrize(
    "text",
    ["", "-a", ".", "..", "a/../b", "a b", "+1555", "a+b", "a%2Fb", "ä", "a\n", "a\x00", "x" * 129,
     "session:1", "session:", "a||b", "a\\b", "_a", "~a"],
)  # fmt: skip
def test_any_other_id_is_refused(text: str):
    """Ids that a sidecar alters, or that name sessions, are 422."""
    with pytest.raises(Invalid):
        ids.actor_id(text)


some_ids = st.from_regex(ids.ID_FORM, fullmatch=True)


@given(some_ids, some_ids)
def test_helpers_of_two_ids_are_two(first: str, second: str):
    """No id names another's helper, and a helper's conversation is found again."""
    assert ids.conversation_of(ids.response_id(first)) == first
    assert (ids.response_id(first) == ids.response_id(second)) == (first == second)
    assert (ids.memory_id(first) == ids.memory_id(second)) == (first == second)


@pytest.mark.parametrize("text", ["", " ", "\n\t ", "\u2003"])
def test_a_blank_message_is_refused(text: str):
    """White space says nothing."""
    with pytest.raises(Blank):
        check_message(Message("user", text), 100)


def test_half_a_character_is_refused():
    """JSON can write a lone surrogate; no text has one."""
    with pytest.raises(Invalid):
        check_message(Message("user", "half \ud83d"), 100)


def test_the_limit_is_in_bytes():
    """A snowman is three bytes."""
    check_message(Message("user", "☃" * 3), 9)

    with pytest.raises(TooLarge):
        check_message(Message("user", "☃" * 3), 8)


@pytest.mark.parametrize("key", ["a", "k" * 255, "!~#", "Ü".encode().hex()])
def test_a_key_is_stored_as_a_hash(key: str):
    """Thirty-two hex digits, and nothing of the key."""
    hashed = ids.key_hash(key)

    assert len(hashed) == 32
    assert int(hashed, 16) >= 0
    assert key not in hashed or len(key) < 3


@pytest.mark.parametrize("key", ["", "a b", "k" * 256, "ü", "a\n", "\x7f"])
def test_a_key_of_another_form_is_refused(key: str):
    """Only visible ASCII, at most 255 of it."""
    with pytest.raises(Invalid):
        ids.key_hash(key)


def test_the_turn_of_a_key_is_the_same_again():
    """Conversation, key and body make the id, and each of them makes it another."""
    same: Any = ids.turn_id("ada", "k", "b")

    assert ids.turn_id("ada", "k", "b") == same
    assert uuid.UUID(same).version == 5
    others = {
        ids.turn_id("bob", "k", "b"),
        ids.turn_id("ada", "l", "b"),
        ids.turn_id("ada", "k", "c"),
        ids.turn_id("adak", "", "b"),
    }
    assert len(others | {same}) == 5


def test_a_body_is_compared_by_its_values():
    """Two spellings of one message are one body; another message is another."""
    assert ids.body_hash(Message("user", "a")) == ids.body_hash(Message("user", "a"))
    assert ids.body_hash(Message("user", "a")) != ids.body_hash(Message("user", "b"))


def test_an_event_has_one_id():
    """It is the same each time it is published, and another one for another turn."""
    assert ids.event_id("ada", 1) == ids.event_id("ada", 1)
    assert len({ids.event_id("ada", 1), ids.event_id("ada", 2),
                ids.event_id("ada1", 1)}) == 3  # fmt: skip


def test_wire_names_are_those_of_the_lesson():
    """Callers of Dapr's actor API find the methods they know."""
    names = {
        method.__actormethod__
        for interface in (
            interfaces.ChatAgentInterface,
            interfaces.ResponseAgentInterface,
            interfaces.MemoryAgentInterface,
        )
        for method in vars(interface).values()
        if hasattr(method, "__actormethod__")
    }

    assert {"ProcessMessage", "GetConversationHistory", "GetMessageCount"} <= names
    assert {"UpdateMemory", "GetMemory"} <= names
    assert (wire.CHAT, wire.RESPONSE) == ("ChatAgent", "ResponseAgent")
    assert wire.MEMORY == "MemoryAgentActor"
