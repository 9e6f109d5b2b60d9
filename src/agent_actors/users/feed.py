"""Delivers events, in batches, to the consumers that no turn waits for.

One call and one save per event and consumer would make a turn half as expensive again. A consumer
that has missed an event, for whatever reason, gets it from the history. What is not delivered when
a process ends is published again by the conversation, which compares the marks of all consumers
(I4).
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress

from agent_actors.background import Background
from agent_actors.clock import Clock
from agent_actors.conversation.outbox import turn_event
from agent_actors.errors import AgentError, TryLater
from agent_actors.observability import tracing
from agent_actors.protocol import wire
from agent_actors.protocol.clients import BatchClient, ConsumerClient
from agent_actors.protocol.events import TurnEvent
from agent_actors.retry import RetryPolicy, retry
from agent_actors.state.reader import StateReader

log = logging.getLogger(__name__)

PER_USER = 256
"""The events that may wait for one user, and so the longest batch."""
WAITING = 20_000
"""The events that may wait in total; further ones are read from the history later."""
TRIES = 3
"""The attempts to deliver a batch; after them, a later batch brings its events."""
ATTEMPTS = RetryPolicy(pause=0.2, attempts=TRIES)
PAIRS = 32
"""The turns that are read at once for a consumer that has missed some."""
CATCH_UP = 64
"""How often this is done in a row; then it is another user's turn."""
CHARACTERS = 1024 * 1024
"""The characters of the messages of a batch; a sidecar has a limit as well."""


class EventFeed:
    """Brings the consumers of each user up to date, at most once in `period` seconds."""

    def __init__(
        self, consumers: Sequence[BatchClient], reader: StateReader, clock: Clock, period: float
    ) -> None:
        self._consumers = consumers
        self._reader = reader
        self._clock = clock
        self._period = period
        self._events: dict[str, list[tuple[TurnEvent, str | None]]] = {}
        """By user: the waiting events, each with the `traceparent` of its delivery."""
        self._waiting = 0
        self._tasks = Background("events were not delivered")
        self._closing = asyncio.Event()

    def add(self, event: TurnEvent) -> None:
        """Adds an event to the next batch of its user; after a quiet period that is now."""
        events = self._events.get(event.user)
        if events is None:
            events = self._events[event.user] = []
            self._tasks.begin(self._serve(event.user, events))
        if len(events) < PER_USER and self._waiting < WAITING:
            events.append((event, tracing.traceparent()))
            self._waiting += 1

    async def apply(self, event: TurnEvent) -> None:
        """Delivers one event to every consumer now; `TryLater` if one may not have applied it."""
        await asyncio.gather(*(each.apply(event.user, [event]) for each in self._consumers))

    async def missed(
        self, consumer: ConsumerClient, user: str, conversation: str
    ) -> list[TurnEvent]:
        """The next events of a conversation for a consumer, from the history; empty if none.

        The events may be waiting in another replica, or be lost, or the consumer was unavailable.
        """
        head = await self._reader.head(conversation)
        mark = max(await consumer.mark(user, conversation), head.low - 1)
        if head.user != user or mark >= head.seq:
            return []
        pairs = await self._reader.pairs(conversation, head, mark + 1, min(head.seq, mark + PAIRS))
        return _batch([turn_event(conversation, head, pair) for pair in pairs])

    @property
    def waiting(self) -> int:
        """The number of events that wait or are being delivered."""
        return self._waiting

    async def drain(self) -> None:
        """Delivers what is waiting, and returns when that is done."""
        self._closing.set()
        await self._tasks.drain()

    async def stop(self) -> None:
        """Stops delivering. Idempotent."""
        await self._tasks.stop()

    async def _serve(self, user: str, events: list[tuple[TurnEvent, str | None]]) -> None:
        try:
            while events:
                batch = _batch([event for event, _ in events])
                traces = [trace for _, trace in events[: len(batch)] if trace is not None]
                del events[: len(batch)]
                with tracing.span(
                    f"process {wire.USER_CHAT}",
                    "consumer",
                    {
                        "messaging.operation.type": "process",
                        "messaging.batch.message_count": len(batch),
                    },
                    parent=traces[0] if traces else None,
                    links=traces[1:],
                ):
                    await asyncio.gather(
                        *(self._deliver(each, user, batch) for each in self._consumers)
                    )
                self._waiting -= len(batch)
                await self._sleep(self._period)
        finally:
            self._waiting -= len(events)
            del self._events[user]

    async def _deliver(self, consumer: BatchClient, user: str, batch: Sequence[TurnEvent]) -> None:
        async def attempt() -> None:
            early = await consumer.apply(user, batch)
            for conversation in {each.conversation for each in batch if each.event_id in early}:
                for _ in range(CATCH_UP):
                    missed = await self.missed(consumer, user, conversation)
                    if not missed:
                        break
                    await consumer.apply(user, missed)

        try:
            await retry(attempt, ATTEMPTS, on=TryLater, clock=self._clock, sleep=self._sleep)
        except TryLater:
            # At a stop that is as it should be: the reminder of the conversation delivers them.
            level = logging.INFO if self._closing.is_set() else logging.WARNING
            text = "%d event(s) will be delivered later: the consumer is unavailable"
            log.log(level, text, len(batch))
        except AgentError as error:
            log.warning("%d event(s) were not applied: %s", len(batch), error.title)

    async def _sleep(self, seconds: float) -> None:
        """Waits, but not while the process is stopping."""
        with suppress(TimeoutError):
            async with self._clock.timeout(seconds):
                await self._closing.wait()


def _batch(events: Sequence[TurnEvent]) -> list[TurnEvent]:
    """The first events, as many as fit into one call; at least one if there is any."""
    batch: list[TurnEvent] = []
    size = 0
    for event in events:
        size += len(event.input.content) + len(event.output.content)
        if batch and size > CHARACTERS:
            break
        batch.append(event)
    return batch
