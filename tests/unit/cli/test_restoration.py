"""A backup is put in the place of the database: whole, or not at all."""

import json
import os
import resource
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent_actors.cli import restoration, snapshot
from agent_actors.cli.failures import CommandFailed
from agent_actors.errors import StartupError
from agent_actors.runtime.embedded.disk.folder import DataFolder
from agent_actors.runtime.embedded.disk.schema import VERSION, open_writer

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
KEPT = "agent-actors-20260102T030405Z.db"


def database(folder: Path, said: str, *, size: int = 0) -> sqlite3.Connection:
    """An open database of the service; what it has is in its log, not yet in its file."""
    folder.mkdir(exist_ok=True)
    connection = open_writer(folder / snapshot.DATABASE, "FULL")
    rows = [("said", said.encode()), ("size", bytes(size))]
    connection.executemany("INSERT INTO state VALUES ('ChatAgent', 'ada', ?, ?)", rows)
    return connection


def said(file: Path) -> str:
    with closing(sqlite3.connect(file)) as connection:
        (value,) = connection.execute("SELECT value FROM state WHERE key = 'said'").fetchone()
    return bytes(value).decode()


def abandoned(folder: Path, said: str, *, size: int = 0) -> None:
    """A folder as a killed service leaves it: what was said is in the log only."""
    with closing(database(folder.with_name("alive"), said, size=size)):
        shutil.copytree(folder.with_name("alive"), folder)
    shutil.rmtree(folder.with_name("alive"))
    assert (folder / "agent-actors.db-wal").stat().st_size > 0


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    """A backup in which `old` was said."""
    with closing(database(tmp_path / "source", "old")):
        snapshot.take(tmp_path / "source", tmp_path / "backup.db", force=False)
    return tmp_path / "backup.db"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder in which `new` was said, after the backup."""
    abandoned(tmp_path / "data", "new")
    return tmp_path / "data"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_backup_takes_the_place_of_the_database(backup: Path, folder: Path):
    """The former one is kept with what was in its log, and no log stays that SQLite would apply."""
    assert restoration.restore(backup, folder, NOW) == (folder / "agent-actors.db", [folder / KEPT])

    assert said(folder / "agent-actors.db") == "old"
    assert said(folder / KEPT) == "new"
    assert names(folder) == [KEPT, "agent-actors.db", "lock"]
    assert stat.S_IMODE((folder / "agent-actors.db").stat().st_mode) == 0o600
    assert said(backup) == "old"


def test_a_restore_can_be_undone(backup: Path, folder: Path):
    """What was kept is a backup itself, and two restores in one second keep two."""
    restoration.restore(backup, folder, NOW)
    _, kept = restoration.restore(folder / KEPT, folder, NOW)

    assert said(folder / "agent-actors.db") == "new"
    assert [said(each) for each in kept] == ["old"]
    assert said(folder / KEPT) == "new"


def test_an_empty_place_needs_no_folder(backup: Path, tmp_path: Path):
    """On a new machine the folder is created, for its owner only."""
    fresh = tmp_path / "new" / "data"

    assert restoration.restore(backup, fresh, NOW) == (fresh / "agent-actors.db", [])
    assert said(fresh / "agent-actors.db") == "old"
    assert stat.S_IMODE(fresh.stat().st_mode) == 0o700


def test_a_folder_in_use_is_refused(backup: Path, folder: Path):
    """A service holds the lock of the folder; nothing is changed below it."""
    before = names(folder)
    service = DataFolder.take(folder)
    try:
        with pytest.raises(StartupError, match="in use by process"):
            restoration.restore(backup, folder, NOW)
    finally:
        service.release()

    assert names(folder) == sorted({*before, "lock"})
    assert said(folder / "agent-actors.db") == "new"


def test_a_program_that_has_the_database_open_is_noticed(backup: Path, folder: Path):
    """It takes no lock of the folder, but what it writes would go to a file without a name."""
    with closing(sqlite3.connect(folder / "agent-actors.db")) as shell:
        shell.execute("BEGIN IMMEDIATE")
        with pytest.raises(CommandFailed, match=r"another program has .* open"):
            restoration.restore(backup, folder, NOW)

    assert said(folder / "agent-actors.db") == "new"
    assert KEPT not in names(folder)


def test_a_database_of_a_running_service_can_be_the_source(folder: Path, tmp_path: Path):
    """A copy of a folder with its log is whole, and what is only in the log is restored."""
    with closing(database(tmp_path / "other", "elsewhere")):
        restoration.restore(tmp_path / "other" / "agent-actors.db", folder, NOW)

    assert said(folder / "agent-actors.db") == "elsewhere"


def test_an_older_schema_is_restored(folder: Path, tmp_path: Path):
    """A backup of an earlier release is migrated by the next start."""
    dump = Path(__file__).parents[2] / "regressions" / "database-0.1.sql"
    with closing(sqlite3.connect(tmp_path / "older.db")) as older:
        older.executescript(dump.read_text(encoding="utf-8"))
    restoration.restore(tmp_path / "older.db", folder, NOW)

    with closing(open_writer(folder / "agent-actors.db", "FULL")) as migrated:
        assert migrated.execute("PRAGMA user_version").fetchone() == (VERSION,)
        assert migrated.execute("SELECT count(*) FROM state").fetchone() > (0,)


def truncated(file: Path, backup: Path) -> None:
    file.write_bytes(backup.read_bytes()[: 4096 * 3])


def cut_inside_a_page(file: Path, backup: Path) -> None:
    file.write_bytes(backup.read_bytes()[:-100])


def zeroed(file: Path, backup: Path) -> None:
    content = backup.read_bytes()
    file.write_bytes(content[:4096] + bytes(len(content) - 4096))


def newer(file: Path, backup: Path) -> None:
    shutil.copy(backup, file)
    with closing(sqlite3.connect(file)) as connection:
        connection.execute(f"PRAGMA user_version = {VERSION + 1}")


def foreign(file: Path, _: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA user_version = 2")
        connection.execute("CREATE TABLE bookmarks (url TEXT)")


def foreign_of_that_name(file: Path, _: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA user_version = 2")
        connection.execute("CREATE TABLE state (name TEXT)")
        connection.execute("CREATE TABLE reminders (name TEXT)")


def only_started(file: Path, _: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE state (type TEXT, id TEXT, key TEXT, value BLOB)")
        connection.execute("CREATE TABLE reminders (type TEXT, id TEXT, name TEXT)")


def without_its_log(file: Path, backup: Path) -> None:
    """`cp` of the database of a running service, without the file beside it."""
    with closing(database(backup.with_name("running"), "lost")):
        shutil.copy(backup.with_name("running") / "agent-actors.db", file)


@pytest.mark.parametrize(
    ("careless", "reason"),
    [
        (lambda file, _: None, "There is no file"),
        (lambda file, _: file.mkdir(), "is not a regular file"),
        (lambda file, _: os.mkfifo(file), "is not a regular file"),
        (lambda file, backup: file.symlink_to(backup), "is a symbolic link; name the file itself"),
        (lambda file, _: file.symlink_to("nowhere"), "is a symbolic link"),
        (lambda file, _: file.symlink_to(file), "is a symbolic link"),
        (lambda file, _: file.write_bytes(b""), "is not a database of this service"),
        (lambda file, _: file.write_text("precious\n" * 999), "file is not a database"),
        (truncated, "malformed"),
        (cut_inside_a_page, "its end is missing"),
        (zeroed, "malformed|damaged"),
        (newer, f"newer release .schema {VERSION + 1}, this release knows {VERSION}"),
        (foreign, "is not a database of this service"),
        (foreign_of_that_name, "is not a database of this service"),
        (only_started, "is not a database of this service"),
        (without_its_log, "is not a database of this service|malformed"),
    ],
    ids=[
        *("missing", "folder", "pipe", "link", "dangling", "itself", "empty"),
        *(
            "text",
            "truncated",
            "cut",
            "zeroed",
            "newer",
            "foreign",
            "namesake",
            "no version",
            "no log",
        ),
    ],
)
def test_what_is_not_a_whole_backup_is_refused(
    careless: Callable[[Path, Path], object], reason: str, backup: Path, folder: Path
):
    """The reason is one sentence, and the folder is not touched."""
    file = backup.with_name("given.db")
    careless(file, backup)
    before = {name: (folder / name).read_bytes() for name in names(folder)}

    with pytest.raises(CommandFailed, match=reason):
        restoration.restore(file, folder, NOW)
    assert {name: (folder / name).read_bytes() for name in names(folder)} == before


def test_a_refused_file_creates_no_folder(tmp_path: Path):
    """The file is judged before anything is written."""
    (tmp_path / "text").write_text("precious")

    with pytest.raises(CommandFailed):
        restoration.restore(tmp_path / "text", tmp_path / "data", NOW)
    assert names(tmp_path) == ["text"]


@pytest.mark.parametrize("through", ["itself", "hard link"])
def test_the_database_itself_is_no_backup(through: str, folder: Path, tmp_path: Path):
    """By whatever name: it would be restored to itself."""
    file = folder / "agent-actors.db"
    if through == "hard link":
        file = tmp_path / "link.db"
        os.link(folder / "agent-actors.db", file)

    with pytest.raises(CommandFailed, match="name a backup"):
        restoration.restore(file, folder, NOW)
    assert said(folder / "agent-actors.db") == "new"


@pytest.mark.parametrize("kind", ["link", "folder"])
def test_a_strange_database_is_not_replaced(kind: str, backup: Path, tmp_path: Path):
    """A link leads to another disk, perhaps; it is for a person to decide what to do."""
    (tmp_path / "data").mkdir()
    place = tmp_path / "data" / "agent-actors.db"
    place.mkdir() if kind == "folder" else place.symlink_to(tmp_path / "elsewhere.db")

    with pytest.raises(CommandFailed, match="move it away"):
        restoration.restore(backup, tmp_path / "data", NOW)
    assert names(tmp_path / "data") == ["agent-actors.db"]


def test_a_data_folder_that_is_a_file_is_refused(backup: Path, tmp_path: Path):
    """It is the error of a start on such a folder."""
    (tmp_path / "file").write_text("precious")

    with pytest.raises(StartupError, match="cannot be written"):
        restoration.restore(backup, tmp_path / "file", NOW)
    assert (tmp_path / "file").read_text() == "precious"


def test_a_damaged_database_is_kept_with_its_log(backup: Path, folder: Path):
    """It is what one restores for: nothing of it is thrown away, or applied to the new one."""
    (folder / "agent-actors.db").write_bytes(b"no database at all" * 1000)
    (folder / "agent-actors.db-wal").write_bytes(b"no log" * 1000)
    log = (folder / "agent-actors.db-wal").read_bytes()
    _, kept = restoration.restore(backup, folder, NOW)

    assert said(folder / "agent-actors.db") == "old"
    assert [path.name for path in kept] == [KEPT, f"{KEPT}-wal", f"{KEPT}-shm"]
    assert (folder / KEPT).read_bytes() == b"no database at all" * 1000
    assert (folder / f"{KEPT}-wal").read_bytes() == log


def test_a_log_without_its_database_is_not_applied(backup: Path, folder: Path):
    """Somebody has deleted the database, and not what was beside it."""
    (folder / "agent-actors.db").unlink()
    _, kept = restoration.restore(backup, folder, NOW)

    assert said(folder / "agent-actors.db") == "old"
    assert [path.name for path in kept] == [f"{KEPT}-wal", f"{KEPT}-shm"]


def test_without_hard_links_the_former_one_is_copied(
    backup: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    """Some file systems have none."""

    def refuse(*_: object) -> None:
        raise PermissionError("Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    restoration.restore(backup, folder, NOW)

    assert (said(folder / "agent-actors.db"), said(folder / KEPT)) == ("old", "new")


def test_a_copy_that_cannot_be_written_changes_nothing(backup: Path, folder: Path):
    """As on a full disk: the error has its reason, and no part of the copy stays."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, hard))
    try:
        with pytest.raises(CommandFailed, match=r"The restore failed: .*disk"):
            restoration.restore(backup, folder, NOW)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))

    assert said(folder / "agent-actors.db") == "new"
    assert KEPT not in names(folder)
    assert not list(folder.glob("*restoring*"))


def test_a_killed_restore_leaves_one_of_the_two_whole(backup: Path, tmp_path: Path):
    """Killed before each file operation and at ten moments; the former one is never lost."""
    abandoned(tmp_path / "data", "new", size=8 * 1024**2)
    done = subprocess.run(
        [
            sys.executable,
            str(Path(__file__).with_name("killed_restores.py")),
            backup,
            folder := tmp_path / "data",
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    found = json.loads(done.stdout)

    assert {each["database"] for each in found} == {"ok: old", "ok: new"}
    for each in found:
        assert each["killed"] or each["database"] == "ok: old", each
        assert set(each["kept"]) <= {"ok: new"}, each
        assert each["database"] == "ok: new" or each["kept"] == ["ok: new"], each
    assert sum(each["killed"] for each in found) > 15
    assert said(folder / "agent-actors.db") == "new"


def test_what_a_killed_restore_has_left_does_no_harm(backup: Path, folder: Path):
    """Its copy and what was beside it are removed by the next one."""
    for end in ("", "-wal", "-shm", "-journal"):
        (folder / f"agent-actors.db.restoring{end}").write_bytes(b"half")
    restoration.restore(backup, folder, NOW)

    assert said(folder / "agent-actors.db") == "old"
    assert names(folder) == [KEPT, "agent-actors.db", "lock"]
