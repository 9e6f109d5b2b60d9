"""Ports of loopback, and who answers there."""

import secrets
import socket
from http.client import HTTPConnection, HTTPException

from agent_actors.errors import StartupError

LOOPBACK = "127.0.0.1"
_FIRST, _NUMBER = 20_000, 12_768
_PATIENCE = 0.5
_given: set[int] = set()
"""Ports that this process has been given: nobody may listen there yet, but somebody will."""


def free_port() -> int:
    """A port on which nobody listens, below the range that systems hand out by themselves.

    The same one is never given twice in a process.

    Raises:
        StartupError: None was found.
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
    """The status of a GET, or None where nobody answers."""
    connection = HTTPConnection(LOOPBACK, port, timeout=_PATIENCE)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, HTTPException):
        return None
    finally:
        connection.close()


def accepts(port: int) -> bool:
    """Does somebody listen?"""
    try:
        with socket.create_connection((LOOPBACK, port), _PATIENCE):
            return True
    except OSError:
        return False
