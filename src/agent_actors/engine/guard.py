"""Ends the child processes when their owner dies, even by SIGKILL.

They have their own sessions, so that Ctrl-C in the terminal does not reach them; therefore nothing
would end them if their owner were killed. The guard is a small process that gets their ids through
a pipe, and ends those that are left when the pipe closes.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from threading import Event

GRACE = 3.0
_PAUSE = 0.05


class Guard:
    """The pipe to a process that outlives this one for a moment."""

    def __init__(self) -> None:
        lines, self._pipe = os.pipe()
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__],
            stdin=lines,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(lines)
        process.returncode = 0  # It keeps running on purpose: without this, Popen would warn.

    def watch(self, pid: int) -> None:
        """Ends that process when this one dies."""
        self._write(f"+{pid}\n")

    def forget(self, pid: int) -> None:
        """That process has ended, and its id may be reused."""
        self._write(f"-{pid}\n")

    def _write(self, line: str) -> None:
        # The guard may have been killed; the owner still stops its children.
        with suppress(BrokenPipeError):
            os.write(self._pipe, line.encode())


@cache
def guard() -> Guard:
    """The guard of this process; one is enough."""
    return Guard()


def _read(lines: Iterable[str]) -> set[int]:
    """The ids that are left at the end of the input."""
    left: set[int] = set()
    for line in lines:
        pid = int(line[1:])
        left.add(pid) if line[0] == "+" else left.discard(pid)
    return left


def _end(pids: set[int]) -> None:
    for number in (signal.SIGTERM, signal.SIGCONT):
        pids = {pid for pid in pids if _signal(pid, number)}
    pause = Event()
    for _ in range(int(GRACE / _PAUSE)):
        if not pids:
            return
        pause.wait(_PAUSE)
        pids = {pid for pid in pids if _signal(pid, 0)}
    for pid in pids:
        _signal(pid, signal.SIGKILL)


def _signal(pid: int, number: int) -> bool:
    """Sends a signal to a process group; False if it no longer exists."""
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


if __name__ == "__main__":
    _end(_read(sys.stdin))
