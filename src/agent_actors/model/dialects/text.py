"""Text of an answer: parts of several kinds, reasoning in tags, and half characters."""

import re
from collections.abc import Iterator
from string import ascii_lowercase, ascii_uppercase
from typing import Any

_TAGS = ("think", "thinking", "thought", "reasoning", "seed:think")
_NAMES = (*(f"<{tag}" for tag in _TAGS), "[think")
_OPEN = re.compile(rf"(?:<({'|'.join(_TAGS)})(?:\s[^<>]{{0,99}})?>)|\[think\]", re.IGNORECASE)
_OPENING = re.compile(rf"(?:<(?:{'|'.join(_TAGS)})(?:\s[^<>]{{0,99}})?|\[think)\Z", re.IGNORECASE)
_BLANK = re.compile("[\\s\ufeff\u200b]*")
_UNOPENED = re.compile(
    r"\A(?:(?!<think).)*?^</(?:think|thinking|seed:think)>[ \t]*$\s*",
    re.DOTALL | re.MULTILINE | re.IGNORECASE,
)
_LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)
_SURROGATE = re.compile("[\ud800-\udfff]")


def mended(value: Any) -> Any:
    """A JSON value whose strings can be encoded: halves of a surrogate pair become U+FFFD."""
    if isinstance(value, str):
        if _SURROGATE.search(value) is None:
            return value
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [mended(each) for each in value]
    if isinstance(value, dict):
        return {mended(key): mended(each) for key, each in value.items()}
    return value


def content_of(content: Any) -> tuple[str, str, str]:
    """The text, reasoning and refusal of `content`: a string, parts, or nothing."""
    if isinstance(content, str):
        return content, "", ""
    if isinstance(content, dict):
        content = [content]
    text, reasoning, refusal = "", "", ""
    for part in content if isinstance(content, list) else ():
        match part:
            case str():
                text += part
            case {"type": "refusal"}:
                refusal += _text(part.get("refusal"))
            case {"type": "thinking" | "reasoning"}:
                # Mistral puts parts into its part.
                inner = part.get("thinking", part.get("reasoning", part.get("text")))
                reasoning += "".join(content_of(inner)[:2])
            case {"text": given}:
                text += _text(given)
    return text, reasoning, refusal


def _text(value: Any) -> str:
    """A part's text; Azure's agents put it into an object."""
    if isinstance(value, dict):
        value = value.get("value", value.get("text"))
    return value if isinstance(value, str) else ""


def without_reasoning(text: str) -> tuple[str, str]:
    """An answer's text and its reasoning, if it begins with reasoning in tags.

    Reasoning is text in `<think>…</think>` (or a tag of its kind) before everything else. Tags in
    the rest are text: an answer may be about them.
    """
    tags = TagFilter()
    shown, reasoning = "", ""
    for kind, part in (*tags.feed(text), *tags.end()):
        if kind == "text":
            shown += part
        else:
            reasoning += part
    return shown, reasoning.strip()


def without_unopened(text: str) -> str:
    """An answer without reasoning whose opening tag the server has put into the prompt.

    Templates of Qwen and DeepSeek do. The closing tag must have a line of its own. Only the whole
    text shows it, so a stream has ended before this is asked.
    """
    return _UNOPENED.sub("", text, count=1)


class TagFilter:
    """Separates leading reasoning from text while it streams.

    A text that could still become an opening or a closing tag is held back.
    """

    def __init__(self) -> None:
        self._held = ""
        self._close = ""
        self._begun = self._reasoned = False

    def feed(self, text: str) -> Iterator[tuple[str, str]]:
        """Pieces of `reasoning` and of `text`."""
        self._held += text
        while self._held and (self._begun or self._advance()):
            if self._begun:
                yield "text", self._held
                self._held = ""
            elif piece := self._reasoning():
                yield "reasoning", piece

    def _advance(self) -> bool:
        """Decides whether reasoning or text comes; false if that takes more text."""
        if self._close:
            return self._overlap() < len(self._held)
        start = _BLANK.sub("", self._held, count=1)
        opened = _OPEN.match(start)
        if opened is not None:
            self._close = f"</{opened[1].lower()}>" if opened[1] else "[/think]"
            self._held = start[opened.end() :]
        elif _OPENING.match(start) or any(name.startswith(start.lower()) for name in _NAMES):
            return False
        else:
            self._begun = True
            self._held = start if self._reasoned else self._held
        return True

    def _reasoning(self) -> str:
        """Takes the reasoning that is held; after its end another block may follow."""
        inside = self._held
        at = _lower(inside).find(self._close)
        if at >= 0:
            self._held, self._reasoned = inside[at + len(self._close) :], True
            self._close = ""
            return inside[:at]
        kept = self._overlap()
        self._held = inside[len(inside) - kept :]
        return inside[: len(inside) - kept]

    def _overlap(self) -> int:
        """How many characters at the end of the held text may begin the closing tag."""
        longest = min(len(self._held), len(self._close) - 1)
        ends = (n for n in range(longest, 0, -1) if _lower(self._held[-n:]) == self._close[:n])
        return next(ends, 0)

    def end(self) -> Iterator[tuple[str, str]]:
        """What was held back: of a tag that never came, or of reasoning that never ended."""
        held, self._held = self._held, ""
        if held:
            yield ("reasoning" if self._close else "text"), held


def _lower(text: str) -> str:
    """The text with ASCII letters in lower case, of the same length."""
    return text.translate(_LOWER)


class Surrogates:
    """Joins halves of a surrogate pair that a server sends in two chunks."""

    def __init__(self) -> None:
        self._half = ""

    def feed(self, text: str) -> str:
        """The text that is whole so far."""
        text = self._half + text
        self._half = text[-1] if text and "\ud800" <= text[-1] <= "\udbff" else ""
        whole: str = mended(text[: len(text) - len(self._half)])
        return whole

    def end(self) -> str:
        """U+FFFD for a half that is left."""
        half, self._half = self._half, ""
        return "\ufffd" if half else ""
