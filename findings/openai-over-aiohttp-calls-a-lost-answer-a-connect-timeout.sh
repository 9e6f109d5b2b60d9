#!/usr/bin/env bash
# openai 3.54.0 with its aiohttp transport: a connection that is lost after the request was received is
# reported as a timeout while connecting. Code that repeats what "was never sent" pays twice: the
# server below has read the whole request both times. Over httpx2 the same loss is a ReadError or a
# RemoteProtocolError.
#
# Seen:
#   aiohttp: ConnectTimeout, the server had the request: True
#   httpx2: RemoteProtocolError, the server had the request: True
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check 'openai[aiohttp]==3.54.0'
cat > "$work/seen.py" <<'PY'
import asyncio

from openai import APIConnectionError, AsyncOpenAI, DefaultAioHttpClient, DefaultAsyncHttpx2Client

received: list[bytes] = []


async def lose(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Reads a whole request, and hangs up."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
    )
    received.append(await reader.readexactly(length))
    writer.close()


async def main() -> None:
    server = await asyncio.start_server(lose, "127.0.0.1", 21873)
    for name, http in (("aiohttp", DefaultAioHttpClient()), ("httpx2", DefaultAsyncHttpx2Client())):
        received.clear()
        async with AsyncOpenAI(
            api_key="none", base_url="http://127.0.0.1:21873/v1", http_client=http, max_retries=0
        ) as client:
            try:
                await client.chat.completions.create(
                    model="m", messages=[{"role": "user", "content": "Hi"}]
                )
            except APIConnectionError as error:
                cause = type(error.__cause__).__name__
                print(f"{name}: {cause}, the server had the request: {b'Hi' in received[0]}")
    server.close()


asyncio.run(main())
PY
"$work/venv/bin/python" "$work/seen.py" | tee "$work/seen"
diff "$work/seen" - <<'SEEN'
aiohttp: ConnectTimeout, the server had the request: True
httpx2: RemoteProtocolError, the server had the request: True
SEEN
