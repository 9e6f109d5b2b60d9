"""NotificationActor as a consumer of events, for the users who have a phone number.

The number is the user's preference `phone`. It is read for each batch of events. A user without one
has no NotificationActor, and never misses an event.
"""

from collections.abc import Sequence
from dataclasses import replace

from agent_actors.clock import Clock
from agent_actors.protocol.clients import BatchClient, NotificationClient, ProxyFactory
from agent_actors.protocol.events import TurnEvent
from agent_actors.protocol.notifications import Notify, PhoneNumber, newest_ignored, timestamp
from agent_actors.state.reader import StateReader

NOTHING_OWED = 2**53
"""The mark of a user without a number; no conversation gets there."""
LOOK_BACK = 32
"""The last turns of a conversation that may cause a notification: more than a day's SMS."""


class NotificationRecipients(NotificationClient, BatchClient):
    """Delivers events to the NotificationActor of users who have a number."""

    def __init__(self, factory: ProxyFactory, reader: StateReader, clock: Clock) -> None:
        super().__init__(factory)
        self._reader = reader
        self._clock = clock

    async def mark(self, user: str, conversation: str) -> int:
        """The number of the last event that the consumer has applied, or does not need."""
        phone = await self._reader.phone(user)
        if phone is None:
            return NOTHING_OWED
        return await self._floor(user, conversation, phone)

    async def apply(self, user: str, events: Sequence[TurnEvent]) -> tuple[str, ...]:
        """Notifies the user once of each turn; the ids of the events that came too early."""
        phone = await self._reader.phone(user)
        if phone is None:
            return ()
        in_order = sorted(events, key=lambda event: event.seq or 0)
        early = await self.notify(user, Notify(phone, tuple(in_order)))
        if not early:
            return early
        # The missing events before them may be from before the number was set.
        late = [event for event in in_order if event.event_id in early]
        floors = {
            each: await self._floor(user, each, phone)
            for each in {event.conversation for event in late}
        }
        raised = (replace(each, floor=max(each.floor, floors[each.conversation])) for each in late)
        return await self.notify(user, Notify(phone, tuple(raised)))

    async def _floor(self, user: str, conversation: str, phone: PhoneNumber) -> int:
        """The number of the last turn that needs no notification any more.

        Turns that were cleared, are too old, or are from before the number need none.
        """
        mark = await super().mark(user, conversation)
        head = await self._reader.head(conversation)
        if head.user != user:
            return mark
        mark = max(mark, head.start, head.seq - LOOK_BACK)
        pairs = await self._reader.pairs(conversation, head, mark + 1, head.seq)
        end = newest_ignored(phone, self._clock.now().timestamp())
        ignored = [pair.seq for pair in pairs if (timestamp(pair.occurred_at) or 0.0) <= end]
        return max(ignored, default=mark)
