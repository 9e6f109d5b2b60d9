"""AnalyticsActor: how many messages of a user were answered, and with how many tokens."""

import functools
from dataclasses import replace

from agent_actors.protocol.interfaces import AnalyticsInterface
from agent_actors.protocol.messages import ForgetUser, MarkRequest, TurnEvent, Usage
from agent_actors.state import slots
from agent_actors.state.documents import Analytics, ModelUse
from agent_actors.turns.actor import turn
from agent_actors.users.consumer import Consumer, with_id

MODELS = 16
"""Models that are counted each by itself."""
OTHERS = "others"
"""What the ones beyond them are counted as."""


class AnalyticsActor(Consumer, AnalyticsInterface):
    """What the messages of one user took, over all conversations."""

    @turn
    async def count_turns(self, events: tuple[TurnEvent, ...]) -> tuple[str, ...]:
        """Applies events, in one transaction; the ids of those that came too early.

        An event without a number is one of another service, and its id that of the turn.
        """
        analytics = await self._analytics()
        found, early = await self.sorted_out(events, analytics.seen)
        if found:
            counted = functools.reduce(counting, found, analytics)
            await self.apply(found, {slots.ANALYTICS: counted})
        return early

    @turn
    async def get_mark(self, request: MarkRequest) -> int:
        """The number of the last event of a conversation that is effective; 0 before the first."""
        return await self.mark(request.conversation)

    @turn
    async def get_message_count(self) -> int:
        """How many messages were answered."""
        return (await self._analytics()).message_count

    @turn
    async def initialize(self, message_count: int) -> None:
        """Sets the number of messages; tokens stay."""
        analytics = replace(await self._analytics(), message_count=message_count)
        await self.state.save({slots.ANALYTICS: analytics})

    @turn
    async def forget(self, request: ForgetUser) -> None:
        """Forgets the user; the marks move up."""
        await self.wipe(request, {slots.ANALYTICS: None})

    async def _analytics(self) -> Analytics:
        return await self.state.load(slots.ANALYTICS) or Analytics()


def counting(analytics: Analytics, event: TurnEvent) -> Analytics:
    """The numbers with one turn more; one that was told of before only adds its tokens."""
    turn_id = event.turn_id or event.event_id
    known = turn_id in analytics.seen
    used = event.usage
    return replace(
        analytics,
        message_count=analytics.message_count + (not known),
        usage=Usage(
            analytics.usage.input_tokens + used.input_tokens,
            analytics.usage.output_tokens + used.output_tokens,
        ),
        models=_with_use(dict(analytics.models), event),
        seen=analytics.seen if known else with_id(analytics.seen, turn_id),
    )


def _with_use(models: dict[str, ModelUse], event: TurnEvent) -> tuple[tuple[str, ModelUse], ...]:
    if not event.model:
        return tuple(models.items())
    name = event.model if event.model in models or len(models) < MODELS else OTHERS
    former = models.get(name, ModelUse())
    models[name] = ModelUse(
        former.messages + 1,
        former.input_tokens + event.usage.input_tokens,
        former.output_tokens + event.usage.output_tokens,
    )
    return tuple(models.items())
