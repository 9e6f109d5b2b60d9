"""Work that a disk holds up does not hold up `doctor`."""

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent_actors.clock import SystemClock
from agent_actors.doctor.access import AccessCheck
from agent_actors.doctor.aside import aside
from agent_actors.doctor.data import DataCheck
from agent_actors.doctor.examination import examine
from agent_actors.doctor.finding import Finding
from agent_actors.doctor.seen import Seen
from agent_actors.engine.child import environment
from agent_actors.errors import StartupError
from agent_actors.settings import Settings

IMPATIENT = """
import functools, importlib
from agent_actors.cli import main
doctor = importlib.import_module("agent_actors.cli.doctor")
doctor.examine = functools.partial(doctor.examine, patience=0.5)
main()
"""
"""The command, which gives up a check sooner."""


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[Path]:
    """Who opens it to read waits until somebody opens it to write, which the end does."""
    path = tmp_path / "pipe"
    os.mkfifo(path)

    def release() -> None:
        os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK))

    too_late = threading.Timer(20, release)
    too_late.start()
    yield path
    too_late.cancel()
    release()


async def test_what_the_work_returns_or_raises_is_told():
    """To whoever waits for it."""

    def refuse() -> None:
        raise StartupError("no")

    assert await aside(lambda: 7) == 7
    with pytest.raises(StartupError, match="no"):
        await aside(refuse)


async def test_what_comes_too_late_is_nobodys_error():
    """Nobody waits for it any more."""
    gate = threading.Event()
    complaints: list[str] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, told: complaints.append(told["message"]))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await aside(lambda: gate.wait(30))
    gate.set()
    for each in threading.enumerate():
        if each.name == "aside":
            each.join(10)
    await aside(lambda: None)  # What was told before is heard before.

    assert complaints == []


async def test_a_disk_that_hangs_fails_one_check():
    """The others are made, and the thread is one that no end waits for."""
    gate = threading.Event()
    daemons: list[bool] = []

    def hang(_: Path) -> int:
        daemons.append(threading.current_thread().daemon)
        gate.wait(30)
        return 10**12

    check = DataCheck(Path(), SystemClock(), Seen(), free=hang)
    found = await examined(check)
    gate.set()

    assert (found.check, found.status) == ("data", "FAIL")
    assert "not known after" in found.found
    assert daemons == [True]


async def test_a_file_of_tokens_that_hangs_fails_one_check(pipe: Path):
    """As the one of a shell's `<(…)` does that nobody writes."""
    settings = Settings(access_tokens_file=pipe)
    found = await examined(AccessCheck(settings, "embedded", SystemClock()))

    assert (found.check, found.status) == ("access", "FAIL")
    assert "not known after" in found.found


async def examined(check: DataCheck | AccessCheck) -> Finding:
    async with asyncio.timeout(10):
        (found,) = [each async for each in examine([check], SystemClock(), 0.1)]
    return found


def test_the_command_ends_although_a_read_does_not(pipe: Path, tmp_path: Path):
    """After its last line; nobody waits for the thread that reads."""
    done = subprocess.run(
        [sys.executable, "-c", IMPATIENT, "doctor", "--data", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        env=environment(
            AGENT_ACTORS_ACCESS_TOKENS_FILE=str(pipe), AGENT_ACTORS_URL="http://127.0.0.1:9"
        ),
    )

    assert (done.returncode, done.stderr) == (1, "")
    assert "FAIL  access     not known after 0.5 s" in done.stdout
    assert "clock" in done.stdout.splitlines()[-1]
