"""The actors that have nothing to do, since when, and which of them for too long."""

import asyncio
from collections import OrderedDict, defaultdict
from contextlib import suppress

from agent_actors.clock import Clock
from agent_actors.settings.actors import RulesOf

Key = tuple[str, str]
"""The actor's type and id."""

_LOOK_AGAIN = 3600.0


class IdleActors:
    """A list by time for each actor type, since each has an idle timeout of its own.

    Args:
        clock: What is waited on.
        rules_of: Has the idle timeouts.
    """

    def __init__(self, clock: Clock, rules_of: RulesOf) -> None:
        self._clock = clock
        self._rules_of = rules_of
        self._since: defaultdict[str, OrderedDict[str, float]] = defaultdict(OrderedDict)
        self._added = asyncio.Event()

    def __contains__(self, key: Key) -> bool:
        return key[1] in self._since[key[0]]

    def add(self, key: Key) -> None:
        """From now on it has nothing to do."""
        self._since[key[0]][key[1]] = self._clock.monotonic()
        if len(self._since[key[0]]) == 1:
            self._added.set()

    def remove(self, key: Key) -> None:
        """It has something to do, or is gone."""
        self._since[key[0]].pop(key[1], None)

    def clear(self) -> None:
        """Forgets all of them."""
        self._since.clear()

    async def wait(self) -> None:
        """Returns when one of them has been idle for its time, and others have had a moment."""
        while (wait := self._until_first()) != 0:
            self._added.clear()
            # An actor of another type may be added meanwhile whose time ends earlier.
            with suppress(TimeoutError):
                async with self._clock.timeout(_LOOK_AGAIN if wait is None else wait):
                    await self._added.wait()
        await self._clock.sleep(0)

    def overdue(self) -> Key | None:
        """One that has been idle for its time."""
        for actor_type in self._since:
            if self._until(actor_type) == 0:
                return actor_type, next(iter(self._since[actor_type]))
        return None

    def _until_first(self) -> float | None:
        waits = [self._until(actor_type) for actor_type in self._since]
        return min((wait for wait in waits if wait is not None), default=None)

    def _until(self, actor_type: str) -> float | None:
        since = self._since[actor_type]
        if not since:
            return None
        end = next(iter(since.values())) + self._rules_of(actor_type).idle_timeout
        return max(0.0, end - self._clock.monotonic())
