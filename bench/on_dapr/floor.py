"""The floor on Dapr: the exchanges of a three-actor turn with the sidecar, and no more.

Run as `python -m bench.on_dapr.floor --port PORT`. No framework, no SDK, no validation, no
protocol: raw ASGI, and aiohttp's pool with the options that the service gives it. One turn is

- 4 actor calls: chat (about 230 bytes), response (a header and the last 8 pairs: 4.0 KB), memory's
  read (answered with its 3 entries: 0.8 KB), memory's update (0.5 KB);
- 3 saves: chat (the last 8 pairs and what the outcome records take, 120 bytes a turn up to the
  32nd: 7.5 KB), response (a number), memory (its entries: 1 KB);
- 1 publish (1.3 KB) and 1 delivery.

Those are the service's own sizes with the message of this benchmark, also in the first turns of a
conversation. The service makes one save fewer: its response actor stores nothing.
"""

import json
import sys
from collections import defaultdict, deque
from functools import lru_cache

import aiohttp
from starlette.types import Receive, Scope, Send
from yarl import URL

from agent_actors.settings import read
from bench.serve import serve

CONFIG = {
    "entities": ["FloorChat", "FloorResponse", "FloorMemory"],
    "actorIdleTimeout": "60s",
    "drainOngoingCallTimeout": "7s",
    "drainRebalancedActors": True,
}
WINDOW = 8
ENTRIES = 3
ANSWER = b"x" * 340
"""The part of the reply that repeats memory."""
IDS = b"x" * 150
"""Ids, hashes and times of a turn."""
RECORD = b"x" * 120
RECORDS = 32
JSON = {"content-type": "application/json"}


class Floor:
    """An ASGI app."""

    def __init__(self, sidecar: int) -> None:
        self._base = f"http://127.0.0.1:{sidecar}/v1.0"
        self._session: aiohttp.ClientSession | None = None
        self._pairs: dict[str, deque[bytes]] = defaultdict(lambda: deque(maxlen=WINDOW))
        self._turns: dict[str, int] = defaultdict(int)
        self._memory: dict[str, deque[bytes]] = defaultdict(lambda: deque(maxlen=ENTRIES))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or the life of the app."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        body = await self._answer(scope, receive)
        length = str(len(body)).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", length)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=60),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
        )
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._session.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _answer(self, scope: Scope, receive: Receive) -> bytes:
        match scope["path"].split("/")[1:]:
            case ["chat", user]:
                asked = b'{"ids":"%b","message":%b}' % (IDS, await _body(receive))
                reply = await self._call("FloorChat", user, asked)
                return b'{"response":%b,"turn_id":"019aa7c2-5f6b-7c3e-8d2a-0c9a4f1e6b7d"}' % reply
            case ["actors", kind, user, "method", method]:
                return await self._act(kind, user, method, await _body(receive))
            case ["subscribe"]:
                data = json.loads(await _body(receive))["data"]
                update = json.dumps([data["input"], data["output"]]).encode()
                await self._call("FloorMemory", data["actor_id"], update, "update")
                return b'{"status":"SUCCESS"}'
            case ["memory", user]:
                return b'{"memory":%b}' % self._entries(user)
            case ["dapr", "config"]:
                return json.dumps(CONFIG).encode()
        return b"[]"

    async def _act(self, kind: str, user: str, method: str, body: bytes) -> bytes:
        if kind == "FloorChat":
            return await self._chat(user, body)
        if kind == "FloorResponse":
            await self._call("FloorMemory", user, b"", "read")
            await self._save("FloorResponse", user, b"count", b"1")
            return b'{"role":"assistant","content":"%b"}' % ANSWER
        if method == "update":
            message, answer = json.loads(body)
            self._memory[user] += (json.dumps(each).encode() for each in (message, answer))
            saved = b'{"entries":%b,"ids":"%b"}' % (self._entries(user), IDS)
            await self._save("FloorMemory", user, b"memory", saved)
            return b'{"status":"applied"}'
        return self._entries(user)

    async def _chat(self, user: str, body: bytes) -> bytes:
        message = body[body.index(b',"message":') + 11 : -1]
        pairs = self._pairs[user]
        asked = b'{"ids":"%b","message":%b,"window":[%b]}' % (IDS, message, b",".join(pairs))
        reply = await self._call("FloorResponse", user, asked)
        pairs.append(b"[%b,%b]" % (message, reply))
        self._turns[user] += 1
        records = RECORD * min(self._turns[user], RECORDS)
        head = b'{"pairs":[%b],"records":"%b"}' % (b",".join(pairs), records)
        await self._save("FloorChat", user, b"head", head)
        event = b'{"actor_id":"%b","input":%b,"output":%b,"ids":"%b"}'
        data = event % (user.encode(), message, reply, IDS * 5)
        await self._send("POST", "/publish/daca-pubsub/user-chat", data)
        return reply

    def _entries(self, user: str) -> bytes:
        return b"[%b]" % b",".join(self._memory[user])

    async def _call(self, kind: str, user: str, body: bytes, method: str = "process") -> bytes:
        return await self._send("POST", f"/actors/{kind}/{user}/method/{method}", body)

    async def _save(self, kind: str, user: str, key: bytes, value: bytes) -> None:
        upsert = b'[{"operation":"upsert","request":{"key":"%b","value":%b}}]' % (key, value)
        await self._send("PUT", f"/actors/{kind}/{user}/state", upsert)

    async def _send(self, method: str, path: str, body: bytes) -> bytes:
        assert self._session is not None
        url = _url(self._base + path)
        async with self._session.request(method, url, data=body, headers=JSON) as answer:
            assert answer.status < 300, (path, answer.status)
            return await answer.read()


@lru_cache(maxsize=4096)
def _url(text: str) -> URL:
    return URL(text, encoded=True)


async def _body(receive: Receive) -> bytes:
    message = await receive()
    body: bytes = message.get("body", b"")
    while message.get("more_body"):
        message = await receive()
        body += message.get("body", b"")
    return body


if __name__ == "__main__":
    serve(Floor(read().dapr_http_port or 3500), int(sys.argv[-1]))
