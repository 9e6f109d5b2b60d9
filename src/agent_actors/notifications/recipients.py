"""NotificationActor as a consumer of events: it exists only for users who can be told.

The number is the user's preference `phone`, read for each batch of events. Of a user without one
nothing more is asked, and to such a user nothing is owed.
"""

from collections.abc import Sequence
from dataclasses import replace

from agent_actors.clock import Clock
from agent_actors.protocol.clients import BatchClient, NotificationClient, ProxyFactory
from agent_actors.protocol.messages import TurnEvent
from agent_actors.protocol.notifications import Notify, PhoneNumber, begins, moment
from agent_actors.state.reader import StateReader

NOTHING_OWED = 2**53
"""A mark that no conversation reaches."""
LOOK_BACK = 32
"""Turns among which the first one after a number was set is looked for: more than a day's SMS."""


class NotificationRecipients(NotificationClient, BatchClient):
    """NotificationActor as a consumer, for the users who have a number.

    Args:
        factory: Makes proxies.
        saved: The numbers, and the history.
        clock: The time.
    """

    def __init__(self, factory: ProxyFactory, reader: StateReader, clock: Clock) -> None:
        super().__init__(factory)
        self._reader = reader
        self._clock = clock

    async def mark(self, user: str, conversation: str) -> int:
        """The number of the last event that the consumer has applied, or is not to have."""
        phone = await self._reader.phone(user)
        if phone is None:
            return NOTHING_OWED
        return await self._begin(user, conversation, phone)

    async def apply(self, user: str, events: Sequence[TurnEvent]) -> tuple[str, ...]:
        """Has the user told, once of each turn; the ids of the events that came too early."""
        phone = await self._reader.phone(user)
        if phone is None:
            return ()
        in_order = sorted(events, key=lambda event: event.seq or 0)
        early = await self.notify(user, Notify(phone, tuple(in_order)))
        if not early:
            return early
        # What is missing before them may be from before the number was set.
        late = [event for event in in_order if event.event_id in early]
        floors = {
            each: await self._begin(user, each, phone)
            for each in {event.conversation for event in late}
        }
        raised = (replace(each, floor=max(each.floor, floors[each.conversation])) for each in late)
        return await self.notify(user, Notify(phone, tuple(raised)))

    async def _begin(self, user: str, conversation: str, phone: PhoneNumber) -> int:
        """After which turn of a conversation the telling begins, or goes on.

        Turns that were cleared, or are no news to this number, are not told any more.
        """
        mark = await super().mark(user, conversation)
        head = await self._reader.head(conversation)
        if head.user != user:
            return mark
        mark = max(mark, head.start, head.seq - LOOK_BACK)
        pairs = await self._reader.pairs(conversation, head, mark + 1, head.seq)
        begin = begins(phone, self._clock.now().timestamp())
        over = [pair.seq for pair in pairs if (moment(pair.occurred_at) or 0.0) <= begin]
        return max(over, default=mark)
