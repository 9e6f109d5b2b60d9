"""The tables of the database, and how an older one becomes the present one."""

import sqlite3
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
"""Only ever appended to: `PRAGMA user_version` counts how many of them a database has."""

VERSION = len(_MIGRATIONS)
"""Of the present form."""

_WAIT_FOR_WRITER = 5.0
_WAIT_FOR_READER = 0.005
_LOG_KEPT = 16 * 1024 * 1024


def open_writer(path: Path, synchronous: Literal["NORMAL", "FULL"]) -> sqlite3.Connection:
    """The connection that writes, to a database of the present form.

    Raises:
        StartupError: It is no database of ours, a newer one, or cannot be opened.
    """
    try:
        connection = _connect(path, _WAIT_FOR_WRITER)
    except sqlite3.Error as error:
        raise StartupError(_cannot_open(path, error)) from None
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        # What was erased is overwritten: a deleted user is not to be read off the disk.
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
    """Moves the log of writes into the database, and empties its file; False if it was in use."""
    connection = _connect(path, _WAIT_FOR_WRITER)
    try:
        busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finally:
        connection.close()
    return not busy


def open_reader(path: Path) -> sqlite3.Connection:
    """The connection that reads; it sees what is committed and waits for nobody.

    Raises:
        StartupError: It cannot be opened.
    """
    try:
        connection = _connect(path, _WAIT_FOR_READER)
        connection.execute("PRAGMA query_only = ON")
    except sqlite3.Error as error:
        raise StartupError(_cannot_open(path, error)) from None
    return connection


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
