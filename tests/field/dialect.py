"""Answers as servers write them: any JSON, whole or streamed, in pieces of any size."""

import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx2

Json = dict[str, Any]
USAGE = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}


class Pieces(httpx2.AsyncByteStream):
    """A body that arrives in pieces of `size` bytes; cut off after `until` bytes, if given."""

    def __init__(self, body: bytes, size: int = 0, until: int | None = None) -> None:
        self._body = body if until is None else body[:until]
        self._size = size or len(body) or 1
        self._lost = until is not None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self._body), self._size):
            yield self._body[start : start + self._size]
        if self._lost:
            raise httpx2.RemoteProtocolError("the connection was lost")


def whole(message: Any, finish: Any = "stop", **more: Any) -> httpx2.Response:
    """A whole answer with this message."""
    choice = {"index": 0, "message": message, "finish_reason": finish}
    body = json.dumps({"id": "r", "choices": [choice], "usage": USAGE, **more})
    return httpx2.Response(200, text=body, headers={"content-type": "application/json"})


def events(data: Sequence[str], end: str = "\n\n") -> bytes:
    """Server-sent events."""
    return "".join(f"data: {each}{end}" for each in data).encode()


def stream(body: bytes, size: int = 0, kind: str = "text/event-stream") -> httpx2.Response:
    """A streamed answer with this body."""
    return httpx2.Response(200, headers={"content-type": kind}, stream=Pieces(body, size))


def chunks(*deltas: Any, finish: Any = "stop") -> list[str]:
    """The data of a stream: one event for each delta, the end, the usage."""
    sent: list[Json] = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    if finish is not None:
        sent.append({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    return [*(json.dumps(each) for each in [*sent, {"choices": [], "usage": USAGE}]), "[DONE]"]


def streamed(*deltas: Any, finish: Any = "stop", size: int = 0) -> httpx2.Response:
    """A streamed answer with these deltas."""
    return stream(events(chunks(*deltas, finish=finish)), size)


def call(name: str, arguments: Any, **more: Any) -> Json:
    """A tool call."""
    return {"type": "function", "function": {"name": name, "arguments": arguments}, **more}


def error(status: int, body: Any, **headers: str) -> httpx2.Response:
    """An error with this body, JSON or text."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if isinstance(body, str):
        return httpx2.Response(status, text=body, headers=named)
    return httpx2.Response(status, json=body, headers=named)
