"""Ends the engine's processes when the process that started them dies, however it dies.

They are in sessions of their own, so that Ctrl-C in the terminal reaches them only when their owner
says so. The price is that nothing ends them when the owner is killed. A guard does: a small process
that is told their ids through a pipe, and ends what is left when the pipe closes.
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
    """A process that outlives this one by a moment."""

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
        process.returncode = 0  # It is left running on purpose, and Popen shall not complain.

    def watch(self, pid: int) -> None:
        """That process is to be ended when this one dies."""
        self._tell(f"+{pid}\n")

    def forget(self, pid: int) -> None:
        """That process has ended; its id may be another's soon."""
        self._tell(f"-{pid}\n")

    def _tell(self, line: str) -> None:
        # Somebody may have killed the guard; the owner still stops what it started.
        with suppress(BrokenPipeError):
            os.write(self._pipe, line.encode())


@cache
def guard() -> Guard:
    """The guard of this process: a process dies but once."""
    return Guard()


def _read(lines: Iterable[str]) -> set[int]:
    """The processes that are left when the lines end."""
    left: set[int] = set()
    for line in lines:
        pid = int(line[1:])
        left.add(pid) if line[0] == "+" else left.discard(pid)
    return left


def _end(pids: set[int]) -> None:
    for number in (signal.SIGTERM, signal.SIGCONT):
        pids = {pid for pid in pids if _signalled(pid, number)}
    pause = Event()
    for _ in range(int(GRACE / _PAUSE)):
        if not pids:
            return
        pause.wait(_PAUSE)
        pids = {pid for pid in pids if _signalled(pid, 0)}
    for pid in pids:
        _signalled(pid, signal.SIGKILL)


def _signalled(pid: int, number: int) -> bool:
    """Is there still somebody in that group to be signalled?"""
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


if __name__ == "__main__":
    _end(_read(sys.stdin))
