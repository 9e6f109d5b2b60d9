"""The chunks in a response, by server-sent events or however else a server frames them."""

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

_BOM = b"\xef\xbb\xbf"


async def chunks_in(parts: AsyncIterator[bytes]) -> AsyncGenerator[Any, None]:
    """The JSON of each event up to `[DONE]`; an error where a part of the answer is unreadable.

    A whole JSON object that is no event is taken for one: it is an answer from a server that does
    not stream, or one of many, each in a line of its own.
    """
    async with aclosing(_data(parts)) as events:
        async for data in events:
            if data.startswith(b"[DONE]"):
                return
            chunk = parsed(data)
            broken = isinstance(chunk, str) and data.lstrip()[:1] in {b"{", b"["}
            yield {"error": {"message": "a chunk is no JSON"}} if broken else chunk


def parsed(body: bytes) -> Any:
    """JSON, or the text that it is not."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return body.decode(errors="replace")


async def _data(parts: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """The data of each event. Some servers leave out the empty line after it."""
    fields: list[bytes] = []
    bare = b""
    async with aclosing(_lines(parts)) as lines:
        async for line in lines:
            if bare or (not fields and line.lstrip()[:1] in {b"{", b"["}):
                bare += line + b"\n"
                if line.rstrip()[-1:] in {b"}", b"]"} and not isinstance(parsed(bare), str):
                    yield bare
                    bare = b""
                continue
            name, _, value = line.partition(b":")
            if fields and (not line or (name == b"data" and isinstance(parsed(fields[-1]), dict))):
                yield b"\n".join(fields)
                fields = []
            if name == b"data":
                fields.append(value.removeprefix(b" "))
    if bare:
        yield bare
    if fields:
        yield b"\n".join(fields)


async def _lines(parts: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """Lines end in CR, LF or both, and nowhere else (WHATWG HTML, 9.2.6); the first has no BOM."""
    rest, mark = b"", _BOM
    async for part in parts:
        # A CR at the end may be the first half of CR LF.
        *lines, rest = (rest + part).splitlines(keepends=True) or [b""]
        if rest.endswith(b"\n"):
            lines, rest = [*lines, rest], b""
        for line in lines:
            yield line.removeprefix(mark).rstrip(b"\r\n")
            mark = b""
    if rest:
        yield rest.removeprefix(mark).rstrip(b"\r\n")
