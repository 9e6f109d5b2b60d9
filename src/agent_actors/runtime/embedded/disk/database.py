"""The database: one thread writes, and many writes share a commit; reads run on the event loop.

A commit costs about as much as ten writes, so all writes that are waiting when the writer is free
become one transaction (group commit). A read by key takes about ten microseconds in WAL mode and
never waits for the writer; passing it to a thread would take several times as long.
"""

import asyncio
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, TypeVar

from agent_actors.errors import StartupError, Unavailable
from agent_actors.runtime.embedded.disk.folder import LOST
from agent_actors.runtime.embedded.disk.schema import empty_log, open_reader, open_writer

T = TypeVar("T")
Operation = Callable[[sqlite3.Connection], T]
"""A part of a transaction. It may run twice, if another operation of its batch fails."""

_Job = tuple[Operation[Any], asyncio.Future[Any]]

_log = logging.getLogger(__name__)
_BATCH = 512
_FAILURES = (sqlite3.Error, ValueError, TypeError, OverflowError)
_REASONS = {
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_IOERR: "the disk failed",
    sqlite3.SQLITE_BUSY: "another process holds the database",
    sqlite3.SQLITE_LOCKED: "the database is locked",
    sqlite3.SQLITE_READONLY: "the database cannot be written",
    sqlite3.SQLITE_CORRUPT: "the database is damaged",
}


class Database:
    """The database of a runtime, from `open` to `close`."""

    def __init__(
        self,
        writer: sqlite3.Connection,
        reader: sqlite3.Connection,
        path: Path,
        lost: Callable[[], bool],
    ) -> None:
        self._path = path
        self._lost = lost
        self._writer = writer
        self._reader = reader
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._open = True
        self._ended: asyncio.Future[None] | None = None
        self._thread = threading.Thread(target=self._work, name="agent-actors-store", daemon=True)
        self._thread.start()

    @classmethod
    def open(
        cls,
        path: Path,
        synchronous: Literal["NORMAL", "FULL"],
        lost: Callable[[], bool] = lambda: False,
    ) -> "Database":
        """Opens the database in that file; creates it or migrates it to the present schema.

        `lost` says whether the file is no longer there for others; then nothing is saved.

        Raises:
            StartupError: The database cannot be opened; the text says why.
        """
        writer = open_writer(path, synchronous)
        try:
            reader = open_reader(path)
        except StartupError:
            writer.close()
            raise
        return cls(writer, reader, path, lost)

    @property
    def alive(self) -> bool:
        """Whether the database accepts writes."""
        return self._open and self._thread.is_alive()

    async def write(self, operation: Operation[T]) -> T:
        """Runs the operation and returns when it is committed, even if the caller is cancelled.

        Raises:
            Unavailable: It could not be saved. Nothing was saved, unless the disk failed midway.
        """
        return await asyncio.shield(self.submit(operation))

    def submit(self, operation: Operation[T]) -> "asyncio.Future[T]":
        """Queues the operation; the future is done when it is committed or has failed.

        Raises:
            Unavailable: The store is closed.
        """
        if not self.alive:
            raise Unavailable("The store is closed.")
        result: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        result.add_done_callback(_retrieve_error)
        self._jobs.put((operation, result))
        return result

    def rows(self, sql: str, *values: object) -> Sequence[Any]:
        """The rows of a query on the committed data.

        Raises:
            Unavailable: The database cannot be read.
        """
        try:
            return self._reader.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise _unavailable("read", error) from None

    async def purge(self) -> None:
        """Removes deleted data from the write-ahead log; its pages were overwritten at once.

        Raises:
            Unavailable: The log is in use and could not be emptied.
        """
        try:
            emptied = await asyncio.to_thread(empty_log, self._path)
        except sqlite3.Error as error:
            raise _unavailable("cleaned", error) from None
        if not emptied:
            raise Unavailable("Deleted data is still in the write-ahead log; try again later.")

    async def close(self) -> None:
        """Commits the queued operations, then closes. Idempotent."""
        if self._ended is None:
            self._open = False
            self._ended = asyncio.get_running_loop().run_in_executor(None, self._thread.join)
            self._jobs.put(None)
        await asyncio.shield(self._ended)
        self._reader.close()

    def _work(self) -> None:
        batch: list[_Job] = []
        try:
            while batch := self._take():
                _answer(batch, self._commit(batch))
        finally:
            # Also after a bug in this thread: nobody must be left waiting.
            self._open = False
            self._writer.close()
            while not self._jobs.empty():
                job = self._jobs.get_nowait()
                if job is not None:
                    batch.append(job)
            _answer(batch, [Unavailable("The store was closed.") for _ in batch])

    def _take(self) -> list[_Job]:
        """The queued jobs, at least one; none when the database is closed."""
        batch: list[_Job] = []
        job = self._jobs.get()
        while job is not None:
            batch.append(job)
            if len(batch) == _BATCH or self._jobs.empty():
                return batch
            job = self._jobs.get_nowait()
        if batch:
            self._jobs.put(None)
        return batch

    def _commit(self, batch: list[_Job]) -> list[Any]:
        """Commits all jobs in one transaction; if one fails, each in a transaction of its own.

        Returns the result of each job, or its error.
        """
        if self._lost():
            return [Unavailable(LOST) for _ in batch]
        try:
            self._writer.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            return [_saving_failed(error) for _ in batch]
        try:
            results = [operation(self._writer) for operation, _ in batch]
            self._writer.execute("COMMIT")
        except _FAILURES as error:
            # After some errors, such as a full disk, SQLite has already rolled back, and refuses.
            with suppress(sqlite3.Error):
                self._writer.execute("ROLLBACK")
            if len(batch) == 1:
                return [_saving_failed(error)]
            return [self._commit([job])[0] for job in batch]
        return results


def _retrieve_error(result: "asyncio.Future[Any]") -> None:
    """If the caller was cancelled, nobody else retrieves the error, and asyncio would log it."""
    if not result.cancelled():
        result.exception()


def _answer(batch: list[_Job], results: list[Any]) -> None:
    def resolve() -> None:
        for (_, future), result in zip(batch, results, strict=True):
            if future.done():
                continue
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)

    # If the loop is closed, nobody is waiting.
    if batch:
        with suppress(RuntimeError):
            batch[0][1].get_loop().call_soon_threadsafe(resolve)


def _saving_failed(error: Exception) -> Exception:
    if isinstance(error, sqlite3.OperationalError) or type(error) is sqlite3.DatabaseError:
        return _unavailable("saved to", error)
    return error


def _unavailable(what: str, error: sqlite3.Error) -> Unavailable:
    # The low byte is SQLite's primary result code.
    reason = _REASONS.get((getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF, "it failed")
    _log.error("the store could not be %s: %s", what, getattr(error, "sqlite_errorname", error))
    return Unavailable(f"The store cannot be {what}: {reason}. Try again later.")
