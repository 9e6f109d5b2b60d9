"""The service beside a real sidecar, as a test of the suite sees it."""

import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import BufferedReader
from pathlib import Path
from typing import Any

from agent_actors.engine.redis import RedisServer
from tests.dapr.engine import Engine
from tests.e2e.service import DEADLINE, AnyService


class DaprService(AnyService):
    """A cluster of one replica; its Redis runs from the beginning, and is never killed.

    Args:
        engine: Has the servers and the control plane.
        folder: For data and logs.
        sidecar: More of what `Sidecar` takes.
        settings: `AGENT_ACTORS_…` without that prefix, in lower case.
    """

    def __init__(
        self,
        engine: Engine,
        folder: Path,
        *,
        sidecar: dict[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        self.cluster = engine.cluster(folder, **settings).start()
        self.replica = self.cluster.replica(sidecar=sidecar)
        super().__init__(self.replica.port, self.cluster.app_token)

    def spawn(self) -> None:
        """Starts the app and the sidecar, whichever does not run."""
        self.replica.spawn()

    def kill(self) -> None:
        """Ends both at once."""
        self.replica.kill()

    def send(self, number: signal.Signals) -> None:
        """Sends a signal to the app; the sidecar goes on."""
        assert self.replica.app.pid is not None
        os.kill(self.replica.app.pid, number)

    def beside(self, path: str) -> str:
        """An address of the sidecar's API."""
        return f"http://127.0.0.1:{self.replica.sidecar.http_port}/v1.0/{path}"

    @property
    def code(self) -> int | None:
        """The exit code of the app; None while it runs."""
        return self.replica.app.code

    def logged(self) -> str:
        """All that the app and the sidecar have logged."""
        logs = (self.replica.app.log, self.replica.sidecar.log)
        return "\n".join(log.read_text(errors="replace") for log in logs if log.is_file())

    async def close(self) -> None:
        """Leaves nothing behind, Redis neither."""
        self.cluster.close()
        await super().close()

    async def unsettled(self, user: str) -> bool:
        """Has the conversation a recovery reminder? The sidecar asks the scheduler."""
        answer = await self.http.get(self.beside(f"actors/ChatAgent/{user}/reminders/settle"))
        assert answer.status_code in {200, 404}, answer.text
        return answer.status_code == 200

    def stored(self, actor_type: str) -> list[bytes]:
        """Every document that actors of a type have saved, as Redis has it."""
        pattern = f"{self.cluster.app_id}||{actor_type}||*"
        with Redis(self.cluster.redis) as redis:
            return [
                redis.ask(b"HGET", key, b"data") for key in redis.ask(b"KEYS", pattern.encode())
            ]

    def places_of(self, word: str) -> list[str]:
        """The keys of Redis that have the word: state, and streams of events."""
        with Redis(self.cluster.redis) as redis:
            keys = redis.ask(b"KEYS", b"*")
            return [key.decode() for key in keys if word in repr(redis.content(key))]

    async def publish(self, topic: str, event: dict[str, Any]) -> None:
        """Publishes it through the sidecar."""
        headers = {"content-type": "application/cloudevents+json"}
        address = self.beside(f"publish/pubsub/{topic}")
        answer = await self.http.post(address, json=event, headers=headers)
        assert answer.status_code == 204, answer.text


CONTENT = {
    b"string": (b"GET",),
    b"hash": (b"HGETALL",),
    b"set": (b"SMEMBERS",),
    b"stream": (b"XRANGE", b"-", b"+"),
}
"""How the value of a key is read, by its type."""


class Redis:
    """A connection that asks a Redis what a test wants to know."""

    def __init__(self, server: RedisServer) -> None:
        self._socket = socket.create_connection(("127.0.0.1", server.port), DEADLINE)
        self._file: BufferedReader = self._socket.makefile("rb")

    def __enter__(self) -> "Redis":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._socket.close()

    def ask(self, *words: bytes) -> Any:
        """The answer to a command: bytes, a number, a list of them, or None."""
        sent = b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)
        self._socket.sendall(b"*%d\r\n%s" % (len(words), sent))
        return self._read()

    def content(self, key: bytes) -> Any:
        """All that a key holds."""
        command, *rest = CONTENT[self.ask(b"TYPE", key)]
        return self.ask(command, key, *rest)

    def _read(self) -> Any:
        line = self._file.readline().rstrip()
        kind, rest = line[:1], line[1:]
        if kind == b"*":
            return [self._read() for _ in range(int(rest))]
        if kind == b"$":
            return None if rest == b"-1" else self._file.read(int(rest) + 2)[:-2]
        assert kind in {b"+", b":"}, line
        return int(rest) if kind == b":" else rest


@asynccontextmanager
async def running_on_dapr(
    engine: Engine, folder: Path, **settings: Any
) -> AsyncIterator[DaprService]:
    """A service that is ready; all of it is killed at the end."""
    service = DaprService(engine, folder, **settings)
    try:
        yield await service.start()
    finally:
        await service.close()
