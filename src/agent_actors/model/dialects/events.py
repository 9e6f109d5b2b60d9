"""The chunks in a response, by server-sent events or however else a server frames them."""

import json
import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

from agent_actors.errors import ModelFailed

LONGEST = 8 * 1024 * 1024
"""Bytes of an event, or of an answer that is no stream: several times the longest reply."""
DEEPEST = 100
"""Brackets inside each other; what walks through JSON later has as much stack as this takes."""
_BOM = b"\xef\xbb\xbf"
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?')


def too_long() -> ModelFailed:
    """The failure for an answer that is not read to its end."""
    return ModelFailed("The model's server sent too long an answer.", retry="no")


async def chunks_in(parts: AsyncIterator[bytes]) -> AsyncGenerator[Any, None]:
    """The JSON of each event up to `[DONE]`; an error where a part of the answer is unreadable.

    A whole JSON object that is no event is taken for one: it is an answer from a server that does
    not stream, or one of many, each in a line of its own.
    """
    async with aclosing(_data(parts)) as events:
        async for failed, data in events:
            if data.lstrip().startswith(b"[DONE]") and not failed:
                return
            chunk = parsed(data)
            if failed:
                yield _as_error(chunk)
            elif isinstance(chunk, str) and data.lstrip()[:1] in {b"{", b"["}:
                yield _as_error("a chunk is no JSON")
            else:
                yield chunk


def _as_error(chunk: Any) -> Any:
    """What an event named `error` says: an error, the inside of one, or text."""
    if isinstance(chunk, dict):
        return chunk if chunk.get("error") else {"error": {"message": "failed", **chunk}}
    return {"error": {"message": chunk if isinstance(chunk, str) else "failed"}}


def parsed(body: bytes) -> Any:
    """JSON, or the text that it is not; as text also what is nested too deeply to be read."""
    try:
        value = json.loads(body)
        if body.count(b"{") + body.count(b"[") > DEEPEST:
            _check_depth(value, DEEPEST)
    except (ValueError, RecursionError):
        return body.decode(errors="replace")
    return value


def _check_depth(value: Any, left: int) -> None:
    inner = value.values() if isinstance(value, dict) else value
    if isinstance(value, dict | list):
        if left == 0:
            raise ValueError("nested too deeply")
        for each in inner:
            _check_depth(each, left - 1)


async def _data(parts: AsyncIterator[bytes]) -> AsyncGenerator[tuple[bool, bytes], None]:
    """The data of each event, and whether the server has named one `error` by then.

    Some servers leave out the empty line after an event.
    """
    fields: list[bytes] = []
    bare: list[bytes] = []
    open_brackets = size = 0
    failed = False
    async with aclosing(_lines(parts)) as lines:
        async for line in lines:
            size = size + len(line) if fields or bare else len(line)
            if size > LONGEST:
                raise too_long()
            if bare or (not fields and line.lstrip()[:1] in {b"{", b"["}):
                bare.append(line)
                # Each line is read once: JSON has no line ends inside its strings.
                open_brackets += _nesting(line)
                if open_brackets <= 0:
                    yield failed, b"\n".join(bare)
                    bare, open_brackets = [], 0
                continue
            name, _, value = line.partition(b":")
            if fields and (not line or (name == b"data" and isinstance(parsed(fields[-1]), dict))):
                yield failed, b"\n".join(fields)
                fields = []
            if name == b"data":
                fields.append(value.removeprefix(b" "))
            failed = failed or (name == b"event" and value.strip() == b"error")
    if bare or fields:
        yield failed, b"\n".join(bare or fields)


def _nesting(line: bytes) -> int:
    """How many more brackets a line opens than it closes, without those in its strings."""
    outside = _STRING.sub(b"", line)
    opened = outside.count(b"{") + outside.count(b"[")
    return opened - outside.count(b"}") - outside.count(b"]")


async def _lines(parts: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """Lines end in CR, LF or both, and nowhere else (WHATWG HTML, 9.2.6); the first has no BOM."""
    rest, mark = bytearray(), _BOM
    async for part in parts:
        ends = rest.endswith(b"\r") or b"\n" in part or b"\r" in part
        rest += part
        if ends:
            *lines, last = bytes(rest).splitlines(keepends=True)
            # A CR at the end may be the first half of CR LF.
            if last.endswith(b"\n"):
                lines, last = [*lines, last], b""
            rest = bytearray(last)
            for line in lines:
                yield line.removeprefix(mark).rstrip(b"\r\n")
                mark = b""
        if len(rest) > LONGEST:
            raise too_long()
    if rest:
        yield bytes(rest).removeprefix(mark).rstrip(b"\r\n")
