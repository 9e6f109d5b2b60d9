"""Copies the database of the embedded runtime, which may be in use."""

import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

from agent_actors.cli.failures import CommandFailed
from agent_actors.runtime.embedded.disk.folder import LOCK
from agent_actors.runtime.embedded.disk.schema import first_fault

DATABASE = "agent-actors.db"
BESIDE = ("-journal", "-wal", "-shm")
"""What SQLite adds to the name of a database for the files that it keeps beside it."""


def take(folder: Path, file: Path, *, force: bool) -> Path:
    """Copies the database of a data folder to a file, and returns the path of the database.

    The file appears only when the copy is complete and checked.

    Raises:
        CommandFailed: There is no database, the file cannot be written, or the copy is damaged.
    """
    database = folder / DATABASE
    try:
        if not database.is_file():
            raise CommandFailed(
                f"There is no database at {database.absolute()}; use --data to name its folder."
            )
        _require_target(file, database, force=force)
        # Its name does not depend on the file's, which may be as long as names can be.
        partial = file.with_name(f".agent-actors-backup.{os.getpid()}")
        try:
            uri = f"{database.resolve().as_uri()}?mode=ro"
            with closing(sqlite3.connect(uri, uri=True)) as source:
                write_copy(source, partial)
            partial.replace(file)
            sync(file.parent)
        finally:
            remove(partial)
    except (sqlite3.Error, OSError) as error:
        raise CommandFailed(f"The backup failed: {error}") from None
    return database


def _require_target(file: Path, database: Path, *, force: bool) -> None:
    """Refuses to replace what is no backup: files in use, devices, pipes, links and folders."""
    if not file.parent.is_dir():
        raise CommandFailed(f"There is no folder {file.parent} for the backup.")
    if _is_same(file, database):
        raise CommandFailed(f"{file} is the database itself; name another file for the backup.")
    # Where the database is a link, SQLite keeps its files beside what it leads to.
    in_use = (*beside(database), *beside(database.resolve()), database.with_name(LOCK))
    if any(_is_same(file, each) for each in in_use):
        raise CommandFailed(
            f"{file} belongs to the database in use; name another file for the backup."
        )
    try:
        mode = file.lstat().st_mode
    except FileNotFoundError:
        mode = None
    if mode is not None and not stat.S_ISREG(mode):
        raise CommandFailed(f"{file} is not a regular file; name another file for the backup.")
    if mode is not None and not force:
        raise CommandFailed(f"{file} already exists; use --force to replace it.")
    if any(each.exists() for each in beside(file)):
        raise CommandFailed(
            f"{file} has files of SQLite beside it, so a program may have it open; name another"
            " file for the backup."
        )


def _is_same(file: Path, other: Path) -> bool:
    """Whether both are one file, or would be if they were there."""
    if file.exists() and other.exists():
        return file.samefile(other)
    return file.name == other.name and file.parent.samefile(other.parent)


def write_copy(source: sqlite3.Connection, target: Path) -> None:
    """Writes a new database, as of one moment, and checks it. It is one file, for its owner only.

    Raises:
        CommandFailed: The copy is damaged.
        sqlite3.Error, OSError: One of the two cannot be read or written.
    """
    remove(target)
    target.touch(mode=0o600)  # It contains conversations, like its folder.
    with closing(sqlite3.connect(target)) as copy:
        source.backup(copy, pages=-1)  # One step, so one moment, whoever writes meanwhile.
        copy.execute("PRAGMA journal_mode=DELETE")  # One file: no `-wal` beside it.
        (verdict,) = copy.execute("PRAGMA integrity_check").fetchone()
    if verdict != "ok":
        raise CommandFailed(
            f"The copy is damaged, so its source may be damaged, too: {first_fault(verdict)}"
        )
    sync(target)


def beside(database: Path) -> list[Path]:
    """The files that SQLite may keep beside a database."""
    return [database.with_name(f"{database.name}{end}") for end in BESIDE]


def remove(database: Path) -> None:
    """Deletes a database and what is beside it, as far as it is there."""
    for each in (database, *beside(database)):
        each.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Writes a file, or the names in a folder, to the disk itself; Windows has no way for these."""
    if os.name == "nt" and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
