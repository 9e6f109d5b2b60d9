"""The data folder of the embedded runtime, read without its lock: a service may be using it."""

import os
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from agent_actors.clock import Clock
from agent_actors.doctor.aside import aside
from agent_actors.doctor.finding import Finding, Report
from agent_actors.doctor.holder import holder
from agent_actors.doctor.seen import Seen
from agent_actors.runtime.embedded import DATABASE
from agent_actors.runtime.embedded.disk.folder import LOCK
from agent_actors.runtime.embedded.disk.schema import VERSION

LITTLE = 500 * 1024**2
TOO_LITTLE = 50 * 1024**2
"""Bytes of free disk space."""
READING = 5.0
"""Seconds for reading the database through. Meanwhile a running service keeps its log of writes."""
_STEPS = 10_000
_ANOTHER = "set AGENT_ACTORS_DATA (or --data) to another folder"


def _writable(path: Path) -> bool:
    return os.access(path, os.W_OK | os.X_OK if path.is_dir() else os.W_OK)


class DataCheck:
    """The data folder can be used, or is in use; its database is whole.

    Args:
        folder: The data folder, which need not be there yet.
        clock: Measures how long the database is read.
        seen: Is told which process uses the folder.
        writable: Says whether a file or a folder may be written.
        free: Says how many bytes the disk has left.
    """

    name = "data"

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        seen: Seen,
        *,
        writable: Callable[[Path], bool] = _writable,
        free: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free,
    ) -> None:
        self._folder = folder
        self._clock = clock
        self._seen = seen
        self._writable = writable
        self._free = free
        self._report = Report(self.name)

    async def look(self) -> Sequence[Finding]:
        """The folder first; then its disk, then the database."""
        return await aside(self._looked)

    def _looked(self) -> Sequence[Finding]:
        return self._refused() or [*self._space(), *self._database()]

    def _refused(self) -> Sequence[Finding]:
        """Why the folder cannot be used."""
        nearest = self._folder.absolute()
        while not nearest.exists():
            nearest = nearest.parent
        if not nearest.is_dir():
            return self._report.fail(f"{nearest} is no folder", _ANOTHER)
        places = [nearest, *(path for path in (self._file, self._lock) if path.exists())]
        for place in places:
            if not self._writable(place):
                return self._report.fail(
                    f"{place} cannot be written", f"let this user write it, or {_ANOTHER}"
                )
        # Some, such as a pipe, keep whoever opens them until somebody else does, too.
        if self._file.exists() and not self._file.is_file():
            return self._report.fail(f"{self._file} is no file", f"take it away, or {_ANOTHER}")
        return []

    @property
    def _file(self) -> Path:
        return self._folder / DATABASE

    @property
    def _lock(self) -> Path:
        return self._folder / LOCK

    def _space(self) -> Sequence[Finding]:
        there = self._folder if self._folder.exists() else Path()
        left = self._free(there)
        text = f"{left // 1024**2:,} MB are left on its disk"
        if left < TOO_LITTLE:
            return self._report.fail(text, "make room: what cannot be saved is refused with 503")
        if left < LITTLE:
            return self._report.warn(text, "make room before nothing can be saved any more")
        return []

    def _database(self) -> Sequence[Finding]:
        used = self._used()
        if not self._file.exists():
            return self._report.ok(f"{self._folder} has no database yet; the first start makes it")
        try:
            version, verdict = self._read(in_use=bool(used))
        except sqlite3.Error as error:
            return self._unread(error)
        if version > VERSION:
            return self._report.fail(
                f"the database is of a newer release (schema {version}, this one knows {VERSION})",
                f"upgrade, or {_ANOTHER}",
            )
        if verdict != "ok":
            return self._damaged(verdict.partition("\n")[0])
        older = "" if version == VERSION else ", brought to the present form by the next start"
        return self._report.ok(f"{self._folder} is whole (schema {version}{older}){used}")

    def _used(self) -> str:
        """In words, who has the folder; nothing where nobody does, or it is not known."""
        try:
            process = holder(self._lock)
        except OSError:
            return ""
        self._seen.holder = process
        return "" if process is None else f"; in use by process {process}, which is fine"

    def _read(self, *, in_use: bool) -> tuple[int, str]:
        """The number of the schema, and what SQLite finds wrong, or `ok`."""
        # With nothing beside the file nobody has it open, also where its lock cannot be seen: then
        # SQLite is told to make nothing beside it, either.
        beside = [self._file.with_name(f"{DATABASE}-{end}") for end in ("wal", "shm")]
        alone = not in_use and not any(each.exists() for each in beside)
        uri = f"{self._file.resolve().as_uri()}?mode=ro{'&immutable=1' if alone else ''}"
        end = self._clock.monotonic() + READING
        with closing(sqlite3.connect(uri, uri=True, timeout=1.0)) as connection:
            connection.set_progress_handler(lambda: self._clock.monotonic() > end, _STEPS)
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        return version, verdict

    def _unread(self, error: sqlite3.Error) -> Sequence[Finding]:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_INTERRUPT:
            return self._report.warn(
                f"the database is too large to be read through in {READING:g} s",
                "`agent-actors backup FILE` reads all of it, and says whether it is whole",
            )
        if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
            return self._damaged(str(error))
        return self._report.fail(
            f"the database cannot be read ({error})", f"look at {self._file}, or {_ANOTHER}"
        )

    def _damaged(self, reason: str) -> Sequence[Finding]:
        return self._report.fail(
            f"{self._file} is damaged ({reason})",
            "stop the service, keep the file, and put a backup in its place",
        )
