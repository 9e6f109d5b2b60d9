"""Why a body cannot be read, and what to send instead, without repeating what was sent."""

from collections.abc import Mapping, Sequence
from typing import Any

_HEADER = "the header Content-Type: application/json"
_QUOTES = 'names and texts need double quotes (in a Windows shell, write each as \\")'
_EARLY = "it ends too early"
_COMMA = "the last member of an object or a list has no comma after it"

_BY_MESSAGE: Mapping[str, str] = {
    "Illegal trailing comma": _COMMA,
    "Extra data": "there is more after the end of the first value; send one object",
    "Unterminated string": "the text that begins there has no end",
    "Invalid control": "within a text, a line break is written \\n, a tab \\t",
    "Invalid \\u": "within a text, \\u needs four hexadecimal digits after it",
    "Invalid \\": "within a text, a backslash is written \\\\",
    "Expecting ':'": "a colon is missing after a name",
    "Expecting ','": 'a comma is missing, or a double quote within a text is not written \\"',
}
"""Reasons by how the messages of Python's parser begin."""
_BY_START: Sequence[tuple[tuple[str, ...], str]] = (
    (tuple("'`\u2018\u2019\u201c\u201d\u201e\u00ab"), _QUOTES),
    (("None", "True", "False", "undefined"), "the words are null, true and false"),
    (("//", "/*", "#"), "JSON has no comments"),
    ((",", "}", "]", ":"), "a value or a name is missing"),
)
"""Reasons by what stands where the parser expects a name or a value."""
_KINDS: Mapping[type, str] = {
    str: "a text",
    list: "a list",
    bool: "true or false",
    int: "a number",
    float: "a number",
}


def why_not_json(text: str, at: int, message: str) -> str:
    """Why the text is not JSON; the parser has stopped at a character, with a message."""
    rest = text[at:]
    if rest[:1] in {"}", "]"} and text[:at].rstrip().endswith(","):
        return _COMMA  # The parser says so from Python 3.13 on.
    if not rest.strip():
        return _EARLY if text.strip() else "there is only white space"
    for beginning, reason in _BY_MESSAGE.items():
        if message.startswith(beginning):
            return reason
    for beginnings, reason in _BY_START:
        if rest.startswith(beginnings):
            return reason
    return _QUOTES if text[:at].strip() else "it has to begin with {"


def why_no_object(body: Any, content_type: str) -> str:
    """Why the body is not an object: `body` is what was parsed, or bytes if it was not JSON."""
    if body is None or body == b"":
        return f"the body is empty or null: send a JSON object, with {_HEADER}"
    if isinstance(body, bytes):
        if "form" in content_type:
            return f"this is sent as a form, as curl -d does without a header: send {_HEADER}"
        missing = "" if content_type else "the Content-Type is missing: "
        return f"{missing}send {_HEADER}"
    if isinstance(body, str) and body.lstrip().startswith("{"):
        return "this is JSON within a text: encode it once only"
    return f"this is {_KINDS.get(type(body), 'something else')}: send a JSON object"
