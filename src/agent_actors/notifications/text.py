"""The text of an SMS."""

import unicodedata

LENGTH = 160
"""The code points of an SMS."""
_JOINER = "\u200d"


def notification(conversation: str, message: str, reply: str) -> str:
    """The text that notifies a user of a turn in a conversation."""
    return cut(f"New message from {conversation}: {message} -> {reply}")


def cut(text: str, length: int = LENGTH) -> str:
    """The text, or its beginning of at most that many code points.

    The cut is never before a combining mark or beside a zero-width joiner, so accents and joined
    emoji are kept whole or left out. Other sequences, such as flags, may be split.
    """
    end = length
    while 0 < end < len(text) and (
        unicodedata.category(text[end]).startswith("M") or _JOINER in text[end - 1 : end + 1]
    ):
        end -= 1
    return text[: end or length]
