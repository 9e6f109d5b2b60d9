"""The guard, in this process."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from agent_actors.engine import guard
from tests.unit.engine.test_child import SLEEPS, STUBBORN


def started(argv: list[str]) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(argv, start_new_session=True, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    return process


def test_what_is_left_is_what_was_not_forgotten():
    """A process that has ended is not ended again: its id may be another's."""
    assert guard._read(["+1\n", "+2\n", "-1\n", "-3\n"]) == {2}


def test_the_stubborn_are_killed(monkeypatch: pytest.MonkeyPatch):
    """Processes are asked to end, and killed when they have not."""
    monkeypatch.setattr(guard, "GRACE", 0.2)
    willing, stubborn = started(SLEEPS), started(STUBBORN)
    with willing, stubborn:
        # Without somebody who waits for it an ended process still has its id.
        threading.Thread(target=willing.wait, daemon=True).start()

        guard._end({willing.pid, stubborn.pid})

        assert willing.wait(10.0) == -signal.SIGTERM
        assert stubborn.wait(10.0) == -signal.SIGKILL


def test_an_empty_guard_ends_nothing():
    """A process that has ended before the guard comes is not missed."""
    process = started([sys.executable, "-c", "print()"])
    with process:
        process.wait(10.0)

        guard._end({process.pid})


def test_a_guard_that_was_killed_is_not_missed(tmp_path: Path):
    """Its owner goes on."""
    own = guard.Guard()
    os.close(own._pipe)
    lines, own._pipe = os.pipe()
    os.close(lines)

    own.watch(1)
    own.forget(1)

    os.close(own._pipe)
