"""A Redis (or Valkey) of one's own, whose data outlives it."""

import socket
from pathlib import Path

from agent_actors.engine.child import Child
from agent_actors.engine.ports import LOOPBACK, free_port

WITHIN = 10.0


class RedisServer(Child):
    """Redis on a port of its own; a restart keeps the port and the data.

    Args:
        binary: `redis-server` or `valkey-server`.
        folder: Where its data is.
        log: Where its output goes.
    """

    def __init__(self, binary: Path, folder: Path, *, log: Path | None = None) -> None:
        self.port = free_port()
        self._folder = folder
        super().__init__(
            [binary, *_options(self.port, folder)],
            log=log or folder / "redis.log",
            lock=folder / "lock",
        )

    @property
    def address(self) -> str:
        """Host and port, as a component file has them."""
        return f"{LOOPBACK}:{self.port}"

    def spawn(self) -> None:
        """Starts the server; it does not answer yet."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        super().start()

    def start(self) -> None:
        """Starts the server and waits until it has read its data.

        Raises:
            StartupError: It did not start; the text has the end of its log.
        """
        self.spawn()
        self.wait_until(self.answers, WITHIN)

    def stop(self) -> None:
        """Ends the server; all that it has said is on disk."""
        self.terminate()

    def answers(self) -> bool:
        """Has it read its data?"""
        try:
            with socket.create_connection((LOOPBACK, self.port), 1.0) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith(b"+PONG")
        except OSError:
            return False


def _options(port: int, folder: Path) -> list[str]:
    options = {
        "port": str(port),
        "bind": LOOPBACK,
        "dir": str(folder),
        "daemonize": "no",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
    }
    return [word for name, value in options.items() for word in (f"--{name}", value)]
