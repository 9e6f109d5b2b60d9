"""Ports on loopback."""

import secrets
import socket
from http.client import HTTPConnection, HTTPException

from agent_actors.errors import StartupError

LOOPBACK = "127.0.0.1"
_FIRST, _NUMBER = 20_000, 12_768
_PATIENCE = 0.5
_given: set[int] = set()
"""Ports that were handed out: nobody may be listening there yet."""


def free_port() -> int:
    """A free port, below the range of ephemeral ports; never the same one twice.

    Raises:
        StartupError: There is none.
    """
    for _ in range(100):
        port = _FIRST + secrets.randbelow(_NUMBER)
        if port in _given:
            continue
        try:
            with socket.create_server((LOOPBACK, port)):
                _given.add(port)
                return port
        except OSError:
            continue
    raise StartupError("No free port was found on 127.0.0.1.")


def status(port: int, path: str) -> int | None:
    """The status of a GET request, or None without an answer."""
    connection = HTTPConnection(LOOPBACK, port, timeout=_PATIENCE)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, HTTPException):
        return None
    finally:
        connection.close()


def accepts(port: int) -> bool:
    """Does the port accept connections?"""
    try:
        with socket.create_connection((LOOPBACK, port), _PATIENCE):
            return True
    except OSError:
        return False
