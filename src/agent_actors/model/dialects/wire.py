"""Rewrites the responses of a model's server before openai's library reads them."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

import httpx2

from agent_actors.model.dialects import errors
from agent_actors.model.dialects.answer import Json, NotAnAnswer, error_in, whole
from agent_actors.model.dialects.events import LONGEST, chunks_in, parsed, too_long
from agent_actors.model.dialects.stream import Chunks, as_chunks, joined

FAILED = 520
"""The status of an error that came with status 200: the call may be charged, so it is not sent
again."""
LONGEST_STREAM = 8 * LONGEST
"""Bytes of a stream: its events have much more around a text than in it."""
PIECE = 64 * 1024
"""Bytes of a body that are read at once as events, before other turns have theirs."""
_REPLACED = ("content-length", "content-encoding", "content-type", "transfer-encoding")
_DONE = b"data: [DONE]\n\n"


async def rewrite(response: httpx2.Response, *, stream: bool) -> httpx2.Response:
    """The response of a chat completion, as OpenAI would have sent it.

    Args:
        response: The server's; its body has not been read.
        stream: Whether a stream was asked for.

    Raises:
        httpx2.HTTPError: The connection was lost.
        ModelFailed: The body is too long.
    """
    if 300 <= response.status_code < 400:
        await response.aclose()
        return _made(response, response.status_code, {})
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if response.is_success and stream and not kind.endswith("json"):
        return _made(response, response.status_code, _Events(response))
    read = await _read(response)
    body = parsed(read)
    if response.is_success and isinstance(body, str):
        found = [chunk async for chunk in _normalised(_pieces(read))]
        failed = next((chunk for chunk in found if chunk.get("error")), None)
        if stream and failed is None:
            return _made(response, response.status_code, _Events(response, found))
        body = failed or joined(found)
    status = _status(response.status_code, body)
    if status >= 400:
        wait = errors.wait_of(response.headers, body)
        given = response.headers.get("retry-after", "").strip()
        late = {} if wait is None or given else {"retry-after": wait}
        return _made(response, status, errors.rewritten(status, body), late)
    if stream:
        return _made(response, status, _Events(response, [*as_chunks(body)]))
    try:
        return _made(response, status, whole(body))
    except NotAnAnswer:
        return _made(response, status, {})


def _status(status: int, body: Any) -> int:
    """The status; that of an error in the body if the server sent it with 200."""
    first = body[0] if isinstance(body, list) and body else body
    if status >= 400 or (error := error_in(first)) is None:
        return status
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, int) and 400 <= code < 500 else FAILED


def _made(
    response: httpx2.Response,
    status: int,
    body: "Json | _Events",
    headers: dict[str, float] | None = None,
) -> httpx2.Response:
    replaced = {*_REPLACED, *(headers or ())}
    kept = [(name, value) for name, value in response.headers.items() if name not in replaced]
    kept += [(name, f"{value:g}") for name, value in (headers or {}).items()]
    streamed = isinstance(body, _Events)
    kept.append(("content-type", "text/event-stream" if streamed else "application/json"))
    return httpx2.Response(
        status,
        headers=kept,
        content=None if isinstance(body, _Events) else json.dumps(body).encode(),
        stream=body if isinstance(body, _Events) else None,
        request=response.request,
        extensions=response.extensions,
    )


class _Events(httpx2.AsyncByteStream):
    """The events of a stream, normalised; closing it closes the server's response.

    `ready` are chunks that take the place of the response's own.
    """

    def __init__(self, response: httpx2.Response, ready: list[Json] | None = None) -> None:
        self._response = response
        self._sent = self._events(ready)

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Bytes of server-sent events."""
        return self._sent

    async def _events(self, ready: list[Json] | None) -> AsyncGenerator[bytes, None]:
        if ready is not None:
            for chunk in ready:
                yield _event(chunk)
        else:
            parts = _bounded(self._response, LONGEST_STREAM)
            async with aclosing(_normalised(parts)) as chunks:
                async for chunk in chunks:
                    yield _event(chunk)
        yield _DONE

    async def aclose(self) -> None:
        """Closes the connection, or gives it back to the pool."""
        await self._sent.aclose()
        await self._response.aclose()


async def _read(response: httpx2.Response) -> bytes:
    """The body; the connection is given back, or closed if the rest of the body is not read."""
    try:
        return b"".join([part async for part in _bounded(response, LONGEST)])
    finally:
        await response.aclose()


async def _bounded(response: httpx2.Response, longest: int) -> AsyncGenerator[bytes, None]:
    size = 0
    async for part in response.aiter_bytes():
        size += len(part)
        if size > longest:
            raise too_long()
        yield part


async def _pieces(body: bytes) -> AsyncGenerator[bytes, None]:
    for start in range(0, len(body), PIECE):
        yield body[start : start + PIECE]
        await asyncio.sleep(0)  # noqa: TID251 - it waits for nothing


async def _normalised(parts: AsyncIterator[bytes]) -> AsyncGenerator[Json, None]:
    chunks = Chunks()
    async with aclosing(chunks_in(parts)) as found:
        async for chunk in found:
            for each in chunks.read(chunk):
                yield each
    for each in chunks.end():
        yield each


def _event(chunk: Json) -> bytes:
    if chunk.get("error"):
        error = chunk["error"]
        code = error.get("code") if isinstance(error, dict) else None
        chunk = errors.rewritten(code if isinstance(code, int) else 500, chunk)
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"
