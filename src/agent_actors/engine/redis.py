"""A local Redis or Valkey server, whose data survives it."""

import socket
from pathlib import Path

from agent_actors.engine.child import Child
from agent_actors.engine.ports import LOOPBACK, free_port

WITHIN = 10.0


class RedisServer(Child):
    """Redis on a free port; a restart keeps the port and the data.

    Args:
        binary: `redis-server` or `valkey-server`.
        folder: Its data folder.
        log: The file for its output.
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
        """Host and port, as in a component file."""
        return f"{LOOPBACK}:{self.port}"

    def spawn(self) -> None:
        """Starts the server; it is not ready yet."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        super().start()

    def start(self) -> None:
        """Starts the server and waits until it has loaded its data.

        Raises:
            StartupError: It did not start; the text has the end of its log.
        """
        self.spawn()
        self.wait_until(self.answers, WITHIN)

    def stop(self) -> None:
        """Shuts the server down; all acknowledged writes are on disk."""
        self.terminate()

    def answers(self) -> bool:
        """Has it loaded its data?"""
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
