"""The queue of a conversation, and the steps that its turns share with a turn that does not wait.

    _park            saves a turn in the queue
    _drive           asks for the outcome of the first turn, commits it, and starts the next one
    _resume          drives a queue that an earlier activation has left
    _respond         has ResponseAgent run the model for a turn
    _commit_outcome  settles a turn, whether it was queued or not

The queue never waits for a model. When the model has answered, `complete_turn` brings the outcome;
if that call is lost, the recovery reminder asks for it.
"""

import logging
from contextlib import AbstractContextManager
from dataclasses import replace

from agent_actors.conversation.base import ARMED, ConversationBase
from agent_actors.errors import Busy, ModelFailed, TryLater
from agent_actors.observability import tracing
from agent_actors.protocol.messages import (
    ConversationSummary,
    Failure,
    Outcome,
    Problem,
    Reply,
    ResponseRequest,
    ResponseState,
    Turn,
    TurnState,
)
from agent_actors.state.documents.conversation import Head, Pair, QueuedTurn

log = logging.getLogger(__name__)

TRIES = 3
"""Starts of a queued turn. One that has ended its process each time is recorded as failed."""
DRIVE = 8
"""Queued turns that one call commits; the rest is left to the next call."""
UNSEEN = 4
"""Pairs that have left the model's window and are then summarised together."""

LOST = Failure(
    Problem.of(ModelFailed(f"The turn was started {TRIES} times and each time its process ended."))
)


class TurnQueue(ConversationBase):
    """The part of ChatAgent that commits turns, and keeps those that wait for their outcome."""

    async def _park(self, head: Head, turn: Turn, tries: int) -> TurnState:
        """Saves the turn in the queue; from here on it ends without its caller."""
        if self._queue_is_full(head, turn):
            self._turn_counters.refused(turn)
            raise Busy("Too many messages wait for this actor; send this one again later.")
        draft = self._draft(head)
        draft.own(turn.user)
        draft.enqueue(turn, tries)
        await self._commit(draft)
        self._turn_counters.parked(turn)
        return TurnState(turn.turn_id, "running" if tries else "queued")

    async def _drive(self, head: Head, *, fresh: bool) -> Head:
        """Goes on with the queue, without ever waiting for the model.

        With `fresh`, the last save has put the first turn first, and nothing has started it.
        """
        for _ in range(DRIVE):
            if not head.queue:
                break
            first = head.queue[0]
            response = await self._respond_to(first, head, start=fresh)
            if response.state == "unknown" and first.tries < TRIES:
                # Saved before the start: a turn that ends its process must not run forever (4.10).
                draft = self._draft(head)
                draft.count_start()
                await self.state.save(draft.changes)
                head = draft.head
                turn_id, tries = first.turn.turn_id, first.tries + 1
                log.info("turn %s starts again: start %d of %d", turn_id, tries, TRIES)
                response = await self._respond_to(first, head, start=True)
            if response.state == "running":
                break
            with _trace_of(first):
                head = await self._commit_outcome(head, first.turn, response.outcome or LOST)
            fresh = True
        return head

    async def _resume(self, head: Head) -> Head:
        """Goes on with a queue that an earlier activation, perhaps of a dead process, has left.

        The recovery reminder would do so later; a caller need not wait for it (4.29).
        """
        if not head.queue or ARMED in self.state.flags:
            return head
        try:
            await self._arm()
            return await self._drive(head, fresh=False)
        except TryLater:
            return await self._head()  # As last saved; the reminder goes on from there.

    async def _respond_to(self, queued: QueuedTurn, head: Head, *, start: bool) -> ResponseState:
        with _trace_of(queued):
            return await self._respond(head, queued.turn, start=start, wait=0.0)

    async def _respond(self, head: Head, turn: Turn, *, start: bool, wait: float) -> ResponseState:
        """Calls ResponseAgent, which runs the model; `start` lets it start an unknown turn."""
        window = await self._window.pairs(head)
        unseen = window[0].seq - 1 if window else head.seq
        if unseen - max(head.earlier.upto, head.start) >= UNSEEN:
            wanted = ConversationSummary(head.earlier.upto, unseen, "")
            self._dependencies.request_summary(self.conversation, wanted)
        request = ResponseRequest(
            self.conversation,
            turn.turn_id,
            head.user or turn.user,
            head.seq + 1,
            turn.message,
            tuple(pair.exchange for pair in window),
            start,
            wait,
            head.earlier.text,
        )
        return await self.ask(lambda: self._dependencies.response.process(request), wait)

    async def _commit_outcome(
        self, head: Head, turn: Turn, outcome: Outcome, *, adopted: bool = False
    ) -> Head:
        """Settles a turn: commits it in one transaction, then publishes its event."""
        draft = self._draft(head)
        draft.own(turn.user)
        draft.dequeue(turn.turn_id)
        pair: Pair | None = None
        if isinstance(outcome, Reply):
            pair = await draft.append(turn, outcome, self.clock.now(), self._history.segment)
        else:
            failed = replace(outcome.error, retry="new-key", turn_id=turn.turn_id)
            draft.record(turn, "failed", error=failed)
        await self._commit(draft)
        self._bell.ring(self.conversation)
        if pair is not None:
            await self._outbox.publish(self.conversation, draft.head, pair)
        self._turn_counters.ended(turn, outcome, adopted=adopted)
        return draft.head


def _trace_of(queued: QueuedTurn) -> AbstractContextManager[object]:
    """The trace that a queued turn began in, not that of the call that goes on with it."""
    return tracing.resume("resume turn", queued.trace, {"turn.id": queued.turn.turn_id})
