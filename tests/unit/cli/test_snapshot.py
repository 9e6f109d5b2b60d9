"""A copy of the database, taken while it may be in use."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from agent_actors.cli import snapshot
from agent_actors.cli.failures import CommandFailed


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


@pytest.fixture
def writer(folder: Path) -> Iterator[sqlite3.Connection]:
    """A service that has the database open, and something in its log that is not in its file."""
    with closing(sqlite3.connect(folder / snapshot.DATABASE, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA user_version = 7")
        connection.execute("CREATE TABLE said (text)")
        connection.execute("INSERT INTO said VALUES ('Hello')")
        yield connection


def said(file: Path) -> list[str]:
    with closing(sqlite3.connect(file)) as connection:
        return [text for (text,) in connection.execute("SELECT text FROM said")]


def test_the_data_of_a_running_service_is_copied(folder: Path, writer: object, tmp_path: Path):
    """The copy is one file with what was committed and its schema's version, for its owner only."""
    file = tmp_path / "copy.db"
    snapshot.take(folder, file, force=False)

    assert said(file) == ["Hello"]
    assert file.stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (7,)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy.db", "data"]


def test_a_transaction_under_way_is_not_copied(
    folder: Path, writer: sqlite3.Connection, tmp_path: Path
):
    """Uncommitted data are not in the copy, and do not delay it."""
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("INSERT INTO said VALUES ('not yet')")
    snapshot.take(folder, tmp_path / "copy.db", force=False)

    assert said(tmp_path / "copy.db") == ["Hello"]


def test_the_data_of_a_stopped_service_is_copied(
    folder: Path, writer: sqlite3.Connection, tmp_path: Path
):
    """A backup needs no running service."""
    writer.close()
    snapshot.take(folder, tmp_path / "copy.db", force=False)

    assert said(tmp_path / "copy.db") == ["Hello"]


def test_a_file_that_is_there_is_kept(folder: Path, writer: object, tmp_path: Path):
    """A backup replaces a file only with `--force`."""
    file = tmp_path / "copy.db"
    file.write_text("precious")

    with pytest.raises(CommandFailed, match="--force"):
        snapshot.take(folder, file, force=False)
    assert file.read_text() == "precious"


def test_a_file_that_is_there_is_replaced_by_force(folder: Path, writer: object, tmp_path: Path):
    """With `force` the file is replaced, in one step."""
    file = tmp_path / "copy.db"
    file.write_text("old")
    snapshot.take(folder, file, force=True)

    assert said(file) == ["Hello"]


def test_a_folder_without_data_is_an_error(folder: Path, tmp_path: Path):
    """There is no database to copy, and none is created."""
    with pytest.raises(CommandFailed, match="no database"):
        snapshot.take(folder, tmp_path / "copy.db", force=False)
    assert not list(folder.iterdir())


@pytest.mark.parametrize("place", ["missing/copy.db", "file/copy.db"])
def test_a_missing_folder_is_an_error(folder: Path, writer: object, tmp_path: Path, place: str):
    """The folder is missing, or is a file."""
    (tmp_path / "file").write_text("")

    with pytest.raises(CommandFailed, match="There is no folder"):
        snapshot.take(folder, tmp_path / place, force=False)


def test_a_damaged_database_leaves_no_copy(
    folder: Path, writer: sqlite3.Connection, tmp_path: Path
):
    """It is an error, and no partial copy stays."""
    writer.close()
    (folder / snapshot.DATABASE).write_bytes(b"no database at all" * 1000)

    with pytest.raises(CommandFailed):
        snapshot.take(folder, tmp_path / "copy.db", force=False)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
