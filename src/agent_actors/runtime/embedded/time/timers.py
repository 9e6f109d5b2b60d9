"""Volatile timers: kept in memory, fired as turns, and stopped when their actor is deactivated.

They behave as Dapr documents it. On daprd 1.18.0, a timer outlives its actor's activation, keeps
the actor from becoming idle, and cannot be stopped by its own callback
(docs/dapr-behaviour.md#timers); here it is not so.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial

from agent_actors.background import Background
from agent_actors.clock import Clock
from agent_actors.errors import AgentError, Unavailable
from agent_actors.protocol.ids import ActorRef
from agent_actors.runtime.embedded.time.schedules import Recurrence, parse_timer

Key = tuple[str, str, str]
"""The actor's type and id, and the timer's name."""

Fire = Callable[[str, str, str, bytes], Awaitable[None]]
"""Runs a timer as a turn of its actor; raises if the turn fails."""

_log = logging.getLogger(__name__)


class Timers:
    """The timers of every actor of this process; each is a task."""

    def __init__(self, clock: Clock, fire: Fire) -> None:
        self._clock = clock
        self._fire = fire
        self._ticking: dict[ActorRef, dict[str, asyncio.Task[None]]] = {}
        self._background = Background("a timer stopped")
        self._refusing = False

    def __len__(self) -> int:
        return sum(map(len, self._ticking.values()))

    def register(self, actor_type: str, actor_id: str, name: str, body: bytes) -> None:
        """Starts a timer and replaces one of the same name.

        Raises:
            Invalid: The body does not have Dapr's form.
            Unavailable: The runtime is stopping.
        """
        if self._refusing:
            raise Unavailable("The service is stopping; try again later.")
        wall = self._clock.now().timestamp()
        schedule, fired = parse_timer(body, self._clock.monotonic(), wall)
        self.unregister(actor_type, actor_id, name)
        key = (actor_type, actor_id, name)
        task = self._background.begin(self._tick(key, schedule, fired))
        self._ticking.setdefault(ActorRef(actor_type, actor_id), {})[name] = task
        task.add_done_callback(partial(self._forget, key))

    def unregister(self, actor_type: str, actor_id: str, name: str) -> None:
        """Stops a timer, if it exists. A turn that it has begun continues."""
        task = self._ticking.get(ActorRef(actor_type, actor_id), {}).get(name)
        if task is not None:
            self._forget((actor_type, actor_id, name), task)
            task.cancel()

    def end(self, actor_type: str, actor_id: str) -> None:
        """Stops every timer of an actor."""
        for task in self._ticking.pop(ActorRef(actor_type, actor_id), {}).values():
            task.cancel()

    def refuse(self) -> None:
        """From now on no timer fires, and none can be registered."""
        self._refusing = True
        for actor in list(self._ticking):
            self.end(*actor)

    async def stop(self) -> None:
        """Stops all timers, and waits until they have stopped."""
        self.refuse()
        await self._background.drain()

    async def _tick(self, key: Key, schedule: Recurrence | None, body: bytes) -> None:
        while schedule is not None:
            await self._clock.sleep(max(0.0, schedule.due - self._clock.monotonic()))
            try:
                await self._fire(*key, body)
            except AgentError as error:
                _log.warning("timer %s of %s/%s failed: %s", key[2], *key[:2], error.title)
            # Only now: a timer does not overlap with itself, and skips the ticks it has missed.
            schedule = schedule.next(self._clock.monotonic())

    def _forget(self, key: Key, task: "asyncio.Task[None]") -> None:
        """Removes a timer, unless a new one of the same name has replaced it."""
        actor = ActorRef(*key[:2])
        timers = self._ticking.get(actor, {})
        if timers.get(key[2]) is task:
            del timers[key[2]]
            if not timers:
                del self._ticking[actor]
