"""The text of an SMS, and the form of phone numbers."""

import pytest

from agent_actors.forms.phone_number import ending, is_number
from agent_actors.notifications.text import LENGTH, cut, notification


@pytest.mark.parametrize("number", ["+14155550123", "+12345678", "+123456789012345"])
def test_a_number_is_of_the_form_e164(number: str):
    """A plus, and 8 to 15 digits."""
    assert is_number(number)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "+",
        "14155550123",
        "+1234567",
        "+1234567890123456",
        "+04155550123",
        "+1 415 555 0123",
        "+14155550123 ",
        "+14155550123\n",
        "+" + "\uff11" * 11,
        "++14155550123",
        "tel:+14155550123",
    ],
)
def test_anything_else_is_no_number(text: str):
    """Neither too short nor too long, nor written in another way."""
    assert not is_number(text)


def test_of_a_number_the_last_digits_are_kept():
    """Three of them."""
    assert ending("+14155550123") == "123"


def test_a_notification_says_who_and_what():
    """The words are those of the lesson."""
    assert notification("user1", "Hi", "Hello") == "New message from user1: Hi -> Hello"


def test_a_notification_is_no_longer_than_an_sms():
    """A longer text loses its end."""
    text = notification("user1", "x" * 500, "never seen")

    assert text == ("New message from user1: " + "x" * 500)[:LENGTH]
    assert notification("a" * 128, "said", "answered").startswith("New message from aaa")
    assert len(notification("a" * 128, "said", "answered")) == LENGTH


WHOLE = {
    "an accent": "e\u0301",
    "many accents": "a\u0300\u0301\u0302",
    "a family": "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "a presentation": "\u2764\ufe0f",
    "a key": "1\ufe0f\u20e3",
    "a vowel sign": "\u0915\u093f",
}


@pytest.mark.parametrize("name", WHOLE)
def test_marks_and_joined_emoji_are_kept_whole_or_left_out(name: str):
    """Wherever the cut falls in them."""
    character = WHOLE[name]
    for before in range(1, len(character) + 1):
        text = "x" * (10 - before) + character + "yz"
        kept = cut(text, 10)

        assert kept == (text[:10] if before == len(character) else "x" * (10 - before))


def test_a_character_that_is_too_long_is_cut_all_the_same():
    """With marks only, there is no better place for the cut."""
    assert cut("e" + "\u0301" * 500, 160) == "e" + "\u0301" * 159


def test_a_short_text_is_not_changed():
    """Even if it ends in the middle of a character."""
    for text in ("", "x" * LENGTH, "\u200d", "\u0301" * LENGTH, "\U0001f1e9"):
        assert cut(text) == text


def test_every_cut_is_a_beginning_that_utf8_can_encode():
    """At every length of a mixture of characters."""
    text = "".join(WHOLE.values()) * 2
    for length in range(1, len(text)):
        kept = cut(text, length)

        assert text.startswith(kept)
        assert 0 < len(kept) <= length
        assert kept.encode()
