"""The dead letters of the embedded runtime: a table, bounded in number and age."""

import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
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


class EmbeddedDeadLetters:
    """`runtime.DeadLetters` in a table; `redeliver` delivers a letter again."""

    def __init__(self, store: Database, clock: Clock, redeliver: Redeliver) -> None:
        self._store = store
        self._clock = clock
        self._redeliver = redeliver
        self._bounds = LetterLimits()

    async def keep(self, topic: str, event: bytes, reason: str, tries: int) -> str:
        """Stores an event (JSON bytes) and returns its id; the same event is stored once.

        Raises:
            Unavailable: The store is unavailable; nothing was stored.
        """
        letter_id = dead_letters.id_of(topic, event)
        at = self._clock.now().timestamp()

        def insert(connection: sqlite3.Connection) -> None:
            connection.execute(_FORGET_OLD, (at - self._bounds.age,))
            connection.execute(_KEEP, (letter_id, topic, reason, tries, at, event))
            connection.execute(_FORGET_OVER, (self._bounds.number,))

        await self._store.write(insert)
        return letter_id

    async def list(self, limit: int) -> Sequence[DeadLetter]:
        """The newest letters, newest first."""
        oldest = self._clock.now().timestamp() - self._bounds.age
        return [_letter(row) for row in self._store.rows(_LIST, oldest, limit)]

    async def find(self, which: Callable[[Any], bool]) -> AsyncIterator[DeadLetter]:
        """The letters whose event, as it is shown, matches; oldest first."""
        last = 0
        while rows := self._store.rows(_AFTER, last):
            last = rows[-1][6]
            await self._clock.sleep(0)  # There may be many letters: let other tasks run.
            for letter in map(_letter, rows):
                if which(letter.event):
                    yield letter

    async def forget(self, letter_id: str) -> None:
        """Deletes a letter, if it exists."""
        await self._store.write(lambda connection: connection.execute(_FORGET, (letter_id,)))

    async def requeue(self, letter_id: str) -> DeadLetter | None:
        """Delivers a letter again, once and now, and deletes it if that succeeds.

        Raises:
            Conflict: The delivery failed again; the text says why, and the letter stays.
        """
        rows = self._store.rows(_ONE, letter_id)
        if not rows:
            return None
        letter = _letter(rows[0])
        await self._redeliver(letter.topic, bytes(rows[0][5]))
        await self.forget(letter_id)
        return letter


def _letter(row: Any) -> DeadLetter:
    letter_id, topic, reason, tries, at, event = row[:6]
    return dead_letters.shown(letter_id, topic, reason, tries, at, bytes(event))
