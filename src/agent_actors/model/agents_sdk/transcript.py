"""A conversation in the SDK's form: what a run is given, and what it leaves behind."""

import json
import logging
from collections.abc import Sequence
from typing import Any, cast

from agents import SessionSettings
from agents.items import TResponseInputItem

from agent_actors.protocol.messages import Exchange

log = logging.getLogger(__name__)

Item = dict[str, Any]

KEPT_BYTES = 262_144
"""What a turn's items may have; above it the answer alone is kept."""
_KNOWN_ABOUT_ANY_MESSAGE = {"model", "response_id"}
"""Provider data that every message has, and no provider wants back."""


class BufferedSession:
    """The SDK's `Session` for one run, in memory: what a failed run leaves is kept nowhere.

    Args:
        conversation: Its id.
        window: The exchanges that the run is shown.
    """

    def __init__(self, conversation: str, window: Sequence[Exchange]) -> None:
        self.session_id = conversation
        self.session_settings: SessionSettings | None = None
        self._items = [item for exchange in window for item in recalled(exchange)]
        self._seeded = len(self._items)

    async def get_items(self, limit: int | None = None) -> list[TResponseInputItem]:
        """All of them, or the last ones."""
        items = self._items if limit is None else self._items[len(self._items) - limit :]
        return [cast(TResponseInputItem, dict(item)) for item in items]

    async def add_items(self, items: list[TResponseInputItem]) -> None:
        """Adds them at the end."""
        self._items += [cast(Item, item) for item in items]

    async def pop_item(self) -> TResponseInputItem | None:
        """Takes the last one that the run has added."""
        if len(self._items) == self._seeded:
            return None
        return cast(TResponseInputItem, self._items.pop())

    async def clear_session(self) -> None:
        """Takes all that the run has added."""
        del self._items[self._seeded :]

    def left(self) -> list[Item]:
        """What the run has added to the user's message."""
        added = self._items[self._seeded :]
        return added[1:] if added and added[0].get("role") == "user" else added


def kept(items: list[Item]) -> str:
    """The items as text that can be saved; empty where the answer is all there is to them."""
    # What a model thought is shown to it again only beside the tool calls that it led to.
    told = [item for item in items if item.get("type") != "reasoning"]
    if not told or (len(told) == 1 and _is_plain(told[0])):
        return ""
    text = json.dumps(items, ensure_ascii=False, separators=(",", ":"), default=str)
    data = text.encode(errors="replace")
    if len(data) > KEPT_BYTES:
        log.warning("the tool calls of a turn are not kept: they have %d bytes", len(data))
        return ""
    return data.decode()


def recalled(exchange: Exchange) -> list[Item]:
    """The items of an exchange; the plain pair where they cannot be used as they were saved."""
    said: Item = {"role": "user", "content": exchange.input.content}
    answered: Item = {"role": "assistant", "content": exchange.output.content}
    items = _parsed(exchange.items)
    if items is None:
        return [said, answered]
    # A run may end with a tool's result: that was the answer, then.
    return [said, *items] if items[-1]["type"] == "message" else [said, *items, answered]


def _parsed(text: str) -> list[Item] | None:
    if not text:
        return None
    try:
        items = json.loads(text)
    except (ValueError, RecursionError):
        items = None
    if isinstance(items, list) and _can_follow(items):
        return items
    log.warning("an exchange is recalled without its tool calls: they are not in a known form")
    return None


def _can_follow(items: list[Any]) -> bool:
    """Would every server take them? One that does not fails this and every later turn."""
    waiting: set[str] = set()
    seen: set[str] = set()
    for item in items:
        if not isinstance(item, dict) or not _is_known(item):
            return False
        call = item.get("call_id")
        if item["type"] == "function_call" and call not in seen:
            waiting.add(str(call))
            seen.add(str(call))
        elif item["type"] == "function_call_output" and call in waiting:
            waiting.remove(str(call))
        elif call is not None:
            return False
    return bool(items) and not waiting


def _is_known(item: Item) -> bool:
    match item:
        case {"type": "function_call", "call_id": str(call), "name": str(), "arguments": str()}:
            return bool(call)
        case {"type": "function_call_output", "call_id": str(), "output": str() | list()}:
            return True
        case {"type": "message", "role": "assistant", "id": str(), "content": list(parts)}:
            return all(_is_said(part) for part in parts)
        case {"type": "reasoning", "summary": list()}:
            return True
    return False


def _is_said(part: Any) -> bool:
    match part:
        case {"type": "output_text", "text": str()} | {"type": "refusal", "refusal": str()}:
            return True
    return False


def _is_plain(item: Item) -> bool:
    data = item.get("provider_data") or {}
    parts = item.get("content") or ()
    texts = item.get("type") == "message" and all(
        part.get("type") == "output_text" and not part.get("annotations") for part in parts
    )
    return texts and set(data) <= _KNOWN_ABOUT_ANY_MESSAGE
