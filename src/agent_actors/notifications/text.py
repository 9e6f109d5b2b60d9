"""What an SMS says."""

import re
import unicodedata

LENGTH = 160
"""Characters of an SMS."""
_JOINER = "\u200d"
_VIRAMA = 9
_HANGUL = re.compile("[\u1100-\u11ff\ua960-\ua97c\uac00-\ud7fb]")


def notification(name: str, said: str, answered: str) -> str:
    """The text that tells of a turn.

    Args:
        name: Of the conversation.
        said: By the user.
        answered: By the assistant.
    """
    return cut(f"New message from {name}: {said} -> {answered}")


def cut(text: str, length: int = LENGTH) -> str:
    """The text, or its beginning of at most that many code points.

    It ends between two characters as a reader sees them: accents, emoji of several parts and flags
    are kept whole or left out. A library would know the last exotic case; these are the rules of
    UAX #29 that a chat meets, each taken rather too far than not far enough.
    """
    if len(text) <= length:
        return text
    end = length
    while end and _belongs(text, end):
        end -= 1
    return text[: end or length]


def _belongs(text: str, at: int) -> bool:
    """Is what is at `at` a part of the character before it?"""
    before, after = text[at - 1], text[at]
    if _flag(before) and _flag(after):
        letters = 1
        while letters < at and _flag(text[at - 1 - letters]):
            letters += 1
        return letters % 2 == 1
    return (
        _continues(after)
        or before == _JOINER
        or (before == "\r" and after == "\n")
        or (unicodedata.combining(before) == _VIRAMA and after.isalpha())
        or bool(_HANGUL.match(before) and _HANGUL.match(after) and not _syllable(after))
    )


def _continues(character: str) -> bool:
    """Marks, joiners, tags and the colours of skin."""
    return (
        unicodedata.category(character) in {"Mn", "Mc", "Me"}
        or character in {_JOINER, "\u200c"}
        or "\U0001f3fb" <= character <= "\U0001f3ff"
        or "\U000e0020" <= character <= "\U000e007f"
    )


def _flag(character: str) -> bool:
    """Is it one of the letters that flags are made of, two at a time?"""
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def _syllable(character: str) -> bool:
    """Is it a Korean syllable of its own, or the consonant that begins one?"""
    return "\uac00" <= character <= "\ud7a3" or "\u1100" <= character <= "\u115f"
