"""A conversation as the SDK's items: what a run gets, and what it adds."""

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
"""Most bytes of a turn's items; above it only the answer is kept."""
_COMMON_DATA = {"model", "response_id"}
"""Provider data that every message has and no provider needs back."""


class BufferedSession:
    """The SDK's `Session` for one run, in memory: a failed run leaves nothing behind."""

    def __init__(self, conversation: str, window: Sequence[Exchange]) -> None:
        self.session_id = conversation
        self.session_settings: SessionSettings | None = None
        self._items = [item for exchange in window for item in items_of(exchange)]
        self._seeded = len(self._items)

    async def get_items(self, limit: int | None = None) -> list[TResponseInputItem]:
        """All items, or the last ones."""
        items = self._items if limit is None else self._items[len(self._items) - limit :]
        return [cast(TResponseInputItem, dict(item)) for item in items]

    async def add_items(self, items: list[TResponseInputItem]) -> None:
        """Appends items."""
        self._items += [cast(Item, item) for item in items]

    async def pop_item(self) -> TResponseInputItem | None:
        """Removes and returns the last item that the run has added."""
        if len(self._items) == self._seeded:
            return None
        return cast(TResponseInputItem, self._items.pop())

    async def clear_session(self) -> None:
        """Removes all items that the run has added."""
        del self._items[self._seeded :]

    def added(self) -> list[Item]:
        """The items that the run has added after the user's message."""
        added = self._items[self._seeded :]
        return added[1:] if added and added[0].get("role") == "user" else added


def dump(items: list[Item]) -> str:
    """The items as text to be saved; empty if they are the plain answer alone."""
    # Reasoning is worth keeping only beside the tool calls that it led to.
    lasting = [item for item in items if item.get("type") != "reasoning"]
    if not lasting or (len(lasting) == 1 and _is_plain(lasting[0])):
        return ""
    text = json.dumps(items, ensure_ascii=False, separators=(",", ":"), default=str)
    data = text.encode(errors="replace")
    if len(data) > KEPT_BYTES:
        log.warning("the tool calls of a turn are not kept: %d bytes are too many", len(data))
        return ""
    return data.decode()


def items_of(exchange: Exchange) -> list[Item]:
    """The items of an exchange; only message and answer if its saved items cannot be used."""
    question: Item = {"role": "user", "content": exchange.input.content}
    answer: Item = {"role": "assistant", "content": exchange.output.content}
    items = _parsed(exchange.items)
    if items is None:
        return [question, answer]
    if items[-1]["type"] == "message":
        return [question, *items]
    return [question, *items, answer]  # The run ended with a tool's result as its answer.


def _parsed(text: str) -> list[Item] | None:
    if not text:
        return None
    try:
        items = json.loads(text)
    except (ValueError, RecursionError):
        items = None
    if isinstance(items, list) and _can_follow(items):
        return items
    log.warning("an exchange is used without its tool calls: their form is unknown")
    return None


def _can_follow(items: list[Any]) -> bool:
    """Whether every server accepts the items; else this and every later turn would fail."""
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
            return all(_is_text(part) for part in parts)
        case {"type": "reasoning", "summary": list()}:
            return True
    return False


def _is_text(part: Any) -> bool:
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
    return texts and set(data) <= _COMMON_DATA
