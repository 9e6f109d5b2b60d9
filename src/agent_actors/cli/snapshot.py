"""Copies the database of the embedded runtime, which may be in use."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from agent_actors.cli.failures import CommandFailed

DATABASE = "agent-actors.db"


def take(folder: Path, file: Path, *, force: bool) -> Path:
    """Copies the database of a data folder to a file, and returns the path of the database.

    The file appears only when the copy is complete and checked.

    Raises:
        CommandFailed: There is no database, the file cannot be written, or the copy is damaged.
    """
    database = folder / DATABASE
    if not database.is_file():
        raise CommandFailed(
            f"There is no database at {database.absolute()}; use --data to name its folder."
        )
    if not file.parent.is_dir():
        raise CommandFailed(f"There is no folder {file.parent} for the backup.")
    if file.exists() and not force:
        raise CommandFailed(f"{file} already exists; use --force to replace it.")
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        partial.touch(mode=0o600)  # It contains conversations, like its folder.
        _copy(database, partial)
        partial.replace(file)
    except (sqlite3.Error, OSError) as error:
        raise CommandFailed(f"The backup failed: {error}") from None
    finally:
        partial.unlink(missing_ok=True)
    return database


def _copy(database: Path, target: Path) -> None:
    source_uri = f"{database.resolve().as_uri()}?mode=ro"
    with (
        closing(sqlite3.connect(source_uri, uri=True)) as source,
        closing(sqlite3.connect(target)) as copy,
    ):
        source.backup(copy, pages=-1)  # One step, so one moment, whoever writes meanwhile.
        copy.execute("PRAGMA journal_mode=DELETE")  # One file: no `-wal` beside it.
        (verdict,) = copy.execute("PRAGMA integrity_check").fetchone()
    if verdict != "ok":
        raise CommandFailed(f"The copy is damaged, so {database} may be damaged, too: {verdict}")
