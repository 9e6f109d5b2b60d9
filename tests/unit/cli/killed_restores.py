"""Restores of which each is killed at another moment; prints what each has left, in JSON.

The arguments are a backup and a data folder. Every restore has a copy of both, and is a process of
its own, forked here so that Python is imported once.
"""

import itertools
import json
import os
import shutil
import signal
import sqlite3
import sys
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from threading import Timer
from typing import Any

from agent_actors.cli import restoration

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
FILES = {"open", "os.chown", "os.link", "os.mkdir", "os.remove", "os.rename", "sqlite3.connect"}
"""The audit events of what touches files."""


def killed(file: Path, folder: Path, steps: int | None) -> None:
    """Restores, and kills this process before the file operation after that many."""
    left = steps

    def count(event: str, _: object) -> None:
        nonlocal left
        if left is not None and event in FILES:
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)
    restoration.restore(file, folder, NOW)
    left = None


def left(file: Path, template: Path, steps: int | None, seconds: float | None) -> dict[str, Any]:
    """What a restore leaves that is killed after some steps or seconds, or not at all."""
    folder = template.with_name("killed")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(template, folder)
    start = time.monotonic()
    child = os.fork()
    if child == 0:
        killed(file, folder, steps)
        os._exit(0)
    timer = Timer(60.0 if seconds is None else seconds, os.kill, (child, signal.SIGKILL))
    timer.start()
    _, status = os.waitpid(child, 0)
    timer.cancel()
    lasted = time.monotonic() - start
    kept = sorted(folder.glob("agent-actors-*"))
    return {
        "killed": os.WIFSIGNALED(status),
        "code": os.waitstatus_to_exitcode(status),
        "seconds": lasted,
        "database": text(folder / "agent-actors.db"),
        "kept": [text(each) for each in kept],
    }


def text(database: Path) -> str:
    """What a whole database has, or why it is not one."""
    try:
        with closing(sqlite3.connect(database)) as connection:
            (verdict,) = connection.execute("PRAGMA integrity_check").fetchone()
            rows = connection.execute("SELECT value FROM state WHERE key = 'said'").fetchall()
    except sqlite3.Error as error:
        return str(error)
    return f"{verdict}: {', '.join(bytes(value).decode() for (value,) in rows)}"


def main() -> None:
    """Kills at every step until a restore needs no more, then at ten moments of its time."""
    file, template = Path(sys.argv[1]), Path(sys.argv[2])
    found = []
    for steps in itertools.count():
        found.append(left(file, template, steps, None))
        if not found[-1]["killed"]:
            break
    whole = left(file, template, None, None)
    moments = [whole["seconds"] * part / 10 for part in range(10)]
    found += [whole, *(left(file, template, None, moment) for moment in moments)]
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
