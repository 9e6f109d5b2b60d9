"""The tables of the database, and the migrations from older schemas."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Literal

from agent_actors.errors import StartupError

_MIGRATIONS = (
    """
    CREATE TABLE state (
        type TEXT NOT NULL, id TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL,
        PRIMARY KEY (type, id, key)
    ) WITHOUT ROWID;
    CREATE TABLE reminders (
        type TEXT NOT NULL, id TEXT NOT NULL, name TEXT NOT NULL,
        due REAL NOT NULL, period REAL, expires REAL, data BLOB NOT NULL, version INTEGER NOT NULL,
        PRIMARY KEY (type, id, name)
    ) WITHOUT ROWID;
    CREATE TABLE dead_letters (
        number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, topic TEXT NOT NULL,
        reason TEXT NOT NULL, tries INTEGER NOT NULL, at REAL NOT NULL, event BLOB NOT NULL
    );
    """,
    "ALTER TABLE reminders ADD COLUMN remaining INTEGER;",
)
"""Append only: `PRAGMA user_version` is the number of migrations that a database has had."""

VERSION = len(_MIGRATIONS)
"""The present schema."""

_WAIT_FOR_WRITER = 5.0
_WAIT_FOR_READER = 0.005
_LOG_KEPT = 16 * 1024 * 1024


def open_writer(path: Path, synchronous: Literal["NORMAL", "FULL"]) -> sqlite3.Connection:
    """Opens the connection that writes, and migrates the database to the present schema.

    Raises:
        StartupError: It is not our database, or a newer one, or cannot be opened.
    """
    try:
        connection = _connect(path, _WAIT_FOR_WRITER)
    except sqlite3.Error as error:
        raise StartupError(_cannot_open(path, error)) from None
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        # Deleted data is overwritten: nobody can read a deleted user from the disk.
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute(f"PRAGMA journal_size_limit = {_LOG_KEPT}")
        _migrate(connection, path)
    except sqlite3.Error as error:
        connection.close()
        raise StartupError(_cannot_open(path, error)) from None
    except StartupError:
        connection.close()
        raise
    return connection


def empty_log(path: Path) -> bool:
    """Moves the write-ahead log into the database and empties it; False if it is in use."""
    connection = _connect(path, _WAIT_FOR_WRITER)
    try:
        busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finally:
        connection.close()
    return not busy


def open_reader(path: Path) -> sqlite3.Connection:
    """Opens the connection that reads committed data, without waiting for the writer.

    Raises:
        StartupError: The database cannot be opened.
    """
    try:
        connection = _connect(path, _WAIT_FOR_READER)
        connection.execute("PRAGMA query_only = ON")
    except sqlite3.Error as error:
        raise StartupError(_cannot_open(path, error)) from None
    return connection


def fault(connection: sqlite3.Connection) -> str | None:
    """Why this release cannot use a database, or None: it is ours, not newer, and intact.

    Raises:
        sqlite3.Error: It cannot be read.
    """
    columns, (version,) = _columns(connection), connection.execute("PRAGMA user_version").fetchone()
    if not {table for table, *_ in columns} >= {"state", "reminders"}:
        return "it is not a database of this service"
    if version > VERSION:
        return f"it was written by a newer release (schema {version}, this release knows {VERSION})"
    with closing(sqlite3.connect(":memory:")) as ours:
        for migration in _MIGRATIONS[:version]:
            ours.executescript(migration)
        if version < 1 or not columns >= _columns(ours):
            return "it is not a database of this service"
    (verdict,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    return None if verdict == "ok" else f"it is damaged ({first_fault(verdict)})"


def first_fault(verdict: str) -> str:
    """The first line of an integrity check, which may have a heading and a hundred lines."""
    lines = [line for line in verdict.splitlines() if line and not line.startswith("***")]
    return lines[0] if lines else verdict.partition("\n")[0]


def _columns(connection: sqlite3.Connection) -> set[tuple[str, str, str, bool, int]]:
    """Table, name, type, NOT NULL and place in the primary key of every column."""
    return set(
        connection.execute(
            'SELECT tables.name, columns.name, columns.type, columns."notnull", columns.pk'
            " FROM sqlite_master AS tables, pragma_table_info(tables.name) AS columns"
            " WHERE tables.type = 'table'"
        )
    )


def _connect(path: Path, wait: float) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=wait, isolation_level=None, check_same_thread=False)


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(_MIGRATIONS):
        raise StartupError(
            f"The database {str(path)!r} was written by a newer release (schema {version}, this"
            f" release knows {len(_MIGRATIONS)}); upgrade, or set AGENT_ACTORS_DATA to another"
            " folder."
        )
    for number in range(version, len(_MIGRATIONS)):
        connection.executescript(
            f"BEGIN IMMEDIATE; {_MIGRATIONS[number]} PRAGMA user_version = {number + 1}; COMMIT;"
        )


def _cannot_open(path: Path, error: sqlite3.Error) -> str:
    return f"The database {str(path)!r} cannot be opened: {error}."
