"""What a vendor wants back with the tool calls of its model, and what it means only to itself.

The SDK (openai-agents 0.24, `models/chatcmpl_converter.py`) keeps one such value with a tool call,
Gemini's `thought_signature`. Whatever else there is takes its place: `with_call` puts it there, and
`of_call` finds it when the conversation goes back.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from agent_actors.model.dialects.text import mended

Json = dict[str, Any]

OF_CALL = ("extra_content", "provider_specific_fields")
"""Members of a tool call: Gemini, Vertex and their gateways; LiteLLM."""
OF_MESSAGE = ("reasoning_details", "thinking_blocks")
"""Lists beside the tool calls: OpenRouter and MiniMax; LiteLLM for Claude."""
_TEXTS = ("text", "summary", "thinking")


def own(given: Mapping[str, Any], names: Iterable[str]) -> Json:
    """Those members that have something in them."""
    found = {name: given.get(name) for name in names}
    return {
        name: mended(value)
        for name, value in found.items()
        if isinstance(value, dict | list) and value
    }


def with_call(call: Json, beside: Json) -> Json:
    """The `extra_content` of a call with these members, and with those of its message.

    Gemini's signature alone stays what it is; without any members it is empty.
    """
    if not call and not beside:
        return {}
    match call:
        case {"extra_content": {"google": {"thought_signature": _, **more}, **others}, **rest}:
            if not (more or others or rest or beside):
                return dict(call["extra_content"])
    return {"google": {"thought_signature": {"call": call, "message": beside}}}


def of_call(signature: Any) -> tuple[Json, Json]:
    """The members of a call and of its message, from what the SDK has kept as signature."""
    match signature:
        case {"call": dict(call), "message": dict(message)}:
            return own(call, OF_CALL), own(message, OF_MESSAGE)
    return {"extra_content": {"google": {"thought_signature": signature}}}, {}


def joined(pieces: Iterable[Any]) -> list[Any]:
    """A list of `OF_MESSAGE` whose entries came in pieces.

    Pieces of one type that follow each other are one entry, until it is signed. Their `index` does
    not tell: OpenRouter numbers all of them 0.
    """
    made: list[Any] = []
    for piece in pieces:
        last = made[-1] if made else None
        if not (isinstance(piece, dict) and isinstance(last, dict) and _continues(last, piece)):
            made.append(dict(piece) if isinstance(piece, dict) else piece)
            continue
        for name, value in piece.items():
            if name in _TEXTS and isinstance(value, str):
                last[name] = (last.get(name) or "") + value
            elif value is not None:
                last[name] = value
    return made


def _continues(last: Json, piece: Json) -> bool:
    """Whether a piece is more of the last entry: of its text, or its signature."""
    texts = [each[name] for each in (last, piece) for name in _TEXTS if each.get(name) is not None]
    same = all(
        piece.get(name) is None or piece[name] == last.get(name, piece[name])
        for name in ("id", "index")
    )
    return (
        same
        and last.get("type") == piece.get("type")
        and any(name in last for name in _TEXTS)
        and not last.get("signature")
        and all(isinstance(text, str) for text in texts)
        and any(name in piece for name in (*_TEXTS, "signature"))
    )
