"""A local Redis or Valkey server, whose data survives it."""

import socket
from pathlib import Path

from agent_actors.engine.ports import LOOPBACK, free_port
from agent_actors.engine.server import Server


class RedisServer(Server):
    """Redis on a free port, with its data in a folder; `binary` may also be `valkey-server`."""

    def __init__(self, binary: Path, folder: Path, *, log: Path | None = None) -> None:
        port = free_port()
        options = {
            "port": str(port),
            "bind": LOOPBACK,
            "dir": str(folder),
            "daemonize": "no",
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
        }
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        log = log or folder / "redis.log"
        super().__init__([binary, *words], port=port, log=log, within=10.0, folder=folder)

    def ready(self) -> bool:
        """Has it loaded its data?"""
        try:
            with socket.create_connection((LOOPBACK, self.port), 1.0) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith(b"+PONG")
        except OSError:
            return False
