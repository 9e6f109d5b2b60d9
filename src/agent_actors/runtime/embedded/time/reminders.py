"""Durable reminders: saved before they are confirmed, fired as turns, kept over restarts.

They behave as on Dapr (docs/dapr-behaviour.md#reminders): a firing that fails is tried four times,
one second apart, and then the tick is skipped; one fire makes up for any number of missed ticks;
only ticks that fire count as repetitions.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

from dapr.actor import ActorRuntime

from agent_actors.background import Background
from agent_actors.clock import Clock
from agent_actors.errors import AgentError, Unavailable
from agent_actors.runtime.embedded.disk.database import Database
from agent_actors.runtime.embedded.time.agenda import Agenda
from agent_actors.runtime.embedded.time.schedules import Recurrence, parse

Key = tuple[str, str, str]
"""The actor's type and id, and the reminder's name."""

Fire = Callable[[str, str, str, bytes], Awaitable[None]]
"""Runs a reminder as a turn of its actor; raises if the turn fails."""

_log = logging.getLogger(__name__)
_RETRIES = 3
_RETRY_AFTER = 1.0
_AT_ONCE = 256
_RECOVER_AT_ONCE = 16
_UNHOSTED_AFTER = 60.0
_VOID_KEPT = 1024

_LOAD = (
    "SELECT type, id, name, due, period, expires, remaining, data, version FROM reminders"
    " ORDER BY due"
)
_UPSERT = (
    "INSERT INTO reminders (type, id, name, due, period, expires, remaining, data, version)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET due = excluded.due,"
    " period = excluded.period, expires = excluded.expires, remaining = excluded.remaining,"
    " data = excluded.data, version = excluded.version"
)
_FORGET = "DELETE FROM reminders WHERE type = ? AND id = ? AND name = ?"
_FORGET_THIS = _FORGET + " AND version = ?"
_MOVE = (
    "UPDATE reminders SET due = ?, remaining = ?"
    " WHERE type = ? AND id = ? AND name = ? AND version = ?"
)


@dataclass(slots=True)
class _Reminder:
    """A saved reminder. A later registration of the same name has another `version`."""

    schedule: Recurrence
    data: bytes
    version: int


class Reminders:
    """The reminders of every actor of this process, saved in the store.

    Those whose name is in `recover` fire at the start, even if they are not due yet.
    """

    def __init__(self, store: Database, clock: Clock, fire: Fire, recover: frozenset[str]) -> None:
        self._store = store
        self._clock = clock
        self._fire = fire
        self._recover = recover
        self._known: dict[Key, _Reminder] = {}
        self._firing: set[Key] = set()
        self._agenda: Agenda[tuple[Key, int]] = Agenda(clock, self._now)
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._background = Background("a reminder stopped")
        self._version = 0
        self._refusing = False
        self._scheduler: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Reads the saved reminders and begins to fire."""
        early: list[Key] = []
        for actor_type, actor_id, name, *when, data, version in self._store.rows(_LOAD):
            key = (actor_type, actor_id, name)
            schedule = Recurrence(*when)
            self._known[key] = _Reminder(schedule, bytes(data), version)
            self._version = max(self._version, version)
            if name in self._recover:
                early.append(key)
            else:
                self._agenda.add(schedule.due, (key, version))
        self._scheduler = self._background.begin(self._run())
        self._firing.update(early)
        waiting = iter(early)
        for _ in range(min(_RECOVER_AT_ONCE, len(early))):
            self._background.begin(self._recover_some(waiting))

    def refuse(self) -> None:
        """From now on no reminder fires; those that are due stay saved."""
        self._refusing = True
        if self._scheduler is not None:
            self._scheduler.cancel()

    async def stop(self) -> None:
        """Cancels the fires under way, like a crash: they are repeated at the next start."""
        self.refuse()
        await self._background.stop()

    async def register(self, key: Key, body: bytes) -> None:
        """Saves a reminder and replaces one of the same name; returns when it is committed.

        Raises:
            Invalid: The body does not have Dapr's form.
            Unavailable: The store is unavailable.
        """
        schedule, data = parse(body, self._now())
        self._version += 1
        reminder = _Reminder(schedule, data, self._version)
        row = (*key, schedule.due, schedule.period, schedule.expires, schedule.left)
        await self._execute(_UPSERT, *row, data, reminder.version)
        self._known[key] = reminder
        self._agenda.add(schedule.due, (key, reminder.version))
        if len(self._agenda) > 2 * len(self._known) + _VOID_KEPT:
            self._agenda.prune(self._is_current)

    async def unregister(self, key: Key) -> None:
        """Deletes a reminder, if it exists.

        Raises:
            Unavailable: The store is unavailable.
        """
        await self._execute(_FORGET, *key)
        self._known.pop(key, None)

    async def _run(self) -> None:
        while True:
            await self._room.acquire()
            _, entry = await self._agenda.take()
            while not self._is_current(entry) or entry[0] in self._firing:
                _, entry = await self._agenda.take()
            self._firing.add(entry[0])
            self._background.begin(self._fire_in_room(entry[0]))

    def _is_current(self, entry: tuple[Key, int]) -> bool:
        """Whether an entry is of the present registration; older ones stay until they are due."""
        reminder = self._known.get(entry[0])
        return reminder is not None and reminder.version == entry[1]

    async def _fire_in_room(self, key: Key) -> None:
        try:
            await self._tick(key)
        finally:
            self._room.release()

    async def _recover_some(self, waiting: Iterator[Key]) -> None:
        for key in waiting:
            if self._refusing:
                return
            if key in self._known:
                self._known[key].schedule = self._known[key].schedule.early(self._now())
                await self._tick(key)
            self._firing.discard(key)

    async def _tick(self, key: Key) -> None:
        """Fires a reminder, with retries; then enters the next tick or deletes the reminder."""
        reminder = self._known.get(key)
        if reminder is None:
            self._firing.discard(key)
            return
        after: Recurrence | None
        if key[0] in ActorRuntime.get_registered_actor_types():
            if not await self._fire_with_retries(key, reminder):
                return
            after = reminder.schedule.next(self._now())
        else:
            # This process does not host the type, for example after a downgrade: nothing is lost.
            after = reminder.schedule.early(self._now() + _UNHOSTED_AFTER)
        self._firing.discard(key)
        current = self._known.get(key)
        if current is reminder:
            await self._move(key, reminder, after)
        elif current is not None:
            # Registered again meanwhile: its entry may have been skipped during this fire.
            self._agenda.add(current.schedule.due, (key, current.version))

    async def _fire_with_retries(self, key: Key, reminder: _Reminder) -> bool:
        """Fires a reminder; False if the runtime stops, so that the tick is not over."""
        body = b'{"data":' + reminder.data + b',"dueTime":"","period":""}'
        for attempt in range(_RETRIES + 1):
            if attempt:
                await self._clock.sleep(_RETRY_AFTER)
            if self._known.get(key) is not reminder:
                return True
            try:
                await self._fire(*key, body)
            except AgentError as error:
                if self._refusing:
                    return False
                _log.warning("reminder %s of %s/%s failed: %s", key[2], *key[:2], error.title)
            else:
                return True
        _log.error("reminder %s of %s/%s: the retries failed, too; this tick is skipped",
                   key[2], *key[:2])  # fmt: skip
        return True

    async def _move(self, key: Key, reminder: _Reminder, after: Recurrence | None) -> None:
        if after is None:
            self._known.pop(key)
        else:
            reminder.schedule = after
            self._agenda.add(after.due, (key, reminder.version))
        try:
            if after is None:
                await self._execute(_FORGET_THIS, *key, reminder.version)
            else:
                await self._execute(_MOVE, after.due, after.left, *key, reminder.version)
        except Unavailable:
            # The reminder continues from memory; after a restart the tick may be repeated.
            _log.warning("reminder %s of %s/%s could not be saved", key[2], *key[:2])

    def _now(self) -> float:
        return self._clock.now().timestamp()

    async def _execute(self, sql: str, *values: object) -> None:
        await self._store.write(lambda connection: connection.execute(sql, values))
