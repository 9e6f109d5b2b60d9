"""The command in a process that is forked from one which has imported the service already.

A start takes a second of CPU time, and nearly all of it are imports. What a test says of imports,
or of what Python does before them, needs a process that begins anew: `tests.e2e.service.command`.
"""

import atexit
import gc
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile
from threading import Timer
from typing import Any

IMPORTED = ("app", "cli.client", "cli.doctor", "cli.service", "cli.snapshot", "doctor")
TIME = 60.0
"""Seconds that a command may take, on a machine that does other things as well."""


class Forked:
    """A running command, used as `subprocess.Popen[str]` is."""

    def __init__(self, arguments: tuple[str, ...], variables: dict[str, str]) -> None:
        request = {"arguments": arguments, "variables": variables, "folder": os.getcwd()}
        output, written = os.pipe()
        status, told = os.pipe()
        self._errors = TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - closed by `close`
        with TemporaryFile() as file:
            file.write(json.dumps(request).encode())
            file.flush()
            descriptors = [file.fileno(), written, self._errors.fileno(), told]
            socket.send_fds(_template(), [b"."], descriptors)
        os.close(written)
        os.close(told)
        self.stdout = os.fdopen(output, encoding="utf-8")
        self._status = os.fdopen(status)
        self.pid = int(self._status.readline())
        self.returncode: int | None = None

    def send_signal(self, number: int) -> None:
        """Sends a signal, if the command has not ended."""
        if self.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Asks it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Ends it at once."""
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float = TIME) -> tuple[str, str]:
        """What it prints until it ends; it is killed after the timeout."""
        with _killed_after(timeout, self):
            printed = self.stdout.read()
            self.returncode = int(self._status.readline())
        self._errors.seek(0)
        return printed, self._errors.read()

    def close(self) -> None:
        """Ends it, if it has not ended."""
        self.kill()
        for file in (self.stdout, self._status, self._errors):
            file.close()


@contextmanager
def forked(*arguments: str, **variables: str) -> Iterator[Forked]:
    """A command that runs; it is killed at the end, or after a minute."""
    command = Forked(arguments, _environment() | variables)
    try:
        with _killed_after(TIME, command):
            yield command
    finally:
        command.close()


@contextmanager
def _killed_after(seconds: float, command: Forked) -> Iterator[None]:
    timer = Timer(seconds, command.kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A command that has ended."""
    with forked(*arguments, **variables) as command:
        printed, logged = command.communicate()
    assert command.returncode is not None
    return subprocess.CompletedProcess(arguments, command.returncode, printed, logged)


def _environment() -> dict[str, str]:
    from tests.e2e.service import environment

    return environment()


@cache
def _template() -> socket.socket:
    """The process that the commands are forked from; it ends with this one."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.forked"],
            stdin=theirs.fileno(),
            stdout=subprocess.DEVNULL,
            cwd=Path(__file__).parents[1],
            env=_environment(),
        )

    def end() -> None:
        ours.close()
        process.wait(TIME)

    atexit.register(end)
    return ours


def main() -> None:
    """Forks a command for each request; returns in the command, or when no more can come."""
    for name in IMPORTED:
        __import__(f"agent_actors.{name}")
    gc.freeze()
    requests = socket.socket(fileno=os.dup(0))
    while True:
        data, descriptors, _, _ = socket.recv_fds(requests, 1, 4)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG if data else 0)[0]:
                pass  # Nothing is left of commands that have ended.
        if not data:
            return
        if os.fork() == 0:
            requests.close()
            _command(*descriptors)
            return
        for each in descriptors:
            os.close(each)


def _command(request: int, output: int, errors: int, status: int) -> None:
    """Forks the command, and tells its process id and its exit code; returns in the command."""
    if (command := os.fork()) != 0:
        os.write(status, f"{command}\n".encode())
        os.close(output)
        _, code = os.waitpid(command, 0)
        os.write(status, f"{os.waitstatus_to_exitcode(code)}\n".encode())
        os._exit(0)
    given = json.loads(os.pread(request, os.fstat(request).st_size, 0))
    for descriptor, stream in ((os.open(os.devnull, os.O_RDONLY), 0), (output, 1), (errors, 2)):
        os.dup2(descriptor, stream)
        os.close(descriptor)
    os.close(request)
    os.close(status)
    _become(given)


def _become(given: dict[str, Any]) -> None:
    """Is the command from here on, as `python -m agent_actors` is."""
    os.environ.clear()
    os.environ.update(given["variables"])
    os.chdir(given["folder"])
    sys.path[0] = given["folder"]
    sys.argv = ["agent-actors", *given["arguments"]]
    runpy.run_module("agent_actors", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
