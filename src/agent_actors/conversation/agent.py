"""ChatAgent: a conversation's history, its queue of turns, and the events it owes.

This is the turn protocol of docs/protocol.md, which has its rules, the mistakes they prevent, and a
model that checks them. `steps` has its steps.
"""

import logging
from dataclasses import replace
from datetime import timedelta

from dapr.actor import Remindable

from agent_actors.conversation.follow_up import FollowUps
from agent_actors.conversation.inactivity import Inactivity
from agent_actors.conversation.schedules import ScheduledTurns
from agent_actors.conversation.steps import ARMED, CANCELLED
from agent_actors.errors import Invalid, NotFound
from agent_actors.protocol import ids, wire
from agent_actors.protocol.interfaces import ChatAgentInterface
from agent_actors.protocol.messages import (
    AdoptTurn,
    CompleteTurn,
    ConversationSummary,
    ForgetConversation,
    HighWaterMark,
    Message,
    ProcessTurn,
    Reply,
    TurnState,
)
from agent_actors.state import slots
from agent_actors.state.documents import EarlierSummary, find_queued
from agent_actors.turns.actor import turn

log = logging.getLogger(__name__)

SHOWN = 2
"""Pairs of `GetConversationHistory`: at most five entries, beginning with a user entry."""


class ChatAgent(Inactivity, ScheduledTurns, FollowUps, ChatAgentInterface, Remindable):
    """One conversation. `Remindable` is a direct base: the SDK looks nowhere else."""

    @turn
    async def process_message(self, request: ProcessTurn | Message) -> TurnState | Message:
        """Runs a turn, or says where it is: done with its reply, or queued.

        A bare message, as any caller of Dapr's actor API may send it, is an unkeyed turn of the
        user named like the conversation, and answers with a bare message if it ends in time.

        Raises (as returned errors):
            Invalid: The key was used with another body.
            NotFound: The conversation belongs to another user.
            Gone: The turn's answer was cleared.
            Busy: Too many messages wait.
            ModelError: The model failed; nothing was saved.
            Unavailable: A save or call failed; the turn may have been saved.
        """
        await self._used_now()
        if isinstance(request, ProcessTurn):
            return await self._process(request.turn, request.wait)
        state = await self._process(self._unkeyed(request), self._limits.parking_time)
        return state if state.reply is None else Message("assistant", state.reply.content)

    @turn
    async def complete_turn(self, request: CompleteTurn) -> None:
        """Settles the queue's head and goes on with the queue; any other turn is ignored."""
        head = await self._head()
        if not head.queue or head.queue[0].turn.turn_id != request.turn_id:
            return
        head = await self._settle(head, head.queue[0].turn, request.outcome)
        await self._drive(head, fresh=True)

    @turn
    async def get_conversation_history(self) -> tuple[Message, ...]:
        """The last entries, at most five, beginning with a user entry."""
        head = await self._head()
        first = max(head.start + 1, head.seq - SHOWN + 1)
        pairs = [await self._history.pair(head, seq) for seq in range(first, head.seq + 1)]
        exchanges = [pair.exchange for pair in pairs if pair is not None]
        return tuple(entry for each in exchanges for entry in (each.input, each.output))

    @turn
    async def clear_history(self) -> None:
        """Hides what was said and cancels what is queued; it is erased soon after."""
        head = await self._head()
        if head.start < head.seq or head.queue:
            await self._clear(head)

    @turn
    async def adopt_turn(self, request: AdoptTurn) -> TurnState:
        """Commits a turn that ended elsewhere, once; what is queued is not touched.

        Raises (as returned errors):
            Invalid: The key was used with another body.
            NotFound: The conversation belongs to another user.
            Gone: The conversation was closed, or the turn was cleared since.
        """
        # Arming for this turn would make the queue seem driven (4.31, docs/protocol.md).
        head = await self._resume(await self._owned(request.turn.user))
        record = await self._history.record(head, request.turn)
        if record is not None:
            if request.turn.key_hash and record.body_hash != request.turn.body_hash:
                raise Invalid("This Idempotency-Key was used with another message.")
            return await self._answer_again(head, record)
        if find_queued(head.queue, request.turn.turn_id, ""):
            # A turn of ours that was told of: it will end by itself, once.
            return TurnState(request.turn.turn_id, "queued")
        head = await self._settle(head, request.turn, request.outcome, adopted=True)
        if isinstance(request.outcome, Reply):
            return TurnState(request.turn.turn_id, "done", request.outcome)
        return await self._answer_again(head, head.recent[-1])

    @turn
    async def sum_up(self, request: ConversationSummary) -> None:
        """Keeps a summary of what fell out of the window, unless that was cleared since."""
        head = await self._head()
        if head.earlier.upto == request.after and head.start < request.upto <= head.seq:
            earlier = EarlierSummary(request.upto, request.text)
            await self.state.save({slots.HEAD: replace(head, earlier=earlier)})

    @turn
    async def forget(self, request: ForgetConversation) -> HighWaterMark:
        """Clears for a user who is forgotten, and closes the conversation if asked to.

        The event of no later turn has the number that is returned, or a lower one.

        Raises (as returned errors):
            NotFound: The conversation belongs to another user.
        """
        head = await self._head()
        if head.user and head.user != request.user:
            raise NotFound("There is no such conversation of this user.")
        schedules = await self._schedules()
        if request.close or head.seq or head.queue or schedules.document:
            draft = self._draft(head)
            draft.own(request.user)
            if schedules.document:
                draft.keep_schedules(None)
            draft.clear(CANCELLED)
            draft.end("closed" if request.close else "forgotten")
            await self._commit(draft)
            self._turns.cancelled(queued.turn for queued in head.queue)
            self._bell.ring(self.conversation)
            await self._forgotten()
            await self._stop_reminding(each.id for each in schedules.schedules)
        return HighWaterMark(self.conversation, head.seq)

    @turn
    async def settle(self, upto: HighWaterMark) -> bool:
        """Does what the reminder does, at once; whether all up to that turn is erased.

        Whoever waits for that does not wait for turns that came, or were cleared, since.
        """
        return await self._tick() >= upto.seq

    @turn
    async def receive_reminder(
        self,
        name: str,
        state: bytes,
        due_time: timedelta,
        period: timedelta,
        ttl: timedelta | None = None,
    ) -> None:
        """The recovery tick: goes on with the queue, publishes what memory misses, erases."""
        if name == wire.EXPIRE:
            await self._expire()
            return
        if (schedule_id := ids.schedule_of(name)) is not None:
            await self._speak_up(schedule_id)
            return
        if name != wire.SETTLE:
            log.warning("reminder %s of %s is not known here", name, self.conversation)
            return
        self.state.note(ARMED)
        await self._tick()
