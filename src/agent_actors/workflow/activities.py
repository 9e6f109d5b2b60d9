"""The five steps of a turn. Each may run again at any time, and has its effect once."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from agent_actors.clock import Clock
from agent_actors.conversation.history import fitting
from agent_actors.conversation.limits import ChatLimits
from agent_actors.conversation.outbox import SOURCE
from agent_actors.errors import AgentError, Gone, TryLater
from agent_actors.model import Prompt
from agent_actors.model.calls import Call, ModelCalls
from agent_actors.protocol import wire
from agent_actors.protocol.clients import ChatClient, MemoryClient
from agent_actors.protocol.events import CloudEvent
from agent_actors.protocol.messages import AdoptTurn, Exchange, Outcome, Problem, Reply, TurnState
from agent_actors.state.documents import Head
from agent_actors.state.reader import StateReader
from agent_actors.turns.drain import Drain
from agent_actors.workflow.turn import (
    HistoryLookup,
    PromptContext,
    ReplyRequest,
    ReplyResult,
    StoreRequest,
    TurnOrder,
    without_reply,
)


@dataclass(frozen=True, slots=True)
class WorkflowParts:
    """What the steps work with. `publish` hands an event to a component's topic."""

    reader: StateReader
    memory: MemoryClient
    chat: ChatClient
    calls: ModelCalls
    publish: Callable[[str, str, CloudEvent], Awaitable[None]]
    limits: ChatLimits
    stopping: Drain
    call_time: float

    @property
    def clock(self) -> Clock:
        """The time."""
        return self.stopping.clock


class Activities:
    """The steps. What they raise is tried again; what never works is returned as a value.

    Args:
        parts: What they work with.
        follow: Sees a workflow to its end, and erases it then; returns at once. Whoever takes the
            last steps does so: the process that has begun the turn may be gone.
    """

    def __init__(self, parts: WorkflowParts, follow: Callable[[TurnOrder], None]) -> None:
        self._parts = parts
        self._follow = follow

    async def fetch_analytics(self, order: TurnOrder) -> int:
        """How many messages of the user were answered before."""
        analytics = await self._parts.reader.analytics(order.turn.user)
        return analytics.message_count if analytics else 0

    async def fetch_history(self, order: TurnOrder) -> HistoryLookup:
        """What the model is told of the time before, or the turn's end if it has one already."""
        reader = self._parts.reader
        try:
            state = await reader.known(order.conversation, order.turn)
        except TryLater:
            raise
        except AgentError as error:
            return HistoryLookup(ended=_refused(order, error))
        if state is not None:
            return HistoryLookup(ended=without_reply(state))
        head, recalled = await asyncio.gather(
            reader.head(order.conversation), self._parts.memory.recall(order.turn.user)
        )
        window = await self._window(order.conversation, head)
        past = PromptContext(
            head.seq + 1, recalled.entries, window, recalled.person, head.earlier.text
        )
        return HistoryLookup(past)

    async def generate_reply(self, asked: ReplyRequest) -> ReplyResult:
        """The model's end of the turn; a call of this turn that runs or has answered is that one.

        While the process stops no call begins: the sidecar gives the step to the next process.
        """
        call = self._parts.calls.find(asked.order.conversation, asked.order.turn.turn_id)
        if call is None or call.failed:
            if self._parts.stopping.begun:
                await asyncio.Event().wait()
            call = self._parts.calls.start(_prompt(asked))
        outcome = await _ended(call)
        return ReplyResult(outcome, again=_may_do_better(outcome))

    async def store_conversation(self, storing: StoreRequest) -> TurnState:
        """Commits the turn by ChatAgent, as any other; a failed one is recorded for its key."""
        order = storing.order
        self._follow(order)
        try:
            adopted = AdoptTurn(order.turn, storing.outcome)
            state = await self._parts.chat.adopt(order.conversation, adopted)
        except TryLater:
            raise
        except AgentError as error:
            if error.status >= 500:
                raise
            return _refused(order, error)
        return without_reply(state)

    async def publish_message_sent(self, order: TurnOrder) -> None:
        """Tells other services, as in the lessons; ours counts the turn once, however it hears."""
        self._follow(order)
        turn_id, user = order.turn.turn_id, order.turn.user
        try:
            await self._parts.reader.turn(order.conversation, turn_id)
        except Gone:
            return  # The user was forgotten meanwhile.
        said = {"event_type": wire.SENT_TYPE, "user_id": user, "turn_id": turn_id}
        event = CloudEvent(turn_id, SOURCE, wire.SENT_TYPE, order.conversation, said)
        async with self._parts.clock.timeout(self._parts.call_time):
            await self._parts.publish(wire.LESSON_PUBSUB, wire.MESSAGES, event)

    async def _window(self, conversation: str, head: Head) -> tuple[Exchange, ...]:
        """The last exchanges, as ChatAgent would show them to the model."""
        limits = self._parts.limits
        first = max(head.start + 1, head.seq - limits.window_turns + 1)
        pairs = await self._parts.reader.pairs(conversation, head, first, head.seq)
        return tuple(pair.exchange for pair in fitting(pairs, limits))


def _prompt(asked: ReplyRequest) -> Prompt:
    turn, past = asked.order.turn, asked.past
    return Prompt(
        asked.order.conversation,
        turn.user,
        turn.turn_id,
        past.number,
        turn.message,
        past.memory,
        past.window,
        past.person,
        past.earlier,
        asked.message_count,
    )


async def _ended(call: Call) -> Outcome:
    """How a call ended; it ends by itself after the model time."""
    while call.outcome is None:
        await call.wait()
    return call.outcome


def _may_do_better(outcome: Outcome) -> bool:
    """May another call of the model end otherwise?"""
    return not isinstance(outcome, Reply) and outcome.error.retry == "same-key"


def _refused(order: TurnOrder, error: AgentError) -> TurnState:
    return TurnState(order.turn.turn_id, "failed", error=Problem.of(error))
