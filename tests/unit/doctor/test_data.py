"""The data folder, as `doctor` sees it."""

import asyncio
import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from agent_actors.doctor import data
from agent_actors.doctor.checks import open_checks, run_checks
from agent_actors.doctor.data import check_data
from agent_actors.doctor.finding import Finding
from agent_actors.engine.ports import free_port
from agent_actors.runtime.embedded import DATABASE
from agent_actors.runtime.embedded.disk.folder import LOCK, DataFolder, lock_owner
from agent_actors.runtime.embedded.disk.schema import VERSION, open_writer
from agent_actors.settings import Settings
from tests.unit.doctor.conftest import context

PLENTY = 10 * 1024**3


async def look(folder: Path, **given: Any) -> Sequence[Finding]:
    given = {"free": lambda _: PLENTY} | given
    return await check_data(context(Settings(data=folder)), **given)


async def only(folder: Path, **given: Any) -> Finding:
    (finding,) = await look(folder, **given)
    return finding


def names(folder: Path) -> list[str]:
    return [each.name for each in folder.iterdir()]


def copied(folder: Path) -> Path:
    """The database and its log, as they are at this moment."""
    other = folder / "other"
    other.mkdir()
    for each in folder.glob(f"{DATABASE}*"):
        (other / each.name).write_bytes(each.read_bytes())
    return other


def named(device: int) -> str:
    """As the kernel's lists have it."""
    return f"{os.major(device):02x}:{os.minor(device):02x}"


def made(folder: Path) -> Path:
    """A database as the service leaves it."""
    path = folder / DATABASE
    open_writer(path, "NORMAL").close()
    return path


async def test_a_missing_folder_is_ok(tmp_path: Path):
    """The first start makes it; doctor does not."""
    found = await only(tmp_path / "new" / "er")

    assert found.status == "ok"
    assert not names(tmp_path)


async def test_a_database_is_whole_and_left_as_it_was(tmp_path: Path):
    """Not even a file beside it is made."""
    path = made(tmp_path)
    before = path.read_bytes(), path.stat().st_mtime_ns
    found = await only(tmp_path)

    assert found.status == "ok"
    assert f"intact (schema {VERSION})" in found.found
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
    assert names(tmp_path) == [path.name]


async def test_a_folder_in_use_is_fine_and_says_by_whom(tmp_path: Path):
    """What the service has written since is read, too, and it goes on to write."""
    path = tmp_path / DATABASE
    lock = DataFolder.take(tmp_path)
    with closing(open_writer(path, "NORMAL")) as writer:
        writer.execute("INSERT INTO state VALUES ('T', 'a', 'k', x'00')")
        found = await only(tmp_path)
        writer.execute("INSERT INTO state VALUES ('T', 'b', 'k', x'00')")
    lock.release()

    assert found.status == "ok"
    assert "in use by process" in found.found


async def test_what_was_left_in_the_log_of_writes_is_read(tmp_path: Path):
    """A killed service leaves one; the database is looked at together with it."""
    path = made(tmp_path)
    with closing(open_writer(path, "NORMAL")) as writer:
        writer.execute("PRAGMA user_version = 999")
        other = copied(tmp_path)

    assert (await only(other)).found.startswith("the database is from a newer release (schema 999")


async def test_a_pipe_in_place_of_the_database_is_not_opened(tmp_path: Path):
    """Opening it would block forever."""
    os.mkfifo(tmp_path / DATABASE)
    async with asyncio.timeout(10):
        found = await only(tmp_path)

    assert (found.status, found.found) == ("FAIL", f"{tmp_path / DATABASE} is not a regular file")


async def test_later_checks_know_which_process_has_the_data(tmp_path: Path):
    """A service that has it, and does not answer where it is asked, is on another port."""
    url = f"http://127.0.0.1:{free_port()}"
    lock = DataFolder.take(tmp_path)
    try:
        given = context(Settings(data=tmp_path), url=url)
        async with open_checks(given) as checks:
            found = [each async for each in run_checks(checks, given)]
    finally:
        lock.release()
    (service,) = [each for each in found if each.check == "service"]

    assert service.status == "warn"
    assert f"process {os.getpid()} uses the data" in service.found


async def test_a_file_that_is_no_database_is_reported_and_kept(tmp_path: Path):
    """It may be precious."""
    (tmp_path / DATABASE).write_text("precious" * 100)
    found = await only(tmp_path)

    assert (found.status, "is damaged" in found.found) == ("FAIL", True)
    assert (tmp_path / DATABASE).read_text() == "precious" * 100


async def test_a_damaged_database_is_reported(tmp_path: Path):
    """A page in its middle is junk."""
    path = made(tmp_path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE much AS SELECT randomblob(100000) AS x")
        connection.execute("CREATE INDEX most ON much (x)")
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    whole = path.read_bytes()
    path.write_bytes(whole[:40_960] + b"\xff" * 8_192 + whole[49_152:])
    found = await only(tmp_path)

    assert found.status == "FAIL"
    assert "is damaged" in found.found
    assert "backup" in found.advice


async def test_a_database_of_a_newer_release_is_reported(tmp_path: Path):
    """The service would refuse it, too."""
    with closing(sqlite3.connect(made(tmp_path))) as connection:
        connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    found = await only(tmp_path)

    assert found.status == "FAIL"
    assert found.advice.startswith("upgrade")


async def test_a_folder_that_cannot_be_written_is_reported(tmp_path: Path):
    """Or a file in it."""
    path = made(tmp_path)
    for place in (tmp_path, path):
        found = await only(tmp_path, writable=lambda each, place=place: each != place)

        assert (found.status, found.found) == ("FAIL", f"{place} is not writable")


async def test_a_file_in_place_of_the_folder_is_reported(tmp_path: Path):
    """Nothing can be below it."""
    (tmp_path / "file").write_text("")

    assert "is not a folder" in (await only(tmp_path / "file" / "data")).found


@pytest.mark.parametrize(("free", "status"), [(data.LITTLE - 1, "warn"), (1024, "FAIL")])
async def test_a_disk_that_is_nearly_full_is_reported(tmp_path: Path, free: int, status: str):
    """First as a warning."""
    first, database = await look(tmp_path, free=lambda _: free)

    assert first.status == status
    assert "MB left" in first.found
    assert database.status == "ok"


async def test_a_large_database_is_not_read_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Then a warning says that it was not checked completely."""
    with closing(sqlite3.connect(made(tmp_path))) as connection:
        connection.execute("CREATE TABLE much (x)")
        connection.executemany("INSERT INTO much VALUES (?)", ((n,) for n in range(20_000)))
        connection.commit()
    monkeypatch.setattr(data, "READING", 0.0)
    monkeypatch.setattr(data, "_STEPS", 10)

    assert (await only(tmp_path)).status == "warn"


def test_a_lock_that_is_not_taken_has_no_owner(tmp_path: Path):
    """A file of that name alone says nothing: it stays when its process has ended."""
    assert lock_owner(tmp_path / LOCK) is None
    (tmp_path / LOCK).touch()
    assert lock_owner(tmp_path / LOCK) is None


def test_the_lock_of_another_file_is_not_taken_for_ours(tmp_path: Path):
    """Other kinds of locks, other files and malformed lines are skipped."""
    lock = tmp_path / LOCK
    lock.touch()
    device = named(lock.stat().st_dev)
    ours = f"{device}:{lock.stat().st_ino} 0 EOF"
    locks = tmp_path / "locks"
    others = (
        f"1: FLOCK  ADVISORY  WRITE 7 {device}:1 0 EOF\n2: POSIX  ADVISORY  READ 8 {ours}\n3:\n"
        f"4: FLOCK  ADVISORY  WRITE 6 <none>:{lock.stat().st_ino} 0 EOF\n"
        f"5: FLOCK  ADVISORY  WRITE 5 ff:77:{lock.stat().st_ino} 0 EOF\n"
    )
    locks.write_text(others)

    assert lock_owner(lock, locks) is None
    locks.write_text(f"{others}6: FLOCK  ADVISORY  WRITE 9 {ours}\n")
    assert lock_owner(lock, locks) == 9


@pytest.mark.parametrize(
    ("device", "listed", "ours"),
    [
        ((0xFE, 0x1A), "fe:1a", True),
        ((0xFE, 0x1A), "fe:1b", False),
        ((0xFE, 0x1A), "fd:1a", False),
        ((0, 0x23), "00:1e", True),
        ((0, 0x23), "fe:23", False),
        ((0xFE, 0x1A), "00:1a", False),
    ],
)
def test_a_file_of_the_same_number_on_another_disk_is_not_ours(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    device: tuple[int, int],
    listed: str,
    *,
    ours: bool,
):
    """Of file systems without a disk of their own, the lists and `stat` tell different numbers."""
    locks = tmp_path / "locks"
    locks.write_text(f"1: FLOCK  ADVISORY  WRITE 9 {listed}:42 0 EOF\n")

    told = os.stat_result((0o600, 42, os.makedev(*device), 1, 0, 0, 0, 0, 0, 0))
    with monkeypatch.context() as on_that_disk:
        on_that_disk.setattr(Path, "stat", lambda _: told)
        found = lock_owner(tmp_path / LOCK, locks)

    assert found == (9 if ours else None)


def test_a_system_without_a_list_of_locks_raises(tmp_path: Path):
    """`/proc` is Linux's."""
    with pytest.raises(FileNotFoundError):
        lock_owner(tmp_path / LOCK, tmp_path / "locks")
