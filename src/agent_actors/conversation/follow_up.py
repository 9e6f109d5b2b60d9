"""A message that is followed up: a call that comes back into the actor it began in.

    ChatAgent.AskFollowUp ─► ResponseAgent.FollowUp ─► the same ChatAgent.ProcessMessage ─► …

The first turn of ChatAgent is not over when the second one begins: that is Dapr's reentrancy.
"""

from agent_actors.conversation.steps import Conversation
from agent_actors.errors import Conflict
from agent_actors.protocol.follow_ups import FollowUp, FollowUpResult
from agent_actors.protocol.messages import ProcessTurn
from agent_actors.turns.actor import turn


class FollowUps(Conversation):
    """The part of ChatAgent that is called back while it waits."""

    @turn
    async def ask_follow_up(self, request: ProcessTurn) -> FollowUpResult:
        """Answers a message, has ResponseAgent ask about it, and answers that in the same call.

        Both are ordinary turns: committed once each, in this order. Together they wait for the
        model at most the parking time; a first turn that is parked is not followed up.

        Raises (as returned errors):
            Conflict: Reentrancy is off: the call back would wait for this turn, and this turn for
                it.
            AgentError: As `process_message`.
        """
        if not self._may_follow_up:
            raise Conflict(
                "No actor may be called back here; set AGENT_ACTORS_REENTRANCY_DEPTH to 2 or more."
            )
        began = self.clock.monotonic()
        state = await self._process(request.turn, request.wait)
        if state.reply is None:
            return FollowUpResult(state)
        limit = min(request.wait, self._limits.parking_time)
        left = max(0.0, limit - (self.clock.monotonic() - began))
        follow_up = FollowUp(self.conversation, request.turn, left)
        # What was read before this call may be old after it, and is not used again.
        asked = await self.ask(lambda: self._response.follow_up(follow_up), left)
        return FollowUpResult(state, asked.question, asked.turn)
