"""The data folder of the embedded runtime, read without its lock: a service may be using it."""

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from agent_actors.clock import Clock
from agent_actors.doctor.finding import Context, Findings, Report
from agent_actors.doctor.thread import in_thread
from agent_actors.runtime.embedded import DATABASE
from agent_actors.runtime.embedded.disk.folder import LOCK, lock_owner
from agent_actors.runtime.embedded.disk.schema import VERSION

LITTLE = 500 * 1024**2
TOO_LITTLE = 50 * 1024**2
"""Bytes of free disk space."""
READING = 5.0
"""Seconds for reading the database; meanwhile, a service cannot truncate its write-ahead log."""
_STEPS = 10_000
_ANOTHER = "set AGENT_ACTORS_DATA (or --data) to another folder"
_report = Report("data")


def _writable(path: Path) -> bool:
    return os.access(path, os.W_OK | os.X_OK if path.is_dir() else os.W_OK)


def _free(path: Path) -> int:
    return shutil.disk_usage(path).free


async def check_data(
    context: Context,
    *,
    writable: Callable[[Path], bool] = _writable,
    free: Callable[[Path], int] = _free,
) -> Findings:
    """The folder can be used or is in use, its disk has room, and its database is whole.

    The folder need not exist yet. `writable` says whether a file or a folder may be written, `free`
    how many bytes a disk has left.
    """
    folder = context.settings.data
    return await in_thread(
        lambda: _unusable(folder, writable) or [*_space(folder, free), *_database(context)]
    )


def _unusable(folder: Path, writable: Callable[[Path], bool]) -> Findings:
    nearest = folder.absolute()
    while not nearest.exists():
        nearest = nearest.parent
    if not nearest.is_dir():
        return _report.fail(f"{nearest} is not a folder", _ANOTHER)
    file = folder / DATABASE
    for path in (nearest, file, folder / LOCK):
        if path.exists() and not writable(path):
            return _report.fail(
                f"{path} is not writable", f"let this user write to it, or {_ANOTHER}"
            )
    # Opening a pipe would block until somebody else opens it, too.
    if file.exists() and not file.is_file():
        return _report.fail(f"{file} is not a regular file", f"remove it, or {_ANOTHER}")
    return []


def _space(folder: Path, free: Callable[[Path], int]) -> Findings:
    left = free(folder if folder.exists() else Path())
    text = f"{left // 1024**2:,} MB left on the disk"
    if left < TOO_LITTLE:
        return _report.fail(text, "free some space: requests that cannot be saved get 503")
    if left < LITTLE:
        return _report.warn(text, "free some space before requests cannot be saved")
    return []


def _database(context: Context) -> Findings:
    folder = context.settings.data
    file = folder / DATABASE
    try:
        # The kernel lists its locks a page at a time, and may skip one while others change: the
        # second look finds it.
        context.data_user = lock_owner(folder / LOCK) or lock_owner(folder / LOCK)
    except OSError:  # No /proc/locks: the owner stays unknown.
        context.data_user = None
    if not file.exists():
        return _report.ok(f"{folder} has no database yet; the first start creates it")
    try:
        version, verdict = _read(file, context.clock, in_use=context.data_user is not None)
    except sqlite3.Error as error:
        return _unreadable(file, error)
    if version > VERSION:
        return _report.fail(
            f"the database is from a newer release (schema {version}; this one knows {VERSION})",
            f"upgrade, or {_ANOTHER}",
        )
    if verdict != "ok":
        return _damaged(file, verdict.partition("\n")[0])
    older = "" if version == VERSION else ", migrated at the next start"
    user = "" if context.data_user is None else f"; in use by process {context.data_user}"
    return _report.ok(f"the database in {folder} is intact (schema {version}{older}){user}")


def _read(file: Path, clock: Clock, *, in_use: bool) -> tuple[int, str]:
    """The schema version, and SQLite's verdict: `ok`, or what is wrong."""
    # If there is no log beside the file, nobody has it open: then `immutable` keeps SQLite from
    # creating files.
    logs = [file.with_name(f"{DATABASE}-{end}") for end in ("wal", "shm")]
    alone = not in_use and not any(each.exists() for each in logs)
    uri = f"{file.resolve().as_uri()}?mode=ro{'&immutable=1' if alone else ''}"
    end = clock.monotonic() + READING
    with closing(sqlite3.connect(uri, uri=True, timeout=1.0)) as connection:
        connection.set_progress_handler(lambda: clock.monotonic() > end, _STEPS)
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    return version, verdict


def _unreadable(file: Path, error: sqlite3.Error) -> Findings:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_INTERRUPT:
        return _report.warn(
            f"the database is too large to check in {READING:g} s",
            "`agent-actors backup FILE` reads and checks all of it",
        )
    if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
        return _damaged(file, str(error))
    return _report.fail(f"the database cannot be read ({error})", f"check {file}, or {_ANOTHER}")


def _damaged(file: Path, reason: str) -> Findings:
    return _report.fail(
        f"{file} is damaged ({reason})",
        "stop the service, and put a backup there: `agent-actors restore FILE` (docs/backup.md)",
    )
