"""What a Redis is asked to do, as its MONITOR tells."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

WITHIN = 10.0
"""Seconds that a command is waited for."""
STILL = 0.5
"""Seconds without a command, after which no more is waited for."""


class Commands:
    """The commands since the watch began.

    Args:
        connection: Monitors.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._read = b""

    @property
    def seen(self) -> list[str]:
        """One line each."""
        return self._read.decode(errors="replace").splitlines()

    def until(self, text: str) -> None:
        """Waits for a command with this text, and for those right after it.

        Raises:
            TimeoutError: None came.
        """
        self._connection.settimeout(WITHIN)
        while text.encode() not in self._read:
            self._read += self._connection.recv(65_536)
        self._connection.settimeout(STILL)
        try:
            while part := self._connection.recv(65_536):
                self._read += part
        except TimeoutError:
            return


@contextmanager
def watching(port: int) -> Iterator[Commands]:
    """Watches the Redis on that port of this machine."""
    with socket.create_connection(("127.0.0.1", port), WITHIN) as connection:
        connection.sendall(b"MONITOR\r\n")
        connection.recv(64)
        yield Commands(connection)
