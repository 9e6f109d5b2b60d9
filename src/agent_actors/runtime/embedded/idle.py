"""The idle actors: since when they are idle, and which have reached their idle timeout."""

import asyncio
import math
from collections import OrderedDict, defaultdict
from contextlib import suppress

from agent_actors.clock import Clock
from agent_actors.protocol.ids import ActorRef
from agent_actors.settings.actors import RulesOf

_LOOK_AGAIN = 3600.0


class IdleActors:
    """A list in order of time for each actor type, since each has its own idle timeout."""

    def __init__(self, clock: Clock, rules_of: RulesOf) -> None:
        self._clock = clock
        self._rules_of = rules_of
        self._since: defaultdict[str, OrderedDict[str, float]] = defaultdict(OrderedDict)
        self._earlier = asyncio.Event()
        self._wakes_at = math.inf

    def __contains__(self, actor: ActorRef) -> bool:
        return actor.id in self._since[actor.type]

    def add(self, actor: ActorRef) -> None:
        """Adds an actor that is idle from now on."""
        now = self._clock.monotonic()
        self._since[actor.type][actor.id] = now
        if now + self._rules_of(actor.type).idle_timeout < self._wakes_at:
            self._earlier.set()

    def remove(self, actor: ActorRef) -> None:
        """Removes an actor that has a turn, or is deactivated."""
        self._since[actor.type].pop(actor.id, None)

    def clear(self) -> None:
        """Removes all actors."""
        self._since.clear()

    async def wait(self) -> None:
        """Returns when an actor has reached its idle timeout; other tasks run in between."""
        while (wait := min(map(self._until, self._since), default=_LOOK_AGAIN)) > 0:
            self._earlier.clear()
            self._wakes_at = self._clock.monotonic() + wait
            # An actor of another type with a shorter timeout may be added meanwhile.
            with suppress(TimeoutError):
                async with self._clock.timeout(wait):
                    await self._earlier.wait()
        await self._clock.sleep(0)

    def overdue(self) -> ActorRef | None:
        """An actor that has reached its idle timeout."""
        for actor_type in self._since:
            if self._until(actor_type) == 0:
                return ActorRef(actor_type, next(iter(self._since[actor_type])))
        return None

    def _until(self, actor_type: str) -> float:
        since = self._since[actor_type]
        if not since:
            return _LOOK_AGAIN
        end = next(iter(since.values())) + self._rules_of(actor_type).idle_timeout
        return max(0.0, end - self._clock.monotonic())
