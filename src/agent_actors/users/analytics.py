"""AnalyticsActor: counts a user's answered messages, and the tokens they took."""

import functools
from dataclasses import replace

from agent_actors.protocol.events import TurnEvent
from agent_actors.protocol.interfaces import AnalyticsInterface
from agent_actors.protocol.messages import ForgetUser, Usage
from agent_actors.state import slots
from agent_actors.state.documents.users import Analytics, ModelUse
from agent_actors.turns.actor import turn
from agent_actors.users.consumer import Consumer, with_id

MODELS = 16
"""The number of models that are counted separately."""
OTHERS = "others"
"""The name under which all further models are counted."""


class AnalyticsActor(Consumer, AnalyticsInterface):
    """The message count and token usage of one user, over all conversations."""

    @turn
    async def count_turns(self, events: tuple[TurnEvent, ...]) -> tuple[str, ...]:
        """Applies events in one transaction; returns the ids of those that came too early.

        An event without a number comes from another service. Its id is the id of the turn.
        """
        analytics = await self.state.load_or_new(slots.ANALYTICS)
        due, early = await self.select(events, analytics.seen)
        if due:
            total = functools.reduce(with_turn, due, analytics)
            await self.apply(due, {slots.ANALYTICS: total})
        return early

    @turn
    async def get_message_count(self) -> int:
        """The number of answered messages."""
        return (await self.state.load_or_new(slots.ANALYTICS)).message_count

    @turn
    async def initialize(self, message_count: int) -> None:
        """Sets the number of messages; the token usage stays."""
        analytics = replace(
            await self.state.load_or_new(slots.ANALYTICS), message_count=message_count
        )
        await self.state.save({slots.ANALYTICS: analytics})

    @turn
    async def forget(self, request: ForgetUser) -> None:
        """Forgets the user; the marks move up."""
        await self.wipe(request, {slots.ANALYTICS: None})


def with_turn(analytics: Analytics, event: TurnEvent) -> Analytics:
    """The analytics with one more turn.

    Two events may be about the same turn: the message is counted with the first, and the tokens
    with the one that has them.
    """
    turn_id = event.turn_id or event.event_id
    known = turn_id in analytics.seen
    used = event.usage
    models = dict(analytics.models)
    if event.model:
        name = event.model if event.model in models or len(models) < MODELS else OTHERS
        former = models.get(name, ModelUse())
        models[name] = ModelUse(
            former.messages + 1,
            former.input_tokens + used.input_tokens,
            former.output_tokens + used.output_tokens,
        )
    return replace(
        analytics,
        message_count=analytics.message_count + (not known),
        usage=Usage(
            analytics.usage.input_tokens + used.input_tokens,
            analytics.usage.output_tokens + used.output_tokens,
        ),
        models=tuple(models.items()),
        seen=analytics.seen if known else with_id(analytics.seen, turn_id),
    )
