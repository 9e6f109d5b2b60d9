import sqlite3
from pathlib import Path

import pytest

from agent_actors.errors import StartupError
from agent_actors.runtime.embedded.disk.schema import _MIGRATIONS, open_reader, open_writer


def test_a_new_database_gets_the_tables(tmp_path: Path):
    """An empty file becomes a database of the present schema, in WAL mode."""
    connection = open_writer(tmp_path / "new.db", "FULL")

    assert connection.execute("PRAGMA user_version").fetchone() == (2,)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)

    connection.close()


def test_an_older_database_gets_what_is_new(tmp_path: Path):
    """A reminder of a database from before repetitions goes on without an end."""
    connection = sqlite3.connect(tmp_path / "older.db", isolation_level=None)
    connection.executescript(_MIGRATIONS[0])
    connection.execute("INSERT INTO reminders VALUES ('T', 'i', 'n', 5.0, 1.0, NULL, 'null', 7)")
    connection.execute("PRAGMA user_version = 1")
    connection.close()
    connection = open_writer(tmp_path / "older.db", "NORMAL")

    assert connection.execute("SELECT due, version, remaining FROM reminders").fetchall() == [
        (5.0, 7, None)
    ]

    connection.close()


def test_a_newer_database_is_refused(tmp_path: Path):
    """A database of a later release is left alone, and the text says so."""
    connection = open_writer(tmp_path / "newer.db", "NORMAL")
    connection.execute("PRAGMA user_version = 99")
    connection.close()

    with pytest.raises(StartupError, match=r"newer release \(schema 99"):
        open_writer(tmp_path / "newer.db", "NORMAL")


def test_another_file_is_refused(tmp_path: Path):
    """A file that is no database is left alone, and the text names it."""
    (tmp_path / "notes.db").write_text("these are notes, not a database" * 100)

    with pytest.raises(StartupError, match=r"notes\.db.*not a database"):
        open_writer(tmp_path / "notes.db", "NORMAL")


def test_a_folder_is_no_database(tmp_path: Path):
    """If a folder has the name of the database, the error says that it cannot be opened."""
    with pytest.raises(StartupError, match="cannot be opened"):
        open_writer(tmp_path, "NORMAL")
    with pytest.raises(StartupError, match="cannot be opened"):
        open_reader(tmp_path)


def test_the_reader_cannot_write(tmp_path: Path):
    """The connection for reads refuses anything else."""
    open_writer(tmp_path / "new.db", "NORMAL").close()
    reader = open_reader(tmp_path / "new.db")

    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.execute("DELETE FROM state")

    reader.close()
