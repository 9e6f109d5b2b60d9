"""Measured processes: each has its own data folder and is always stopped."""

import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from agent_actors.engine.ports import free_port

HOST = "127.0.0.1"
PATIENCE = 30.0
"""Seconds for a start and for a stop."""
IDLE = 0.02
"""The share of a CPU below which a process is idle."""
MESSAGE = {"role": "user", "content": "What did I say yesterday about the harbour?"}


@dataclass(frozen=True, slots=True)
class Served:
    """A process that answers `POST /chat/{id}` at `url`."""

    pid: int
    url: str
    started: float
    """Seconds from the start of the process to its first answered turn."""

    @property
    def resident(self) -> int:
        """Bytes of memory it has now."""
        pages = Path(f"/proc/{self.pid}/statm").read_text(encoding="ascii").split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    @property
    def cpu(self) -> float:
        """Seconds of CPU that its threads have used."""
        return cpu_of(self.pid)


def cpu_of(pid: int | None) -> float:
    """Seconds of CPU that the threads of a process have used."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(_on_cpu(task) for task in tasks) / 1e9


def _on_cpu(task: Path) -> int:
    with suppress(OSError):
        return int((task / "schedstat").read_text(encoding="ascii").split()[0])
    return 0


def wait_idle(ours: Served) -> None:
    """Waits until the process is idle, for at most `PATIENCE` seconds."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        before = ours.cpu
        time.sleep(1.0)
        if ours.cpu - before < IDLE:
            return


@contextmanager
def service(**environment: str) -> Iterator[Served]:
    """`agent-actors dev` with default settings, on a temporary data folder.

    Its model is `echo` unless `environment` names another: an API key must cost nothing.
    """
    with tempfile.TemporaryDirectory(prefix="agent-actors-bench-") as data:
        port = free_port()
        command = ["-m", "agent_actors", "dev", "--port", str(port), "--data", data]
        with served(command, port, {"AGENT_ACTORS_MODEL": "echo"} | environment) as process:
            yield process


@contextmanager
def beside(module: str, *arguments: str) -> Iterator[Served]:
    """A module of the benchmark that serves the same route; its last argument is the port."""
    port = free_port()
    with served(["-m", module, *arguments, str(port)], port) as process:
        yield process


@contextmanager
def served(
    command: Sequence[str], port: int, environment: Mapping[str, str] | None = None
) -> Iterator[Served]:
    """A Python process that has answered its first turn."""
    began = time.perf_counter()
    with running(command, environment) as process:
        _first_answer(process, port)
        yield Served(process.pid, f"http://{HOST}:{port}", time.perf_counter() - began)


@contextmanager
def running(
    command: Sequence[str],
    environment: Mapping[str, str] | None = None,
    **streams: int | IO[str],
) -> Iterator["subprocess.Popen[str]"]:
    """A Python process, stopped at the end by its id."""
    own = {name: value for name, value in os.environ.items() if "AGENT_ACTORS" not in name}
    process = subprocess.Popen(
        [sys.executable, *command],
        env={**own, **(environment or {})},
        text=True,
        **{"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **streams},  # type: ignore[call-overload]
    )
    try:
        yield process
    finally:
        _stop(process)


def turn(port: int, conversation: str) -> None:
    """Runs one turn.

    Raises:
        OSError: The service does not listen yet.
    """
    connection = http.client.HTTPConnection(HOST, port, timeout=PATIENCE)
    try:
        headers = {"content-type": "application/json"}
        connection.request("POST", f"/chat/{conversation}", json.dumps(MESSAGE), headers)
        answer = connection.getresponse()
        body: dict[str, Any] = json.load(answer)
    finally:
        connection.close()
    assert answer.status == 200, body


def _first_answer(process: "subprocess.Popen[str]", port: int) -> None:
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return turn(port, "first")
        except ConnectionError:
            if process.poll() is not None or time.monotonic() > until:
                raise
        time.sleep(0.005)


def _stop(process: "subprocess.Popen[str]") -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
