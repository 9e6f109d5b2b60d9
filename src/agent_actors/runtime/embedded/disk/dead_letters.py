"""The dead letters of the embedded runtime: a table, bounded in number and age."""

import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import Any

from agent_actors.clock import Clock
from agent_actors.protocol import dead_letters
from agent_actors.protocol.dead_letters import DeadLetter, LetterLimits, Redeliver
from agent_actors.runtime.embedded.disk.database import Database

_COLUMNS = "id, topic, reason, tries, at, event"
_LIST = f"SELECT {_COLUMNS} FROM dead_letters WHERE at > ? ORDER BY number DESC LIMIT ?"  # noqa: S608
_AFTER = f"SELECT {_COLUMNS}, number FROM dead_letters WHERE number > ? ORDER BY number LIMIT 64"  # noqa: S608
_ONE = f"SELECT {_COLUMNS} FROM dead_letters WHERE id = ?"  # noqa: S608 - constants
_KEEP = (
    "INSERT INTO dead_letters (id, topic, reason, tries, at, event) VALUES (?, ?, ?, ?, ?, ?)"
    " ON CONFLICT DO NOTHING"
)
_FORGET = "DELETE FROM dead_letters WHERE id = ?"
_FORGET_OLD = "DELETE FROM dead_letters WHERE at <= ?"
_FORGET_OVER = (
    "DELETE FROM dead_letters WHERE number <="
    " (SELECT number FROM dead_letters ORDER BY number DESC LIMIT 1 OFFSET ?)"
)


class DeadLetterTable:
    """The table of dead letters.

    Args:
        store: The database.
        clock: The present time.
        bounds: How many letters are kept, and how long.
    """

    def __init__(self, store: Database, clock: Clock, bounds: LetterLimits) -> None:
        self._store = store
        self._clock = clock
        self._bounds = bounds

    async def keep(self, topic: str, event: bytes, reason: str, tries: int) -> str:
        """Stores an event (JSON bytes) and returns its id; the same event is stored once.

        Raises:
            Unavailable: The store is unavailable; nothing was stored.
        """
        letter_id = dead_letters.id_of(topic, event)
        at = self._clock.now().timestamp()
        row = (letter_id, topic, reason, tries, at, event)
        await self._store.write(partial(_keep, row, at - self._bounds.age, self._bounds.number))
        return letter_id

    def list(self, limit: int) -> Sequence[DeadLetter]:
        """The newest letters, newest first."""
        oldest = self._clock.now().timestamp() - self._bounds.age
        return [_letter(row) for row in self._store.rows(_LIST, oldest, limit)]

    def find(self, letter_id: str) -> tuple[DeadLetter, bytes] | None:
        """A letter and its event as it was delivered, if there is such a letter."""
        rows = self._store.rows(_ONE, letter_id)
        return (_letter(rows[0]), bytes(rows[0][5])) if rows else None

    async def forget(self, letter_id: str) -> None:
        """Deletes a letter."""
        await self._store.write(partial(_forget, letter_id))

    async def search(self, which: Callable[[Any], bool]) -> AsyncIterator[DeadLetter]:
        """The letters whose event matches, oldest first."""
        last = 0
        while rows := self._store.rows(_AFTER, last):
            last = rows[-1][6]
            await self._clock.sleep(0)  # There may be many letters: let other tasks run.
            for letter in map(_letter, rows):
                if which(letter.event):
                    yield letter


class EmbeddedDeadLetters:
    """`runtime.DeadLetters` with a table."""

    def __init__(self, table: DeadLetterTable, redeliver: Redeliver) -> None:
        self._table = table
        self._redeliver = redeliver

    async def keep(self, topic: str, event: bytes, reason: str, tries: int) -> str:
        """Stores an event (JSON bytes) and returns its id; the same event is stored once.

        Raises:
            Unavailable: The store is unavailable; nothing was stored.
        """
        return await self._table.keep(topic, event, reason, tries)

    async def list(self, limit: int) -> Sequence[DeadLetter]:
        """The newest letters, newest first."""
        return self._table.list(limit)

    def find(self, which: Callable[[Any], bool]) -> AsyncIterator[DeadLetter]:
        """The letters whose event, as it is shown, matches; oldest first."""
        return self._table.search(which)

    async def forget(self, letter_id: str) -> None:
        """Deletes a letter, if it exists."""
        await self._table.forget(letter_id)

    async def requeue(self, letter_id: str) -> DeadLetter | None:
        """Delivers a letter again, once and now, and deletes it if that succeeds.

        Returns:
            The letter, or None if there is none with that id.

        Raises:
            Conflict: The delivery failed again; the text says why, and the letter stays.
        """
        found = self._table.find(letter_id)
        if found is None:
            return None
        letter, envelope = found
        await self._redeliver(letter.topic, envelope)
        await self._table.forget(letter_id)
        return letter


def _letter(row: Any) -> DeadLetter:
    letter_id, topic, reason, tries, at, event = row[:6]
    return dead_letters.shown(letter_id, topic, reason, tries, at, bytes(event))


def _keep(
    row: tuple[object, ...], oldest: float, number: int, connection: sqlite3.Connection
) -> None:
    connection.execute(_FORGET_OLD, (oldest,))
    connection.execute(_KEEP, row)
    connection.execute(_FORGET_OVER, (number,))


def _forget(letter_id: str, connection: sqlite3.Connection) -> None:
    connection.execute(_FORGET, (letter_id,))
