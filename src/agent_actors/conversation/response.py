"""ResponseAgent: runs the model for a conversation. It stores nothing, not even a count.

A count of its own would be wrong for ever if ChatAgent never commits the answer (4.3,
docs/protocol.md).
"""

import asyncio
import functools
from dataclasses import dataclass

from dapr.actor import ActorId
from dapr.actor.runtime.context import ActorRuntimeContext

from agent_actors.model import Prompt
from agent_actors.model.calls import Call, ModelCalls
from agent_actors.protocol import ids
from agent_actors.protocol.clients import ChatClient, MemoryClient
from agent_actors.protocol.follow_ups import FollowUp, FollowUpQuestion
from agent_actors.protocol.interfaces import ResponseAgentInterface
from agent_actors.protocol.messages import (
    Message,
    ProcessTurn,
    ResponseRequest,
    ResponseState,
    Turn,
)
from agent_actors.state.reader import StateReader
from agent_actors.turns.actor import Host, TurnActor, turn

ASKED_ABOUT = 200
"""Characters of a message that a follow-up repeats."""


@dataclass(frozen=True, slots=True)
class ResponseParts:
    """What a ResponseAgent works with. `parking_time` is in seconds."""

    chat: ChatClient
    memory: MemoryClient
    calls: ModelCalls
    reader: StateReader
    parking_time: float


class ResponseAgent(TurnActor, ResponseAgentInterface):
    """Starts a turn's model call and waits for it at most the parking time (I10)."""

    def __init__(
        self, ctx: ActorRuntimeContext, actor_id: ActorId, host: Host, parts: ResponseParts
    ) -> None:
        super().__init__(ctx, actor_id, host)
        self._chat = parts.chat
        self._memory = parts.memory
        self._calls = parts.calls
        self._reader = parts.reader
        self._parking_time = parts.parking_time

    @turn
    async def process_message(self, request: ResponseRequest) -> ResponseState:
        """Where the turn is: done with its outcome, running, or unknown (and not to be started)."""
        call = self._calls.find(request.conversation, request.turn_id)
        if call is not None and call.failed and request.start:
            call = None
        if call is None:
            if not request.start:
                return ResponseState("unknown")
            call = await self._start(request)
        return await self._wait(call, min(request.wait, self._parking_time))

    @turn
    async def follow_up(self, request: FollowUp) -> FollowUpQuestion:
        """Asks about a turn in its own conversation, and says where that is; once per turn.

        ChatAgent is called back while its turn runs, and calls this actor again.
        """
        asked = request.turn
        question = Message("user", f"Tell me more about: {asked.message.content[:ASKED_ABOUT]}")
        turn = Turn(
            ids.follow_up_id(request.conversation, asked.turn_id),
            "",
            ids.body_hash(question),
            asked.user,
            question,
        )
        process = ProcessTurn(turn, request.wait)
        ask = functools.partial(self._chat.process, request.conversation, process)
        return FollowUpQuestion(question.content, await self.ask(ask, request.wait))

    @turn
    async def get_message_count(self) -> int:
        """The number of committed turns, as ChatAgent has saved it; ChatAgent is not called."""
        return await self._reader.count(ids.conversation_of(self.id.id))

    async def _start(self, request: ResponseRequest) -> Call:
        recalled, counted = await asyncio.gather(
            self.ask(lambda: self._memory.recall(request.user)), self._counted(request.user)
        )
        self.require_live()
        return self._calls.start(
            Prompt(
                request.conversation,
                request.user,
                request.turn_id,
                request.number,
                request.message,
                recalled.entries,
                request.window,
                recalled.person,
                request.earlier,
                counted,
            )
        )

    async def _counted(self, user: str) -> int:
        """The user's messages so far, for a model that is told."""
        if not self._calls.model.uses_history:
            return 0
        analytics = await self._reader.analytics(user)
        return analytics.message_count if analytics else 0

    async def _wait(self, call: Call, seconds: float) -> ResponseState:
        if call.outcome is None and seconds > 0:
            try:
                async with self.clock.timeout(seconds):
                    await call.wait()
            except TimeoutError:
                pass
        if call.outcome is None:
            # From now on the model's task owes ChatAgent a CompleteTurn.
            call.awaited = True
            return ResponseState("running")
        return ResponseState("done", call.outcome)
