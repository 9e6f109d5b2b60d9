"""ResponseAgent: runs the model for a conversation. It stores nothing.

The message count is ChatAgent's number of committed turns: a count of its own could differ from the
history forever after a crash between the two (4.3, docs/protocol.md).
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

QUOTED = 200
"""Characters of a message that the question about it repeats."""


@dataclass(frozen=True, slots=True)
class ResponseDependencies:
    """The collaborators of a ResponseAgent; a caller waits `parking_time` seconds at most."""

    chat: ChatClient
    memory: MemoryClient
    calls: ModelCalls
    reader: StateReader
    parking_time: float


class ResponseAgent(TurnActor, ResponseAgentInterface):
    """Starts a turn's model call, and waits for it no longer than the parking time (I10)."""

    def __init__(
        self,
        ctx: ActorRuntimeContext,
        actor_id: ActorId,
        host: Host,
        dependencies: ResponseDependencies,
    ) -> None:
        super().__init__(ctx, actor_id, host)
        self._chat = dependencies.chat
        self._memory = dependencies.memory
        self._calls = dependencies.calls
        self._reader = dependencies.reader
        self._parking_time = dependencies.parking_time

    @turn
    async def process_message(self, request: ResponseRequest) -> ResponseState:
        """The state of a turn's model call: done with its outcome, running, or unknown.

        An unknown call, or one that has failed, is started if the request says so.
        """
        call = self._calls.find(request.conversation, request.turn_id)
        if call is not None and call.failed and request.start:
            call = None
        if call is None:
            if not request.start:
                return ResponseState("unknown")
            call = await self._start(request)
        seconds = min(request.wait, self._parking_time)
        if call.outcome is None and seconds > 0:
            try:
                async with self.clock.timeout(seconds):
                    await call.wait()
            except TimeoutError:
                pass
        if call.outcome is None:
            # ChatAgent will park the turn: the call must deliver its outcome by `CompleteTurn`.
            call.awaited = True
            return ResponseState("running")
        return ResponseState("done", call.outcome)

    async def _start(self, request: ResponseRequest) -> Call:
        recalled, count = await asyncio.gather(
            self.ask(lambda: self._memory.recall(request.user)), self._message_count(request.user)
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
                count,
            )
        )

    async def _message_count(self, user: str) -> int:
        """The user's messages so far; 0 for a model that does not use the number."""
        if not self._calls.model.uses_history:
            return 0
        analytics = await self._reader.analytics(user)
        return analytics.message_count if analytics else 0

    @turn
    async def follow_up(self, request: FollowUp) -> FollowUpQuestion:
        """Asks the conversation a question about one of its turns; once per turn.

        ChatAgent is called back while its first turn is still running, and calls this actor again.
        """
        first = request.turn
        question = Message("user", f"Tell me more about: {first.message.content[:QUOTED]}")
        turn_id = ids.follow_up_id(request.conversation, first.turn_id)
        second = Turn(turn_id, "", ids.body_hash(question), first.user, question)
        process = ProcessTurn(second, request.wait)
        call = functools.partial(self._chat.process, request.conversation, process)
        return FollowUpQuestion(question.content, await self.ask(call, request.wait))

    @turn
    async def get_message_count(self) -> int:
        """The number of committed turns, as ChatAgent has saved it; ChatAgent is not called."""
        return await self._reader.count(ids.conversation_of(self.id.id))
