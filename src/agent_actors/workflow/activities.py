"""The activities of a turn's workflow. Each may run several times, and has its effect once."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from agent_actors.conversation.outbox import SOURCE
from agent_actors.conversation.window import fitting
from agent_actors.errors import AgentError, Gone, TryLater
from agent_actors.model import Prompt
from agent_actors.model.calls import ModelCalls
from agent_actors.observability.counters import Counters
from agent_actors.protocol import wire
from agent_actors.protocol.clients import ChatClient, MemoryClient
from agent_actors.protocol.events import CloudEvent
from agent_actors.protocol.messages import AdoptTurn, Problem, Reply, TurnState
from agent_actors.settings import Settings
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
class WorkflowDependencies:
    """The collaborators of the activities."""

    settings: Settings
    reader: StateReader
    memory: MemoryClient
    chat: ChatClient
    calls: ModelCalls
    publish: Callable[[str, str, CloudEvent], Awaitable[None]]
    drain: Drain
    counters: Counters


class Activities:
    """The activities. Dapr retries one that raises; what a retry cannot help is a result.

    `follow` follows a workflow to its end and purges it; it returns at once. The last activities
    call it, since the process that has started the workflow may be gone.
    """

    def __init__(
        self, dependencies: WorkflowDependencies, follow: Callable[[TurnOrder], None]
    ) -> None:
        self._settings = dependencies.settings
        self._reader = dependencies.reader
        self._memory = dependencies.memory
        self._chat = dependencies.chat
        self._calls = dependencies.calls
        self._publish = dependencies.publish
        self._drain = dependencies.drain
        self._follow = follow

    async def fetch_analytics(self, order: TurnOrder) -> int:
        """The number of the user's messages so far."""
        analytics = await self._reader.analytics(order.turn.user)
        return analytics.message_count if analytics else 0

    async def fetch_history(self, order: TurnOrder) -> HistoryLookup:
        """The model's context before the turn; or the turn's state, if it is known already."""
        try:
            state = await self._reader.sent_turn(order.conversation, order.turn)
        except TryLater:
            raise
        except AgentError as error:
            return HistoryLookup(ended=_refused(order, error))
        if state is not None:
            return HistoryLookup(ended=without_reply(state))
        head, recalled = await asyncio.gather(
            self._reader.head(order.conversation), self._memory.recall(order.turn.user)
        )
        # The model's window, as ChatAgent has it.
        first = max(head.start + 1, head.seq - self._settings.window_turns + 1)
        pairs = await self._reader.pairs(order.conversation, head, first, head.seq)
        window = tuple(pair.exchange for pair in fitting(pairs, self._settings))
        person, earlier = recalled.person, head.earlier.text
        return HistoryLookup(PromptContext(head.seq + 1, recalled.entries, window, person, earlier))

    async def generate_reply(self, asked: ReplyRequest) -> ReplyResult:
        """The outcome of the turn's model call; a running or finished call is not repeated.

        While the process stops, no call is started and this never returns: the sidecar gives the
        activity to the next process.
        """
        conversation, turn, past = asked.order.conversation, asked.order.turn, asked.past
        call = self._calls.find(conversation, turn.turn_id)
        if call is None or call.failed:
            if self._drain.begun:
                await asyncio.Event().wait()
            call = self._calls.start(
                Prompt(
                    conversation,
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
            )
        while call.outcome is None:  # A call ends after the model time.
            await call.wait()
        outcome = call.outcome
        again = not isinstance(outcome, Reply) and outcome.error.retry == "same-key"
        return ReplyResult(outcome, again)

    async def store_conversation(self, storing: StoreRequest) -> TurnState:
        """Has ChatAgent commit the turn; a failure is recorded for the turn's key."""
        order = storing.order
        self._follow(order)
        try:
            adopted = AdoptTurn(order.turn, storing.outcome)
            state = await self._chat.adopt(order.conversation, adopted)
        except TryLater:
            raise
        except AgentError as error:
            if error.status >= 500:
                raise
            return _refused(order, error)
        return without_reply(state)

    async def publish_message_sent(self, order: TurnOrder) -> None:
        """Publishes `MessageSent` for other services; our consumers have counted the turn then."""
        self._follow(order)
        turn_id, user = order.turn.turn_id, order.turn.user
        try:
            await self._reader.turn(order.conversation, turn_id)
        except Gone:
            return  # The user was forgotten since.
        data = {"event_type": wire.SENT_TYPE, "user_id": user, "turn_id": turn_id}
        event = CloudEvent(turn_id, SOURCE, wire.SENT_TYPE, order.conversation, data)
        async with self._drain.clock.timeout(self._settings.call_time):
            await self._publish(wire.LESSON_PUBSUB, wire.MESSAGES, event)


def _refused(order: TurnOrder, error: AgentError) -> TurnState:
    return TurnState(order.turn.turn_id, "failed", error=Problem.of(error))
