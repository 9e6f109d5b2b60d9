"""A child process with a log."""

import fcntl
import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event
from time import monotonic

from agent_actors.engine.guard import guard
from agent_actors.errors import StartupError

FOREIGN = ("AGENT_ACTORS_", "APP_API_", "DAPR_", "NAMESPACE")
"""Prefixes of variables that a child does not inherit."""

LET_GO = 5.0
"""Seconds that a killed process may need to release its lock."""

_PAUSE = 0.02
_TAIL = 4_000
_pause = Event()


def environment(**given: str) -> dict[str, str]:
    """This process's environment without Dapr's settings and ours, plus the given variables."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    return kept | given


class Child:
    """A process that can be restarted.

    It has its own session, so that Ctrl-C in the terminal does not reach it. Its `log` is truncated
    at the first start, `env` is its whole environment, and the file `lock` is locked as long as it
    lives.
    """

    def __init__(
        self,
        argv: Sequence[str | Path],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        lock: Path | None = None,
    ) -> None:
        self.argv = [str(word) for word in argv]
        self.log = log
        self._env = environment() if env is None else dict(env)
        self._cwd = cwd
        self._lock = lock
        self._process: subprocess.Popen[bytes] | None = None
        self._begun = 0

    @property
    def name(self) -> str:
        """Its name in error messages: the name of its log."""
        return self.log.stem

    @property
    def pid(self) -> int | None:
        """The id of the process that was started last."""
        return None if self._process is None else self._process.pid

    @property
    def code(self) -> int | None:
        """The exit code; None while it runs, and before it was started."""
        return None if self._process is None else self._process.poll()

    @property
    def alive(self) -> bool:
        """Is the process running? A frozen one is."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Starts the process unless it is running; it is not ready yet.

        Raises:
            StartupError: It cannot be started.
        """
        if self.alive:
            return
        if self._process is not None:
            guard().forget(self._process.pid)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        mode = "wb" if self._process is None else "ab"
        try:
            with self._held() as descriptors, self.log.open(mode) as log:
                self._begun = log.tell()
                self._process = subprocess.Popen(
                    self.argv,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=self._env,
                    cwd=self._cwd,
                    pass_fds=descriptors,
                    start_new_session=True,
                )
        except OSError as error:
            raise StartupError(f"{self.argv[0]!r} cannot be started: {error.strerror}.") from None
        guard().watch(self._process.pid)

    @contextmanager
    def _held(self) -> Iterator[list[int]]:
        """The locked file: the child inherits the lock, and is the only one to hold it."""
        if self._lock is None:
            yield []
            return
        with self._lock.open("ab") as file:
            _locked(file.fileno(), self._lock)
            yield [file.fileno()]

    def wait_until(self, probe: Callable[[], bool], within: float) -> None:
        """Waits until the probe returns true.

        Raises:
            StartupError: The process ended, or time ran out; the text has the end of its log.
        """
        end = monotonic() + within
        while not probe():
            self.check()
            if monotonic() > end:
                raise StartupError(f"{self.name} was not ready within {within:g} s.{self.tail()}")
            _pause.wait(_PAUSE)

    def check(self) -> None:
        """Checks that the process is running.

        Raises:
            StartupError: It is not; the text has the end of its log.
        """
        if self._process is None:
            raise StartupError(f"{self.name} was not started.")
        if not self.alive:
            raise StartupError(f"{self.name} ended ({self._process.returncode}).{self.tail()}")

    def logged(self, text: str) -> bool:
        """Has the process logged that text since its last start?"""
        with self.log.open("rb") as log:
            log.seek(self._begun)
            return text.encode() in log.read()

    def tail(self) -> str:
        """The end of the log, for an error message."""
        if not self.log.is_file():
            return ""
        text = self.log.read_bytes()[-_TAIL:].decode(errors="replace").strip()
        return f" The end of {self.log}:\n{text}" if text else f" {self.log} is empty."

    def terminate(self, grace: float = 10.0) -> None:
        """Sends SIGTERM, and SIGKILL if the process has not ended after that many seconds."""
        if self._process is None or not self.alive:
            return
        self._process.terminate()
        self.thaw()
        try:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(grace)
        finally:
            self.kill()

    def kill(self) -> None:
        """Kills the process and those that it started, like a crash."""
        if self._process is None:
            return
        self._send(signal.SIGKILL)
        self._process.wait()
        guard().forget(self._process.pid)

    def freeze(self) -> None:
        """Suspends the process (SIGSTOP)."""
        self._send(signal.SIGSTOP)

    def thaw(self) -> None:
        """Resumes a frozen process."""
        self._send(signal.SIGCONT)

    def _send(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            # A process that has just ended has no group (on macOS the error is a PermissionError).
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)


def _locked(descriptor: int, path: Path) -> None:
    end = monotonic() + LET_GO
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if monotonic() > end:
                raise StartupError(
                    f"The folder {str(path.parent)!r} is in use by another process; stop it,"
                    " or use another folder."
                ) from None
            _pause.wait(_PAUSE)
        else:
            return
