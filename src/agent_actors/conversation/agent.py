"""ChatAgent: one conversation. This file is a turn's path through it, from message to outcome.

    process_message ─► _process ─► known already?    ─► its state or outcome, again
                                   others waiting?   ─► _park: into the queue
                                   else _answer      ─► the model in time?  ─► _commit_outcome
                                                        too slow?           ─► _park

    complete_turn   ─► _commit_outcome (a parked turn's) ─► _drive: starts the next in the queue

`_park`, `_commit_outcome` and `_drive` are in `queue`. A turn is committed in one transaction: its
pair in the history, its outcome record, and the queue without it. Its event is published after
that, and again until every consumer has applied it: see `recovery`. docs/protocol.md has the rules,
the mistakes they prevent, and a model that checks them.
"""

import logging
from dataclasses import replace
from datetime import timedelta

from dapr.actor import Remindable

from agent_actors.conversation.base import ARMED, CANCELLED
from agent_actors.conversation.inactivity import Inactivity
from agent_actors.conversation.queue import TurnQueue
from agent_actors.conversation.recovery import Recovery
from agent_actors.conversation.schedules import ScheduledTurns
from agent_actors.errors import Conflict
from agent_actors.protocol import ids, wire
from agent_actors.protocol.follow_ups import FollowUp, FollowUpResult
from agent_actors.protocol.interfaces import ChatAgentInterface
from agent_actors.protocol.messages import (
    AdoptTurn,
    CompleteTurn,
    ConversationSummary,
    Failure,
    ForgetConversation,
    HighWaterMark,
    Message,
    ProcessTurn,
    Reply,
    Turn,
    TurnState,
    check_message,
)
from agent_actors.state import slots
from agent_actors.state.documents.conversation import EarlierSummary, Head
from agent_actors.state.turn_position import check_open, check_user
from agent_actors.turns.actor import turn

log = logging.getLogger(__name__)

SHOWN = 2
"""Pairs that `GetConversationHistory` returns."""


class ChatAgent(TurnQueue, Recovery, Inactivity, ScheduledTurns, ChatAgentInterface, Remindable):
    """One conversation. `Remindable` is a direct base: the SDK looks for it nowhere else."""

    # -- a turn, from message to outcome ----------------------------------------------------------

    @turn
    async def process_message(self, request: ProcessTurn | Message) -> TurnState | Message:
        """Runs a turn. Returns it with its reply, or as running or queued if it takes longer.

        Callers of Dapr's actor API may send a bare message. It is a turn without a key, of the
        user with the conversation's name; if it ends in time, its result is a bare message too.

        Raises (as returned errors):
            Invalid: The key was used with another message.
            NotFound: The conversation belongs to another user.
            Gone: The turn's reply was cleared.
            Busy: Too many messages wait.
            ModelError: The model failed; nothing was saved.
            Unavailable: A save or call failed; the turn may have been saved.
        """
        await self._note_message()
        if isinstance(request, ProcessTurn):
            return await self._process(request.turn, request.wait)
        check_message(request, self._settings.message_bytes)
        turn_id, body = self._dependencies.new_turn_id(), ids.body_hash(request)
        unkeyed = Turn(turn_id, "", body, self.conversation, request)
        state = await self._process(unkeyed, self._settings.parking_time)
        return state if state.reply is None else Message("assistant", state.reply.content)

    async def _process(self, turn: Turn, wait: float) -> TurnState:
        head = await self._open(turn.user)
        known = await self._history.sent_turn(head, turn)
        if known is not None:
            return known
        self._turn_counters.received(turn)
        if head.queue:
            return await self._park(head, turn, tries=0)
        return await self._answer(head, turn, wait)

    async def _open(self, user: str) -> Head:
        """The head, if the user may have a turn here; the queue goes on first.

        A commit registers the recovery reminder. If the queue did not go on before that, this
        activation would take it for driven, and leave it to the reminder (4.31).
        """
        head = await self._head()
        check_open(head, user)
        return await self._resume(head)

    async def _answer(self, head: Head, turn: Turn, wait: float) -> TurnState:
        """The direct path, with an empty queue: the caller waits for the model."""
        response = await self._respond(head, turn, start=True, wait=wait)
        if response.outcome is None:
            return await self._park(head, turn, tries=1)
        if isinstance(response.outcome, Failure):
            # Not recorded: the caller knows of it, and may send the turn again.
            self._turn_counters.ended(turn, response.outcome)
            raise response.outcome.error.error()
        await self._commit_outcome(head, turn, response.outcome)
        return TurnState(turn.turn_id, "done", response.outcome)

    @turn
    async def complete_turn(self, request: CompleteTurn) -> None:
        """Commits the outcome of the queue's first turn, and goes on with the queue.

        An outcome of any other turn is ignored: it was committed before, or cancelled (4.7).
        """
        head = await self._head()
        if not head.queue or head.queue[0].turn.turn_id != request.turn_id:
            return
        head = await self._commit_outcome(head, head.queue[0].turn, request.outcome)
        await self._drive(head, fresh=True)

    # -- turns of other origins -------------------------------------------------------------------

    @turn
    async def adopt_turn(self, request: AdoptTurn) -> TurnState:
        """Commits a turn that has ended elsewhere, once. The queue stays as it is.

        The errors are those of `process_message`, and `Gone` if the conversation was closed.
        """
        adopted, outcome = request.turn, request.outcome
        head = await self._open(adopted.user)
        known = await self._history.sent_turn(head, adopted)
        if known is not None:
            return known  # If it is in our own queue, it ends there, once.
        head = await self._commit_outcome(head, adopted, outcome, adopted=True)
        if isinstance(outcome, Reply):
            return TurnState(adopted.turn_id, "done", outcome)
        return TurnState(adopted.turn_id, "failed", error=head.recent[-1].error)

    @turn
    async def ask_follow_up(self, request: ProcessTurn) -> FollowUpResult:
        """Runs a turn, and has ResponseAgent call back in the same call with a question about it.

        The question is an ordinary turn, and comes before this call has returned: that is Dapr's
        reentrancy. The two wait at most the parking time together; a first turn that is parked has
        no follow-up.

        Raises (as returned errors):
            Conflict: Reentrancy is off: the two calls would wait for each other.
            AgentError: As `process_message`.
        """
        if not self._dependencies.may_follow_up:
            raise Conflict(
                "No actor may be called back here; set AGENT_ACTORS_REENTRANCY_DEPTH to 2 or more."
            )
        began = self.clock.monotonic()
        state = await self._process(request.turn, request.wait)
        if state.reply is None:
            return FollowUpResult(state)
        limit = min(request.wait, self._settings.parking_time)
        left = max(0.0, limit - (self.clock.monotonic() - began))
        follow_up = FollowUp(self.conversation, request.turn, left)
        # The call back saves: nothing that was read before it may be used after it.
        asked = await self.ask(lambda: self._dependencies.response.follow_up(follow_up), left)
        return FollowUpResult(state, asked.question, asked.turn)

    # -- history ----------------------------------------------------------------------------------

    @turn
    async def get_conversation_history(self) -> tuple[Message, ...]:
        """The last messages and replies, at most five, beginning with a message of the user."""
        head = await self._head()
        first = max(head.start + 1, head.seq - SHOWN + 1)
        exchanges = [pair.exchange for pair in await self._history.pairs(head, first, head.seq)]
        return tuple(entry for each in exchanges for entry in (each.input, each.output))

    @turn
    async def clear_history(self) -> None:
        """Hides the history and cancels the queue; the history is erased soon after."""
        head = await self._head()
        if head.start < head.seq or head.queue:
            await self._clear(head)

    @turn
    async def sum_up(self, request: ConversationSummary) -> None:
        """Stores a summary of what the model no longer sees, unless that was cleared since."""
        head = await self._head()
        if head.earlier.upto == request.after and head.start < request.upto <= head.seq:
            earlier = EarlierSummary(request.upto, request.text)
            await self.state.save({slots.HEAD: replace(head, earlier=earlier)})

    @turn
    async def forget(self, request: ForgetConversation) -> HighWaterMark:
        """Clears the conversation of a user who is forgotten; with `close`, for good.

        Returns the number of the last turn: no later event has this number or a lower one. Another
        user's conversation is `NotFound`.
        """
        head = await self._head()
        check_user(head, request.user)
        schedules = await self._schedules()
        if request.close or head.seq or head.queue or schedules.document:
            draft = self._draft(head)
            draft.own(request.user)
            if schedules.document:
                draft.keep_schedules(None)
            draft.clear(CANCELLED)
            draft.end("closed" if request.close else "forgotten")
            await self._commit(draft)
            self._turn_counters.cancelled(queued.turn for queued in head.queue)
            self._bell.ring(self.conversation)
            await self._expiry_is_over()
            await self._stop_schedule_reminders(each.id for each in schedules.schedules)
        return HighWaterMark(self.conversation, head.seq)

    # -- reminders --------------------------------------------------------------------------------

    @turn
    async def receive_reminder(
        self,
        name: str,
        state: bytes,
        due_time: timedelta,
        period: timedelta,
        ttl: timedelta | None = None,
    ) -> None:
        """A reminder has fired: recovery, the end of an inactive conversation, or a schedule."""
        schedule_id = ids.schedule_of(name)
        if name == wire.SETTLE:
            self.state.flags.add(ARMED)
            await self._tick()
        elif name == wire.EXPIRE:
            await self._expire()
        elif schedule_id is not None:
            schedule = await self._due_schedule(schedule_id)
            if schedule is None:
                return
            head = await self._resume(await self._head())
            queued = await self._enqueue_occurrence(head, schedule)
            if queued is not None and not head.queue:
                await self._drive(queued, fresh=True)
        else:
            log.warning("conversation %s: unknown reminder %s", self.conversation, name)

    @turn
    async def settle(self, upto: HighWaterMark) -> bool:
        """Does at once what the recovery reminder does; True once all up to that turn is erased.

        A caller that waits for it does not wait for later turns.
        """
        return await self._tick() >= upto.seq

    async def _tick(self) -> int:
        """Goes on with the queue, then with what is owed. Returns up to where pairs are erased."""
        head = await self._drive(await self._head(), fresh=False)
        return await self._recover(head)
