"""Volatile timers: in memory, fired as turns, and gone with their actor's activation.

What is promised is what Dapr documents. On daprd 1.18.0 a timer goes on when its actor is put away,
keeps it from being put away, and cannot be stopped by its own callback
(docs/dapr-behaviour.md#timers); here it does not.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextvars import Context
from functools import partial

from agent_actors.clock import Clock
from agent_actors.errors import AgentError, Unavailable
from agent_actors.runtime.embedded.time.schedules import Recurrence, TimerRegistration, parse_timer

Key = tuple[str, str, str]
"""The actor's type and id, and the timer's name."""

Fire = Callable[[str, str, str, bytes], Awaitable[None]]
"""Runs a timer as a turn of its actor; raises where the turn failed."""

_log = logging.getLogger(__name__)


class Timers:
    """The timers of every actor of this process, a task each.

    Args:
        clock: When they are due.
        fire: How they are fired.
    """

    def __init__(self, clock: Clock, fire: Fire) -> None:
        self._clock = clock
        self._fire = fire
        self._ticking: dict[tuple[str, str], dict[str, asyncio.Task[None]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._refusing = False

    def __len__(self) -> int:
        return sum(map(len, self._ticking.values()))

    def register(self, actor_type: str, actor_id: str, name: str, body: bytes) -> None:
        """Starts a timer, in place of one of the same name.

        Raises:
            Invalid: The body is not of Dapr's form.
            Unavailable: The runtime is stopping.
        """
        if self._refusing:
            raise Unavailable("The service is stopping; try again later.")
        wall = self._clock.now().timestamp()
        registration = parse_timer(body, self._clock.monotonic(), wall)
        self.unregister(actor_type, actor_id, name)
        key = (actor_type, actor_id, name)
        # An empty context: it would inherit the caller's reentrancy id.
        task = asyncio.create_task(self._tick(key, registration), context=Context())
        self._ticking.setdefault((actor_type, actor_id), {})[name] = task
        self._tasks.add(task)
        task.add_done_callback(partial(self._ended, key))

    def unregister(self, actor_type: str, actor_id: str, name: str) -> None:
        """Stops a timer, if it is there. A turn of it that runs goes on."""
        task = self._ticking.get((actor_type, actor_id), {}).get(name)
        if task is not None:
            self._forget((actor_type, actor_id, name), task)
            task.cancel()

    def end(self, actor_type: str, actor_id: str) -> None:
        """Stops every timer of an actor."""
        for task in self._ticking.pop((actor_type, actor_id), {}).values():
            task.cancel()

    def refuse(self) -> None:
        """From now on no fire begins, and none is promised."""
        self._refusing = True
        for actor in list(self._ticking):
            self.end(*actor)

    async def stop(self) -> None:
        """Ends all of them."""
        self.refuse()
        if self._tasks:
            await asyncio.wait(set(self._tasks))

    async def _tick(self, key: Key, registration: TimerRegistration) -> None:
        schedule: Recurrence | None = registration.schedule
        while schedule is not None:
            await self._clock.sleep(max(0.0, schedule.due - self._clock.monotonic()))
            try:
                await self._fire(*key, registration.body)
            except AgentError as error:
                _log.warning("timer %s of %s/%s failed: %s", key[2], *key[:2], error.title)
            # Only now: a timer does not overlap with itself, and what it missed is gone.
            schedule = schedule.next(self._clock.monotonic())

    def _ended(self, key: Key, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        self._forget(key, task)

    def _forget(self, key: Key, task: "asyncio.Task[None]") -> None:
        """Unless another one has its place."""
        named = self._ticking.get(key[:2], {})
        if named.get(key[2]) is task:
            del named[key[2]]
            if not named:
                del self._ticking[key[:2]]
