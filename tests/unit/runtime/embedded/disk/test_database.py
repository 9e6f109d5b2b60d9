import asyncio
import sqlite3
from pathlib import Path

import pytest

from agent_actors.errors import Unavailable
from agent_actors.runtime.embedded.disk.database import Database

INSERT = "INSERT INTO state (type, id, key, value) VALUES ('T', 'i', ?, ?)"


def put(key: str, value: bytes = b"1"):
    return lambda connection: connection.execute(INSERT, (key, value)).rowcount


def saved(store: Database) -> set[str]:
    return {row[0] for row in store.rows("SELECT key FROM state")}


async def test_a_write_is_read_by_others_when_it_returns(store: Database, tmp_path: Path):
    """A write that has returned is committed: another connection sees it."""
    assert await store.write(put("k")) == 1

    other = sqlite3.connect(tmp_path / "test.db")

    assert other.execute("SELECT key FROM state").fetchall() == [("k",)]

    other.close()


async def test_writes_that_wait_share_a_transaction(store: Database):
    """Writes that wait for the writer share one commit."""
    commits: list[str] = []
    started, go_on = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow(connection: sqlite3.Connection) -> None:
        connection.set_trace_callback(commits.append)
        loop.call_soon_threadsafe(started.set)
        asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result()

    first = asyncio.create_task(store.write(slow))
    await started.wait()
    rest = [asyncio.create_task(store.write(put(str(number)))) for number in range(50)]
    await asyncio.wait(rest, timeout=0.01)
    go_on.set()
    await asyncio.gather(first, *rest)

    assert commits.count("COMMIT") == 2


async def test_a_failing_write_does_not_spoil_its_companions(store: Database):
    """If one write of a batch fails, the others are saved, and only it raises."""
    results = await asyncio.gather(
        store.write(put("a")),
        store.write(put("b")),
        store.write(lambda connection: connection.execute(INSERT, ("a", None))),
        store.write(put("c")),
        return_exceptions=True,
    )

    assert isinstance(results[2], sqlite3.IntegrityError)
    assert saved(store) == {"a", "b", "c"}


async def test_a_failing_write_leaves_nothing(store: Database):
    """An operation of two statements whose second fails saves neither."""

    def both(connection: sqlite3.Connection) -> None:
        connection.execute(INSERT, ("a", b"1"))
        connection.execute(INSERT, ("a", b"2"))

    with pytest.raises(sqlite3.IntegrityError):
        await store.write(both)

    assert saved(store) == set()


async def test_a_value_that_cannot_be_bound_fails_alone(store: Database):
    """A lone surrogate is not text for SQLite; the writer continues."""
    with pytest.raises(UnicodeEncodeError):
        await store.write(put("\ud800"))

    assert await store.write(put("k")) == 1


async def test_a_full_disk_is_unavailable(store: Database):
    """A write that finds no room raises Unavailable, saves nothing, and later ones work."""
    await store.write(lambda connection: connection.execute("PRAGMA max_page_count = 12"))
    with pytest.raises(Unavailable, match="the disk is full"):
        await store.write(put("big", b"x" * 1_000_000))

    assert saved(store) == set()

    await store.write(lambda connection: connection.execute("PRAGMA max_page_count = 10000"))
    await store.write(put("big", b"x" * 1_000_000))

    assert saved(store) == {"big"}


async def test_a_database_held_by_another_is_unavailable(store: Database, tmp_path: Path):
    """If another process writes for too long, each write of the batch raises."""
    await store.write(lambda connection: connection.execute("PRAGMA busy_timeout = 10"))
    other = sqlite3.connect(tmp_path / "test.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    results = await asyncio.gather(
        store.write(put("a")), store.write(put("b")), return_exceptions=True
    )

    assert [str(result) for result in results] == [
        "The store cannot be saved to: another process holds the database. Try again later."
    ] * 2
    assert store.rows("SELECT key FROM state") == []

    other.execute("ROLLBACK")
    other.close()

    assert await store.write(put("a")) == 1


async def test_a_broken_database_cannot_be_read(store: Database):
    """A failing read is an error and not an empty answer."""
    with pytest.raises(Unavailable, match="cannot be read"):
        store.rows("SELECT * FROM nothing")


async def test_a_caller_that_leaves_does_not_undo_its_write(store: Database):
    """The write of a cancelled caller is committed."""
    task = asyncio.create_task(store.write(put("k")))
    await asyncio.wait([task], timeout=0)
    task.cancel()
    await asyncio.wait([task])
    await store.write(put("after"))

    assert saved(store) == {"k", "after"}


async def test_closing_commits_what_waits(tmp_path: Path):
    """Writes that were queued before the close are saved."""
    store = Database.open(tmp_path / "closing.db", "FULL")
    writes = [asyncio.create_task(store.write(put(str(number)))) for number in range(20)]
    await asyncio.wait(writes, timeout=0)
    await store.close()
    await store.close()
    await asyncio.gather(*writes)
    store = Database.open(tmp_path / "closing.db", "NORMAL")

    assert len(saved(store)) == 20

    await store.close()


async def test_a_closed_store_takes_nothing(store: Database):
    """After the close a write raises and is not lost silently."""
    await store.close()

    with pytest.raises(Unavailable, match="closed"):
        await store.write(put("k"))
    assert not store.alive


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_a_dead_writer_fails_what_waits(store: Database):
    """If a bug ends the writer thread, waiting callers get an error."""

    def dies(connection: sqlite3.Connection) -> None:
        raise SystemExit

    results = await asyncio.gather(store.write(dies), store.write(put("k")), return_exceptions=True)

    assert [type(result) for result in results] == [Unavailable, Unavailable]
    assert not store.alive
