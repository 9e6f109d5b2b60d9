"""Hands events to the consumers that nobody waits for: at once, and under load some at a time.

A call and a save for each event and consumer would cost a turn half as much again. What a process
leaves undone when it ends, or cannot do, is published again by the conversation, which asks the
marks of every consumer (I4).
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from contextvars import Context
from typing import Any

from agent_actors.clients import BatchClient
from agent_actors.clock import Clock
from agent_actors.errors import AgentError, TryLater
from agent_actors.messages import Remember

log = logging.getLogger(__name__)

PER_USER = 256
"""Events that may wait for one user, and so the longest batch."""
WAITING = 20_000
"""Events that may wait in all; what comes beyond is published again later."""
TRIES = 3
"""Times that a batch is offered; then its events are left to be published again."""
ROUNDS = 8
"""Times that an event comes too early, because another replica holds the one before it."""
PAUSE = 0.2
"""Seconds before it is offered again; doubles each time."""


class Feed:
    """Brings each user's consumers up to date, at most once in a period.

    Args:
        consumers: Each gets every event.
        clock: The time.
        period: Seconds between two batches for one user.
    """

    def __init__(self, consumers: Sequence[BatchClient], clock: Clock, period: float) -> None:
        self._consumers = consumers
        self._clock = clock
        self._period = period
        self._events: dict[str, list[Remember]] = {}
        self._waiting = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = asyncio.Event()

    def add(self, user: str, event: Remember) -> None:
        """Takes an event; the first one after a while is handed over at once."""
        events = self._events.get(user)
        if events is None:
            events = self._events[user] = []
            self._spawn(self._serve(user, events))
        if len(events) < PER_USER and self._waiting < WAITING:
            events.append(event)
            self._waiting += 1

    async def apply(self, user: str, event: Remember) -> None:
        """Hands one event over now, to every consumer.

        Raises:
            TryLater: It may not have been applied by all of them.
        """
        await asyncio.gather(*(each.apply(user, [event]) for each in self._consumers))

    async def drain(self) -> None:
        """Hands over what waits, and returns when that is done."""
        self._closing.set()
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def stop(self) -> None:
        """Ends what is under way. Idempotent."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        # An empty context, as for a model's call: a caller's reentrancy id must not be inherited.
        task = asyncio.create_task(work, context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, user: str, events: list[Remember]) -> None:
        rounds: Counter[str] = Counter()
        try:
            while events:
                batch = events[:]
                early = await self._hand_over(user, batch)
                rounds.update(early)
                again = [
                    event
                    for event in batch
                    if event.event_id in early and rounds[event.event_id] < ROUNDS
                ]
                self._waiting -= len(batch) - len(again)
                events[: len(batch)] = again
                await self._pause(self._period)
        finally:
            self._waiting -= len(events)
            del self._events[user]

    async def _pause(self, seconds: float) -> None:
        """Waits, but not while the process stops."""
        with suppress(TimeoutError):
            async with self._clock.timeout(seconds):
                await self._closing.wait()

    async def _hand_over(self, user: str, batch: Sequence[Remember]) -> set[str]:
        """Offers a batch to every consumer; the ids of the events that came too early."""
        offers = (self._offer(each, user, batch) for each in self._consumers)
        return set().union(*await asyncio.gather(*offers))

    async def _offer(
        self, consumer: BatchClient, user: str, batch: Sequence[Remember]
    ) -> Sequence[str]:
        for attempt in range(TRIES):
            if attempt:
                await self._pause(PAUSE * 2 ** (attempt - 1))
            try:
                return await consumer.apply(user, batch)
            except TryLater:
                continue
            except AgentError as error:
                log.warning("%d events were not applied: %s", len(batch), error.title)
                return ()
        log.warning("%d events wait to be published again", len(batch))
        return ()
