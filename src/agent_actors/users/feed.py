"""Hands events to the consumers that nobody waits for: at once, and under load some at a time.

A call and a save for each event and consumer would cost a turn half as much again. A consumer that
has missed something, whatever the reason, is given it from the history. What a process leaves
undone when it ends is published again by the conversation, which asks the marks of every consumer
(I4).
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress

from agent_actors.background import Background
from agent_actors.clock import Clock
from agent_actors.errors import AgentError, TryLater
from agent_actors.observability import tracing
from agent_actors.protocol import ids, wire
from agent_actors.protocol.clients import BatchClient, ConsumerClient
from agent_actors.protocol.messages import TurnEvent
from agent_actors.state.documents import Head, Pair
from agent_actors.state.reader import StateReader

log = logging.getLogger(__name__)

PER_USER = 256
"""Events that may wait for one user, and so the longest batch."""
WAITING = 20_000
"""Events that may wait in all; what comes beyond is read from the history later."""
TRIES = 3
"""Times that a batch is offered; then its events are given with a later one."""
PAIRS = 32
"""Turns that are read at once for a consumer that has missed some."""
CATCH_UP = 64
"""Times that this is done before other users' consumers have their turn."""
CHARACTERS = 1024 * 1024
"""Characters of what was said in events that travel together; a sidecar has a limit, too."""
PAUSE = 0.2
"""Seconds before it is offered again; doubles each time."""


class Feed:
    """Brings each user's consumers up to date, at most once in a period.

    Args:
        consumers: Each gets every event.
        saved: The history, for what one of them has missed.
        clock: The time.
        period: Seconds between two batches for one user.
    """

    def __init__(
        self, consumers: Sequence[BatchClient], reader: StateReader, clock: Clock, period: float
    ) -> None:
        self._consumers = consumers
        self._reader = reader
        self._clock = clock
        self._period = period
        self._events: dict[str, list[_Waiting]] = {}
        self._waiting = 0
        self._tasks = Background("events were not handed over")
        self._closing = asyncio.Event()

    def add(self, user: str, event: TurnEvent) -> None:
        """Takes an event; the first one after a while is handed over at once."""
        events = self._events.get(user)
        if events is None:
            events = self._events[user] = []
            self._tasks.begin(self._serve(user, events))
        if len(events) < PER_USER and self._waiting < WAITING:
            events.append((event, tracing.traceparent()))
            self._waiting += 1

    async def apply(self, user: str, event: TurnEvent) -> None:
        """Hands one event over now, to every consumer.

        Raises:
            TryLater: It may not have been applied by all of them.
        """
        await asyncio.gather(*(each.apply(user, [event]) for each in self._consumers))

    @property
    def waiting(self) -> int:
        """Events that wait, or are being handed over."""
        return self._waiting

    async def drain(self) -> None:
        """Hands over what waits, and returns when that is done."""
        self._closing.set()
        await self._tasks.drain()

    async def stop(self) -> None:
        """Ends what is under way. Idempotent."""
        await self._tasks.stop()

    async def _serve(self, user: str, events: list["_Waiting"]) -> None:
        try:
            while events:
                batch = _some([event for event, _ in events])
                traces = [told for _, told in events[: len(batch)] if told is not None]
                del events[: len(batch)]
                with _traced(len(batch), traces):
                    offers = (self._offer(each, user, batch) for each in self._consumers)
                    await asyncio.gather(*offers)
                self._waiting -= len(batch)
                await self._pause(self._period)
        finally:
            self._waiting -= len(events)
            del self._events[user]

    async def _pause(self, seconds: float) -> None:
        """Waits, but not while the process stops."""
        with suppress(TimeoutError):
            async with self._clock.timeout(seconds):
                await self._closing.wait()

    async def _offer(self, consumer: BatchClient, user: str, batch: Sequence[TurnEvent]) -> None:
        for attempt in range(TRIES):
            if attempt:
                await self._pause(PAUSE * 2 ** (attempt - 1))
            try:
                early = await consumer.apply(user, batch)
                missed = {each.conversation for each in batch if each.event_id in early}
                for conversation in missed:
                    await self._catch_up(consumer, user, conversation)
            except TryLater:
                continue
            except AgentError as error:
                log.warning("%d events were not applied: %s", len(batch), error.title)
            return
        log.warning("%d events are to be applied later", len(batch))

    async def missed(
        self, consumer: ConsumerClient, user: str, conversation: str
    ) -> list[TurnEvent]:
        """The next turns that a consumer has not applied, from the history; none if it has all.

        Another replica holds their events, or they were lost, or the consumer was away.

        Raises:
            TryLater: A part is away.
        """
        head = await self._reader.head(conversation)
        mark = max(await consumer.mark(user, conversation), head.low - 1)
        if head.user != user or mark >= head.seq:
            return []
        pairs = await self._reader.pairs(conversation, head, mark + 1, min(head.seq, mark + PAIRS))
        return _some([_told(conversation, head, pair) for pair in pairs])

    async def _catch_up(self, consumer: BatchClient, user: str, conversation: str) -> None:
        for _ in range(CATCH_UP):
            missed = await self.missed(consumer, user, conversation)
            if not missed:
                return
            await consumer.apply(user, missed)


_Waiting = tuple[TurnEvent, str | None]
"""An event, and the trace that it belongs to."""


def _traced(events: int, traces: Sequence[str]) -> AbstractContextManager[object]:
    """Some events at once, in the trace of the first, with links to the others'."""
    return tracing.span(
        f"process {wire.USER_CHAT}",
        "consumer",
        {"messaging.operation.type": "process", "messaging.batch.message_count": events},
        parent=traces[0] if traces else None,
        links=traces[1:],
    )


def _some(events: Sequence[TurnEvent]) -> list[TurnEvent]:
    """The first events that can travel together; at least one, where there is any."""
    some: list[TurnEvent] = []
    size = 0
    for event in events:
        size += len(event.input.content) + len(event.output.content)
        if some and size > CHARACTERS:
            break
        some.append(event)
    return some


def _told(conversation: str, head: Head, pair: Pair) -> TurnEvent:
    """A turn as its event tells of it."""
    return TurnEvent(
        conversation,
        ids.event_id(conversation, pair.seq),
        pair.exchange.input,
        pair.exchange.output,
        pair.seq,
        pair.turn_id,
        pair.output.model,
        pair.output.usage,
        head.low - 1,
        occurred_at=pair.occurred_at,
    )
