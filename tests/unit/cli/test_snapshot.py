"""A copy of the database, taken while it may be in use."""

import os
import sqlite3
from collections.abc import Callable, Iterator
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


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("name", ["", "-wal", "-shm", "-journal", "lock"])
def test_what_a_service_has_open_is_never_replaced(
    folder: Path, writer: object, name: str, *, force: bool
):
    """Neither the database nor what belongs to it, whether or not it is there at the moment."""
    database = folder / snapshot.DATABASE
    (folder / "lock").touch()
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    target = folder / name if name == "lock" else folder / f"{snapshot.DATABASE}{name}"

    with pytest.raises(CommandFailed, match=r"database itself|belongs to the database"):
        snapshot.take(folder / ".." / folder.name, target, force=force)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert said(database) == ["Hello"]


def test_what_belongs_to_a_linked_database_is_never_replaced(
    folder: Path, writer: object, tmp_path: Path
):
    """SQLite keeps its log beside the file that the link leads to."""
    other = tmp_path / "other"
    other.mkdir()
    (other / snapshot.DATABASE).symlink_to(folder / snapshot.DATABASE)

    with pytest.raises(CommandFailed, match="belongs to the database"):
        snapshot.take(other, folder / f"{snapshot.DATABASE}-wal", force=True)


def test_a_database_that_another_program_has_open_is_never_replaced(
    folder: Path, writer: object, tmp_path: Path
):
    """Its log would be applied to the backup."""
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(other, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE theirs (text)")
        with pytest.raises(CommandFailed, match="files of SQLite beside it"):
            snapshot.take(folder, other, force=True)
        assert connection.execute("SELECT * FROM theirs").fetchall() == []


def link_to_a_file(target: Path) -> None:
    target.with_name("precious").write_text("precious")
    target.symlink_to(target.with_name("precious"))


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize(
    "make",
    [
        os.mkfifo,
        os.mkdir,
        link_to_a_file,
        lambda target: target.symlink_to("nowhere"),
        lambda target: target.symlink_to(target),
    ],
)
def test_only_a_regular_file_is_replaced(
    folder: Path, writer: object, tmp_path: Path, make: Callable[[Path], None], *, force: bool
):
    """A pipe, a folder or a link stays as it is."""
    target = tmp_path / "copy.db"
    make(target)
    before = target.lstat()

    with pytest.raises(CommandFailed, match="is not a regular file"):
        snapshot.take(folder, target, force=force)
    assert (target.lstat().st_mode, target.lstat().st_ino) == (before.st_mode, before.st_ino)


def test_a_long_name_is_a_name(folder: Path, writer: object, tmp_path: Path):
    """What is written first has a short name of its own."""
    file = tmp_path / ("n" * 247)
    snapshot.take(folder, file, force=False)

    assert said(file) == ["Hello"]
    assert {path.name for path in tmp_path.iterdir()} == {file.name, "data"}


@pytest.mark.parametrize("place", ["n" * 248, "n" * 255, "n" * 300, f"{'n' * 300}/copy.db"])
def test_a_name_that_is_too_long_is_an_error(
    folder: Path, writer: object, tmp_path: Path, place: str
):
    """SQLite could not keep its files beside it, so nothing could restore it."""
    with pytest.raises(CommandFailed, match="too long"):
        snapshot.take(folder, tmp_path / place, force=False)


def test_a_damaged_page_is_named_in_one_line(
    folder: Path, writer: sqlite3.Connection, tmp_path: Path
):
    """SQLite lists up to a hundred faults, under a heading."""
    writer.executemany("INSERT INTO said VALUES (?)", [(f"{each:0500}",) for each in range(500)])
    writer.execute("DELETE FROM said")
    writer.close()
    with (folder / snapshot.DATABASE).open("r+b") as file:
        file.seek(32)
        file.write(bytes(8))  # The list of free pages is lost: none of them is used by anything.

    with pytest.raises(CommandFailed, match="damaged") as failed:
        snapshot.take(folder, tmp_path / "copy.db", force=False)
    assert failed.value.message.endswith("never used")
    assert "\n" not in failed.value.message
