"""One process of the engine."""

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agent_actors.engine.child import Child, environment
from agent_actors.errors import StartupError
from tests.fakes import eventually

SLEEPS = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    " print('up', flush=True); time.sleep(60)",
]
OWNER = """\
import sys, threading
from pathlib import Path
from agent_actors.engine.child import Child

child = Child([sys.executable, "-c", "import time; time.sleep(60)"], log=Path(sys.argv[1]))
child.start()
print(child.pid, flush=True)
threading.Event().wait()
"""


def child(folder: Path, argv: list[str] | None = None, *, lock: Path | None = None) -> Child:
    return Child(argv or SLEEPS, log=folder / "thing.log", lock=lock)


def state(pid: int | None) -> str:
    """Its state according to the system, or an empty text."""
    shown = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return shown.stdout.strip()


def test_a_child_is_started_once_and_ended_once(tmp_path: Path):
    """Starting a running child and ending an ended one do nothing."""
    sleeper = child(tmp_path)
    try:
        sleeper.start()
        pid = sleeper.pid
        sleeper.start()

        assert sleeper.pid == pid
        assert sleeper.alive
    finally:
        sleeper.terminate()
    sleeper.terminate()
    sleeper.kill()

    assert not sleeper.alive
    assert state(pid) == ""


async def test_a_child_starts_again_and_its_log_goes_on(tmp_path: Path):
    """The log keeps the output of earlier starts, but `logged` reads only the last one."""
    sleeper = child(tmp_path, [sys.executable, "-c", "print('once')"])
    sleeper.start()
    await eventually(lambda: not sleeper.alive)
    sleeper.argv[-1] = "print('again')"
    sleeper.start()
    await eventually(lambda: not sleeper.alive)

    assert sleeper.log.read_text() == "once\nagain\n"
    assert sleeper.logged("again")
    assert not sleeper.logged("once")


def test_a_stubborn_child_is_killed(tmp_path: Path):
    """A child that does not end when asked is killed when its grace is over."""
    stubborn = child(tmp_path, STUBBORN)
    try:
        stubborn.start()
        stubborn.wait_until(lambda: stubborn.logged("up"), 10.0)
    finally:
        stubborn.terminate(grace=0.1)

    assert not stubborn.alive


async def test_a_frozen_child_ends_when_asked(tmp_path: Path):
    """Freezing stops a child, thawing lets it go on, and ending one does not need thawing."""
    sleeper = child(tmp_path)
    try:
        sleeper.start()
        sleeper.freeze()
        await eventually(lambda: "T" in state(sleeper.pid))
        sleeper.thaw()
        await eventually(lambda: "T" not in state(sleeper.pid))
        sleeper.freeze()
    finally:
        sleeper.terminate()

    assert not sleeper.alive


def test_a_child_that_ends_while_it_starts_says_why(tmp_path: Path):
    """The error has the name, the exit code and the end of the log."""
    broken = child(tmp_path, [sys.executable, "-c", "import sys; sys.exit('no such luck')"])
    broken.start()

    with pytest.raises(StartupError, match=r"(?s)^thing ended \(1\).*thing.log:\nno such luck$"):
        broken.wait_until(lambda: False, 10.0)


def test_a_child_that_is_not_ready_in_time_says_so(tmp_path: Path):
    """The error has the time that was given."""
    sleeper = child(tmp_path)
    try:
        sleeper.start()

        with pytest.raises(StartupError, match=r"^thing was not ready within 0.05 s\."):
            sleeper.wait_until(lambda: False, 0.05)
    finally:
        sleeper.kill()


def test_a_child_that_cannot_be_started_says_so(tmp_path: Path):
    """A command that is not there is named."""
    with pytest.raises(StartupError, match=r"nowhere' cannot be started: No such file"):
        child(tmp_path, [str(tmp_path / "nowhere")]).start()


def test_a_child_that_was_not_started_is_not_waited_for(tmp_path: Path):
    """Waiting for a child that was not started fails at once."""
    with pytest.raises(StartupError, match="was not started"):
        child(tmp_path).wait_until(lambda: False, 10.0)


def test_a_lock_is_held_by_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A folder is in use for as long as the process lives, and free when it has ended."""
    monkeypatch.setattr("agent_actors.engine.child.LET_GO", 0.1)
    first, second = (child(tmp_path, lock=tmp_path / "lock") for _ in range(2))
    try:
        first.start()
        with pytest.raises(StartupError, match="in use by another process"):
            second.start()
        first.kill()
        second.start()

        assert second.alive
    finally:
        first.kill()
        second.kill()


def test_a_child_does_not_get_the_settings_of_the_shell(monkeypatch: pytest.MonkeyPatch):
    """Dapr's settings and ours reach a child only when they are given to it."""
    for name in ("DAPR_HTTP_PORT", "APP_API_TOKEN", "AGENT_ACTORS_DATA", "NAMESPACE"):
        monkeypatch.setenv(name, "foreign")
    monkeypatch.setenv("OTHER", "kept")

    env = environment(APP_API_TOKEN="own")

    assert env["OTHER"] == "kept"
    assert {name: value for name, value in env.items() if value == "foreign"} == {}
    assert env["APP_API_TOKEN"] == "own"


def test_a_child_does_not_outlive_a_killed_owner(tmp_path: Path):
    """When the process that started it is killed, the guard ends the child."""
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path / "log")], stdout=subprocess.PIPE, text=True
    )
    with owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        assert state(pid)

        owner.send_signal(signal.SIGKILL)

    asyncio.run(eventually(lambda: state(pid) in {"", "Z"}))
