"""Replaces kube-proxy: `ADDRESS:PORT=PORT …` forwards connections to a Service to a local port."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
READY = "forwarding"
"""The line that it prints when it is ready."""

_CHUNK = 65_536


async def main(routes: list[str]) -> None:
    """Forwards until the process is stopped."""
    for route in routes:
        service, _, port = route.partition("=")
        address, _, listened = service.rpartition(":")
        await asyncio.start_server(_to(int(port)), address, int(listened))
    sys.stdout.write(f"{READY}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


def _to(port: int) -> Handler:
    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            answers, asked = await asyncio.open_connection("127.0.0.1", port)
        except OSError:  # Nobody serves: the caller sees the connection close.
            writer.close()
            return
        await asyncio.gather(_pipe(reader, asked), _pipe(answers, writer))

    return forward


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
    writer.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
