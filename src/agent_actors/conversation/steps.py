"""A conversation, step by step: its turns, what is saved, and what is owed.

Every step reads the head, decides, saves once, and only then believes the save. Section 2 of
docs/protocol.md has the calls in a table, section 4 the reasons.
"""

import functools
import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import timedelta

from dapr.actor import ActorId
from dapr.actor.runtime.context import ActorRuntimeContext

from agent_actors.conversation.draft import Draft, Ending
from agent_actors.conversation.history import History
from agent_actors.conversation.limits import ChatLimits
from agent_actors.conversation.outbox import Outbox
from agent_actors.conversation.turn_counters import TurnCounters
from agent_actors.errors import Busy, Gone, Invalid, ModelFailed, NotFound, TryLater
from agent_actors.observability import tracing
from agent_actors.observability.counters import Counters
from agent_actors.protocol import ids, wire
from agent_actors.protocol.clients import ConsumerClient, ForgetfulClient, ResponseClient
from agent_actors.protocol.messages import (
    ConversationSummary,
    Failure,
    Message,
    Outcome,
    Problem,
    Reply,
    ResponseRequest,
    ResponseState,
    Turn,
    TurnState,
    check_message,
)
from agent_actors.state import slots
from agent_actors.state.documents import Head, OutcomeRecord, Pair, QueuedTurn, find_queued
from agent_actors.turns.actor import Host, TurnActor
from agent_actors.turns.bell import TurnBell

log = logging.getLogger(__name__)

TRIES = 3
"""Starts of a queued turn; one that ends its process each time ends as failed."""
DRIVE = 8
"""Queue entries settled by one call; the rest is left to the next."""
PUBLISH = 20
"""Events published by one tick."""
QUEUE_BYTES = 1_048_576
"""Bytes of messages that may wait for one actor."""
ARMED = "armed"
"""Noted while the recovery reminder is known to be registered."""
FELL_OUT = 4
"""Pairs that the model does not see any more, before they are summed up."""

CANCELLED = Problem(
    409, "Cancelled", "The conversation was cleared before this turn was done.", "new-key"
)
LOST = Failure(
    Problem.of(ModelFailed(f"The turn was started {TRIES} times and each time its process ended."))
)


@dataclass(frozen=True, slots=True)
class ChatParts:
    """What a ChatAgent works with.

    `consumers` are asked for their marks: what one has not applied is published again. `forgetful`
    are those that forget what a cleared conversation was about, where a setting says so.
    `request_summary` starts a summary of pairs that the model does not see any more, outside the
    turn; it gets the conversation and a `ConversationSummary` without text, and returns at once.
    `may_follow_up` says that the actors of a follow-up may be called back. `counters` counts the
    turns.
    """

    limits: ChatLimits
    response: ResponseClient
    consumers: Sequence[ConsumerClient]
    forgetful: Sequence[ForgetfulClient]
    outbox: Outbox
    bell: TurnBell
    new_turn_id: Callable[[], str]
    request_summary: Callable[[str, ConversationSummary], None]
    may_follow_up: bool = False
    counters: Counters = field(default_factory=Counters)


class Conversation(TurnActor):
    """What ChatAgent is made of."""

    def __init__(
        self, ctx: ActorRuntimeContext, actor_id: ActorId, host: Host, parts: ChatParts
    ) -> None:
        super().__init__(ctx, actor_id, host)
        self.conversation = actor_id.id
        self._limits = parts.limits
        self._response = parts.response
        self._consumers = parts.consumers
        self._forgetful = parts.forgetful
        self._outbox = parts.outbox
        self._bell = parts.bell
        self._new_turn_id = parts.new_turn_id
        self._request_summary = parts.request_summary
        self._may_follow_up = parts.may_follow_up
        self._history = History(self.state, parts.limits)
        self._turns = TurnCounters(parts.counters)

    def deactivate(self) -> None:
        """As every actor; the segment before the tail goes too."""
        super().deactivate()
        self._history.void()

    # -- a turn, step by step ---------------------------------------------------------------

    async def _process(self, turn: Turn, wait: float) -> TurnState:
        head = await self._resume(await self._owned(turn.user))
        record = await self._history.record(head, turn)
        queued = find_queued(head.queue, turn.turn_id, turn.key_hash)
        known = record or (queued.turn if queued else None)
        if known is not None and known.body_hash != turn.body_hash:
            raise Invalid("This Idempotency-Key was used with another message.")
        if record is not None:
            return await self._answer_again(head, record)
        if queued is not None:
            running = queued is head.queue[0]
            return TurnState(queued.turn.turn_id, "running" if running else "queued")
        self._turns.taken(turn)
        if head.queue:
            return await self._park(head, turn, tries=0)
        return await self._answer(head, turn, wait)

    async def _answer(self, head: Head, turn: Turn, wait: float) -> TurnState:
        """The quick path: nobody waits before this turn."""
        responding = await self._respond(head, turn, start=True, wait=wait)
        if responding.outcome is None:
            return await self._park(head, turn, tries=1)
        if isinstance(responding.outcome, Failure):
            self._turns.ended(turn, responding.outcome)
            raise responding.outcome.error.error()
        await self._settle(head, turn, responding.outcome)
        return TurnState(turn.turn_id, "done", responding.outcome)

    async def _answer_again(self, head: Head, record: OutcomeRecord) -> TurnState:
        """A recorded outcome is final: the same answer, the same failure."""
        if record.seq is None:
            return TurnState(record.turn_id, record.status, error=record.error)
        pair = await self._history.pair(head, record.seq) if record.seq > head.start else None
        if pair is None:
            raise Gone("The answer of this turn was cleared.", turn_id=record.turn_id)
        return TurnState(record.turn_id, "done", pair.output)

    async def _park(self, head: Head, turn: Turn, tries: int) -> TurnState:
        """Accepts the turn durably; it ends without its caller from here on."""
        if self._full(head, turn):
            self._turns.refused(turn)
            raise Busy("Too many messages wait for this actor; send this one again later.")
        draft = self._draft(head)
        draft.own(turn.user)
        draft.enqueue(turn, tries)
        await self._commit(draft)
        self._turns.parked(turn)
        return TurnState(turn.turn_id, "running" if tries else "queued")

    def _full(self, head: Head, turn: Turn) -> bool:
        """Has the queue no room for this turn?"""
        waiting = sum(len(queued.turn.message.content.encode()) for queued in head.queue)
        size = len(turn.message.content.encode())
        full = len(head.queue) >= self._limits.queue_length
        return full or (bool(head.queue) and waiting + size > QUEUE_BYTES)

    async def _settle(
        self, head: Head, turn: Turn, outcome: Outcome, *, adopted: bool = False
    ) -> Head:
        """The turn is over: one transaction, then its event. Returns the new head."""
        draft = self._draft(head)
        draft.own(turn.user)
        draft.dequeue(turn.turn_id)
        pair = None
        if isinstance(outcome, Reply):
            pair = await draft.append(turn, outcome, self.clock.now(), self._history.segment)
        else:
            failed = replace(outcome.error, retry="new-key", turn_id=turn.turn_id)
            log.warning("turn %s failed: %s", turn.turn_id, failed.title)
            draft.record(turn, Ending("failed", error=failed))
        await self._commit(draft)
        self._bell.ring(self.conversation)
        if pair is not None:
            await self._outbox.publish(self.conversation, draft.head, pair)
        self._turns.ended(turn, outcome, adopted=adopted)
        return draft.head

    async def _drive(self, head: Head, *, fresh: bool) -> Head:
        """Goes on with the queue; never waits for a model.

        Args:
            head: As it was saved last.
            fresh: The queue's head was put first by the last save and was never started.
        """
        for _ in range(DRIVE):
            if not head.queue:
                break
            first = head.queue[0]
            if fresh:
                responding = await self._start(head, first)
            else:
                responding = await self._respond(head, first.turn, start=False, wait=0.0)
            if responding.state == "unknown" and first.tries < TRIES:
                # Saved before the start: a turn that ends its process must not run for ever.
                head = await self._count_try(head)
                responding = await self._start(head, first)
            if responding.state == "running":
                break
            with _resumed(first):
                head = await self._settle(head, first.turn, responding.outcome or LOST)
            fresh = True
        return head

    async def _resume(self, head: Head) -> Head:
        """Goes on with a queue that this activation has not driven yet: its process may be gone.

        As the tick does, but at once: whoever asks for a turn after a crash does not wait for it.
        """
        if not head.queue or self.state.noted(ARMED):
            return head
        try:
            await self._arm()
            return await self._drive(head, fresh=False)
        except TryLater:
            return await self._head()  # As it was saved last; the tick goes on from there.

    async def _count_try(self, head: Head) -> Head:
        draft = self._draft(head)
        draft.try_again()
        await self.state.save(draft.changes)
        first = draft.head.queue[0]
        log.info("turn %s starts again: start %d of %d", first.turn.turn_id, first.tries, TRIES)
        return draft.head

    async def _start(self, head: Head, first: QueuedTurn) -> ResponseState:
        with _resumed(first):
            return await self._respond(head, first.turn, start=True, wait=0.0)

    async def _respond(self, head: Head, turn: Turn, *, start: bool, wait: float) -> ResponseState:
        window = await self._history.window(head)
        self._look_back(head, window)
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
        return await self.ask(lambda: self._response.process(request), wait)

    def _look_back(self, head: Head, window: tuple[Pair, ...]) -> None:
        """Has summed up what the model does not see any more, some pairs at a time."""
        unseen = window[0].seq - 1 if window else head.seq
        after = max(head.earlier.upto, head.start)
        if unseen - after >= FELL_OUT:
            self._request_summary(
                self.conversation, ConversationSummary(head.earlier.upto, unseen, "")
            )

    # -- what is saved ----------------------------------------------------------------------

    @property
    def waiting(self) -> int:
        """Turns in the queue, as it was read or saved last."""
        head = self.state.cached(slots.HEAD)
        return len(head.queue) if head else 0

    async def _head(self) -> Head:
        return await self.state.load(slots.HEAD) or Head()

    async def _owned(self, user: str) -> Head:
        """The head, if this user may say something here."""
        head = await self._head()
        if head.user and head.user != user:
            raise NotFound("There is no such conversation of this user.")
        if head.ended == "closed":
            raise Gone("This session was deleted with its user; begin another one.")
        return head

    def _draft(self, head: Head) -> Draft:
        return Draft(
            head,
            outcomes_kept=self._limits.outcomes_kept,
            history_turns=self._limits.history_turns,
        )

    async def _commit(self, draft: Draft) -> None:
        """Arms the reminder, then saves: a crash between leaves no unsettled turn alone."""
        await self._arm()
        await self.state.save(draft.changes)

    async def _arm(self) -> None:
        """One repeating reminder per conversation; an orphan one unregisters itself."""
        if self.state.noted(ARMED):
            return
        period = timedelta(seconds=self._limits.recovery_period)
        await self.ask(lambda: self.register_reminder(wire.SETTLE, b"", period, period))
        self.state.note(ARMED)

    async def _clear(self, head: Head) -> None:
        """Hides what was said and cancels what is queued, in one save.

        It is erased by the tick, as soon as memory has what was said: erased before, memory would
        miss one event and, its marks being without gaps, every later one.
        """
        draft = self._draft(head)
        draft.clear(CANCELLED)
        forgets = self._limits.clearing_forgets and bool(head.user)
        if forgets:
            draft.forget_cleared()
        await self._commit(draft)
        self._turns.cancelled(queued.turn for queued in head.queue)
        self._bell.ring(self.conversation)
        if forgets:
            await self._outbox.publish_cleared(self.conversation, draft.head, self.clock.now())

    async def _forget_cleared(self, head: Head) -> Head:
        """Has what was cleared forgotten by those the event may not have reached."""
        if not head.clearing:
            return head
        gone = (head.user, self.conversation, head.clearing)
        for each in self._forgetful:
            await self.ask(functools.partial(each.forget_conversation, *gone))
        draft = self._draft(head)
        draft.cleared_is_forgotten()
        await self.state.save(draft.changes)
        return draft.head

    # -- what is owed -----------------------------------------------------------------------

    async def _tick(self) -> int:
        """Goes on with the queue, publishes what is missed, erases; up to where all is erased."""
        head = await self._drive(await self._head(), fresh=False)
        mark = await self._mark(head)
        await self._publish_after(head, mark)
        head = await self._forget_cleared(head)
        head = await self._erase(head, min(head.start, mark))
        erased = head.low > head.start
        if erased and not head.queue and mark >= head.seq:
            self.state.unnote(ARMED)
            await self.ask(lambda: self.unregister_reminder(wire.SETTLE))
        return head.low - 1

    async def _mark(self, head: Head) -> int:
        """How far the last of the consumers is. Before the first turn there is nobody to ask."""
        if not head.seq:
            return 0
        asked = [
            await self.ask(functools.partial(each.mark, head.user, self.conversation))
            for each in self._consumers
        ]
        return max(min(asked), head.low - 1)

    async def _publish_after(self, head: Head, mark: int) -> None:
        owed = range(mark + 1, head.seq + 1)
        # Who gets the newest reads from the history what is between.
        for seq in (*owed[:PUBLISH], *owed[PUBLISH:][-1:]):
            pair = await self._history.pair(head, seq)
            if pair is None:
                log.error("event %d of %s cannot be rebuilt", seq, self.conversation)
                return
            await self._outbox.publish(self.conversation, head, pair)

    async def _erase(self, head: Head, gone: int) -> Head:
        if head.low > gone:
            return head
        draft = self._draft(head)
        await draft.erase(gone, self._history.segment)
        await self.state.save(draft.changes)
        return draft.head

    def _unkeyed(self, message: Message) -> Turn:
        check_message(message, self._limits.message_bytes)
        body = ids.body_hash(message)
        return Turn(self._new_turn_id(), "", body, self.conversation, message)


def _resumed(queued: QueuedTurn) -> AbstractContextManager[object]:
    """What happens to a waiting turn belongs to its own trace, not to that of whoever woke it."""
    return tracing.resume("resume turn", queued.trace, {"turn.id": queued.turn.turn_id})
