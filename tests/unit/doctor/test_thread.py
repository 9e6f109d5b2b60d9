"""Work that a disk holds up does not hold up `doctor`."""

import asyncio
import os
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from agent_actors.doctor.checks import run_checks
from agent_actors.doctor.data import check_data
from agent_actors.doctor.finding import Check, Context, Finding
from agent_actors.doctor.settings import check_access
from agent_actors.doctor.thread import in_thread
from agent_actors.errors import StartupError
from agent_actors.settings import Settings
from tests.unit.doctor.conftest import context, only


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


async def test_the_result_or_error_of_the_work_is_passed_on():
    """The caller gets it."""

    def refuse() -> None:
        raise StartupError("no")

    assert await in_thread(lambda: 7) == 7
    with pytest.raises(StartupError, match="no"):
        await in_thread(refuse)


async def test_a_late_result_is_ignored():
    """The caller has given up."""
    gate = threading.Event()
    complaints: list[str] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, told: complaints.append(told["message"]))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await in_thread(lambda: gate.wait(30))
    gate.set()
    for each in threading.enumerate():
        if each.name == "doctor":
            each.join(10)
    await in_thread(lambda: None)  # What was told before is heard before.

    assert complaints == []


async def test_a_disk_that_hangs_fails_one_check():
    """The others are made, and the thread is one that no end waits for."""
    gate = threading.Event()
    daemons: list[bool] = []

    def hang(_: Path) -> int:
        daemons.append(threading.current_thread().daemon)
        gate.wait(30)
        return 10**12

    found = await run("data", partial(check_data, free=hang), context())
    gate.set()

    assert (found.check, found.status) == ("data", "FAIL")
    assert "no result after" in found.found
    assert daemons == [True]


async def test_a_pipe_of_tokens_fails_one_check(pipe: Path):
    """It is not opened: without a writer it would block the reader."""
    settings = Settings(access_tokens_file=pipe)
    found = await run("access", check_access, context(settings))

    assert (found.check, found.status) == ("access", "FAIL")
    assert "it is not a regular file" in found.found


async def run(name: str, check: Check, given: Context) -> Finding:
    async with asyncio.timeout(10):
        return only([each async for each in run_checks({name: check}, given, 0.1)])
