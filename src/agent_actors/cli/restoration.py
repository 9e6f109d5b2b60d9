"""Puts a backup in the place of the database of the embedded runtime.

The process may be killed at any moment: the folder then has the former database or the restored
one, whole. So what SQLite keeps beside the former one becomes part of it first, and then one rename
replaces it.
"""

import os
import shutil
import sqlite3
import sys
from contextlib import closing
from datetime import datetime
from itertools import count
from pathlib import Path

from agent_actors.cli.failures import CommandFailed
from agent_actors.cli.snapshot import BESIDE, DATABASE, beside, remove, sync, write_copy
from agent_actors.runtime.embedded.disk.folder import DataFolder
from agent_actors.runtime.embedded.disk.schema import fault

_WAIT = 1.0


def restore(file: Path, folder: Path, now: datetime) -> tuple[Path, list[Path]]:
    """Restores a backup, and returns the path of the database and the files kept of the former one.

    Raises:
        CommandFailed: The file is not a whole backup, or cannot be put there.
        StartupError: The folder cannot be written, or a service uses it.
    """
    database = folder / DATABASE
    try:
        _require_file(file, database)
        alone = not any(each.exists() for each in beside(file))
        with closing(_open_to_read(file, alone=alone)) as source:
            _require_whole(source, file, alone=alone)
            data = DataFolder.take(folder)
            try:
                return database, _replace(source, database, now)
            finally:
                data.release()
    except (sqlite3.Error, OSError) as error:
        raise CommandFailed(f"The restore failed: {_reason(error, database)}.") from None


def _require_file(file: Path, database: Path) -> None:
    if file.is_symlink():
        target = Path(os.path.realpath(file))  # Unlike `resolve`, it takes a link to itself.
        itself = f": {target}" if target.is_file() else "."
        raise CommandFailed(f"{file} is a symbolic link; name the file itself{itself}")
    if not file.exists():
        raise CommandFailed(f"There is no file {file}.")
    if not file.is_file():
        raise CommandFailed(f"{file} is not a regular file.")
    if database.is_symlink() or (database.exists() and not database.is_file()):
        raise CommandFailed(f"{database} is not a regular file; move it away, then restore.")
    if database.exists() and file.samefile(database):
        raise CommandFailed(f"{file} is the database itself; name a backup of it.")


def _open_to_read(file: Path, *, alone: bool) -> sqlite3.Connection:
    # With `immutable`, what is on a read-only disk can be read, if nothing is beside it.
    uri = f"{file.resolve().as_uri()}?mode=ro{'&immutable=1' if alone else ''}"
    return sqlite3.connect(uri, uri=True, timeout=_WAIT, isolation_level=None)


def _require_whole(source: sqlite3.Connection, file: Path, *, alone: bool) -> None:
    try:
        found = fault(source)
        (pages,) = source.execute("PRAGMA page_count").fetchone()
        (size,) = source.execute("PRAGMA page_size").fetchone()
        if alone and file.stat().st_size < pages * size:
            found = "its end is missing"  # SQLite would read zeros there.
    except sqlite3.Error as error:
        found = str(error)
    if found:
        raise CommandFailed(f"{file} cannot be restored: {found}.")


def _replace(source: sqlite3.Connection, database: Path, now: datetime) -> list[Path]:
    partial = database.with_name(f"{DATABASE}.restoring")  # One name: the folder is locked.
    try:
        write_copy(source, partial)
        # Under sudo, the service's user would not be able to read it.
        if sys.platform != "win32" and os.geteuid() == 0:
            owner = database.parent.stat()
            os.chown(partial, owner.st_uid, owner.st_gid)
        kept = _keep(database, now)
        partial.replace(database)
        sync(database.parent)
    finally:
        remove(partial)
    return kept


def _keep(database: Path, now: datetime) -> list[Path]:
    """Gives the former database a second name; it also keeps its own until it is replaced."""
    name = _free_name(database.parent, now)
    kept = []
    if database.exists():
        if not _is_damaged(database):
            _make_one_file(database)
        _duplicate(database, name)
        kept.append(name)
    # Only a damaged database still has files beside it. SQLite would apply them to the new one.
    for end, log in zip(BESIDE, beside(database), strict=True):
        if log.exists():
            kept.append(log.rename(name.with_name(name.name + end)))
    sync(database.parent)
    return kept


def _free_name(folder: Path, now: datetime) -> Path:
    for number in count(1):
        end = f"-{number}" if number > 1 else ""
        name = folder / f"agent-actors-{now:%Y%m%dT%H%M%SZ}{end}.db"
        if not any(each.exists() for each in (name, *beside(name))):
            break
    return name


def _is_damaged(database: Path) -> bool:
    with closing(_open_to_read(database, alone=False)) as connection:
        try:
            (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        except sqlite3.DatabaseError as error:
            return error.sqlite_errorcode & 0xFF in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
    return bool(verdict != "ok")


def _make_one_file(database: Path) -> None:
    """Moves the write-ahead log into the database, as the next start would."""
    with closing(sqlite3.connect(database, timeout=_WAIT, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")


def _duplicate(database: Path, name: Path) -> None:
    try:
        os.link(database, name)
    except FileExistsError:
        raise
    except OSError:  # Some file systems have no hard links.
        partial = database.with_name(f"{DATABASE}.keeping")
        shutil.copy2(database, partial)
        sync(partial)
        partial.rename(name)


def _reason(error: Exception, database: Path) -> str:
    if (getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF == sqlite3.SQLITE_BUSY:
        return f"another program has {database} open"
    return str(error)
