"""ChatAgent: a conversation's history, its queue of turns, and the events it owes.

This is the turn protocol of `docs/guarantees.md`; its rules and the interleavings behind them were
model-checked. Every method reads the head, decides, saves once, and only then believes the save.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

from dapr.actor import ActorId, Remindable
from dapr.actor.runtime.context import ActorRuntimeContext

from agent_actors import contracts, slots
from agent_actors.actors.draft import Draft, Ending
from agent_actors.actors.limits import ChatLimits
from agent_actors.actors.outbox import Outbox
from agent_actors.clients import MemoryClient, ResponseClient
from agent_actors.contracts import ChatAgentInterface
from agent_actors.documents import (
    Head,
    Pair,
    Record,
    find_pair,
    find_queued,
    find_record,
    older_records,
    segment_of,
)
from agent_actors.errors import Busy, Gone, Invalid, ModelFailed, NotFound, TryLater
from agent_actors.messages import (
    CompleteTurn,
    Exchange,
    Failure,
    Message,
    Outcome,
    Problem,
    ProcessTurn,
    Reply,
    Respond,
    Responding,
    Turn,
    TurnState,
)
from agent_actors.settled import Settled
from agent_actors.turns import Host, TurnActor, turn

log = logging.getLogger(__name__)

TRIES = 3
"""Starts of a queued turn; one that ends its process each time ends as failed."""
DRIVE = 8
"""Queue entries settled by one call; the rest is left to the next."""
PUBLISH = 20
"""Events published by one tick."""
ARMED = "armed"
"""Noted while the recovery reminder is known to be registered."""
SHOWN = 2
"""Pairs of `GetConversationHistory`: at most five entries, beginning with a user entry."""

CANCELLED = Problem(
    409, "Cancelled", "The conversation was cleared before this turn was done.", "new-key"
)
LOST = Failure(
    Problem.of(ModelFailed(f"The turn was started {TRIES} times and each time its process ended."))
)


@dataclass(frozen=True, slots=True)
class ChatParts:
    """What a ChatAgent works with."""

    limits: ChatLimits
    response: ResponseClient
    memory: MemoryClient
    outbox: Outbox
    settled: Settled
    new_turn_id: Callable[[], str]


class ChatAgent(TurnActor, ChatAgentInterface, Remindable):
    """One conversation. `Remindable` is a direct base: the SDK looks nowhere else."""

    def __init__(
        self, ctx: ActorRuntimeContext, actor_id: ActorId, host: Host, parts: ChatParts
    ) -> None:
        super().__init__(ctx, actor_id, host)
        self.conversation = actor_id.id
        self._limits = parts.limits
        self._response = parts.response
        self._memory = parts.memory
        self._outbox = parts.outbox
        self._settled = parts.settled
        self._new_turn_id = parts.new_turn_id
        self._older: tuple[int, tuple[Pair, ...]] | None = None

    def put_away(self) -> None:
        """As every actor; the segment before the tail goes too."""
        super().put_away()
        self._older = None

    # -- the turns --------------------------------------------------------------------------

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
        pairs = [await self._pair(head, seq) for seq in range(first, head.seq + 1)]
        exchanges = [pair.exchange for pair in pairs if pair is not None]
        return tuple(entry for each in exchanges for entry in (each.input, each.output))

    @turn
    async def clear_history(self) -> None:
        """Hides what was said and cancels what is queued, in one save.

        It is erased by the tick, as soon as memory has what was said: erased before, memory would
        miss one event and, its marks being without gaps, every later one.
        """
        head = await self._head()
        if head.start == head.seq and not head.queue:
            return
        draft = self._draft(head)
        draft.clear(CANCELLED)
        await self._commit(draft)
        self._settled.ring(self.conversation)

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
        if name != contracts.SETTLE:
            log.warning("reminder %s of %s is not known here", name, self.conversation)
            return
        self.state.note(ARMED)
        head = await self._drive(await self._head(), fresh=False)
        mark = await self._mark(head)
        await self._publish_after(head, mark)
        head = await self._erase(head, min(head.start, mark))
        if not head.queue and mark >= head.seq and head.low > head.start:
            self.state.unnote(ARMED)
            await self.ask(lambda: self.unregister_reminder(contracts.SETTLE))

    # -- a turn, step by step ---------------------------------------------------------------

    async def _process(self, turn: Turn, wait: float) -> TurnState:
        head = await self._head()
        if head.user and head.user != turn.user:
            raise NotFound("There is no such conversation of this user.")
        head = await self._resume(head)
        record = await self._record(head, turn)
        queued = find_queued(head.queue, turn.turn_id, turn.key_hash)
        known = record or (queued.turn if queued else None)
        if known is not None and known.body_hash != turn.body_hash:
            raise Invalid("This Idempotency-Key was used with another message.")
        if record is not None:
            return await self._answer_again(head, record)
        if queued is not None:
            running = queued is head.queue[0]
            return TurnState(queued.turn.turn_id, "running" if running else "queued")
        if head.queue:
            return await self._park(head, turn, tries=0)
        return await self._answer(head, turn, wait)

    async def _answer(self, head: Head, turn: Turn, wait: float) -> TurnState:
        """The quick path: nobody waits before this turn."""
        responding = await self._respond(head, turn, start=True, wait=wait)
        if responding.outcome is None:
            return await self._park(head, turn, tries=1)
        if isinstance(responding.outcome, Failure):
            raise responding.outcome.error.error()
        await self._settle(head, turn, responding.outcome)
        return TurnState(turn.turn_id, "done", responding.outcome)

    async def _answer_again(self, head: Head, record: Record) -> TurnState:
        """A recorded outcome is final: the same answer, the same failure."""
        if record.seq is None:
            return TurnState(record.turn_id, record.status, error=record.error)
        pair = await self._pair(head, record.seq) if record.seq > head.start else None
        if pair is None:
            raise Gone("The answer of this turn was cleared.", turn_id=record.turn_id)
        return TurnState(record.turn_id, "done", pair.output)

    async def _park(self, head: Head, turn: Turn, tries: int) -> TurnState:
        """Accepts the turn durably; it ends without its caller from here on."""
        waiting = sum(len(queued.turn.message.content.encode()) for queued in head.queue)
        size = len(turn.message.content.encode())
        full = len(head.queue) >= self._limits.queue_length
        if full or (head.queue and waiting + size > self._limits.queue_bytes):
            raise Busy("Too many messages wait for this actor; send this one again later.")
        draft = self._draft(head)
        draft.own(turn.user)
        draft.enqueue(turn, tries)
        await self._commit(draft)
        return TurnState(turn.turn_id, "running" if tries else "queued")

    async def _settle(self, head: Head, turn: Turn, outcome: Outcome) -> Head:
        """The turn is over: one transaction, then its event. Returns the new head."""
        draft = self._draft(head)
        draft.own(turn.user)
        draft.dequeue(turn.turn_id)
        pair = None
        if isinstance(outcome, Reply):
            pair = await draft.append(turn, outcome, self.clock.now(), self._segment)
        else:
            error = replace(outcome.error, retry="new-key", turn_id=turn.turn_id)
            draft.record(turn, Ending("failed", error=error))
        await self._commit(draft)
        self._settled.ring(self.conversation)
        if pair is not None:
            await self._outbox.publish(self.conversation, draft.head.user, pair)
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
            responding = await self._respond(head, first.turn, start=fresh, wait=0.0)
            if responding.state == "unknown" and first.tries < TRIES:
                # Saved before the start: a turn that ends its process must not run for ever.
                head = await self._count_try(head)
                responding = await self._respond(head, first.turn, start=True, wait=0.0)
            if responding.state == "running":
                break
            outcome = responding.outcome or LOST
            head = await self._settle(head, first.turn, outcome)
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
        return draft.head

    async def _respond(self, head: Head, turn: Turn, *, start: bool, wait: float) -> Responding:
        request = Respond(
            self.conversation,
            turn.turn_id,
            head.user or turn.user,
            head.seq + 1,
            turn.message,
            await self._window(head),
            start,
            wait,
        )
        return await self.ask(lambda: self._response.process(request), wait)

    # -- what is saved ----------------------------------------------------------------------

    async def _head(self) -> Head:
        return await self.state.load(slots.HEAD) or Head()

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
        await self.ask(lambda: self.register_reminder(contracts.SETTLE, b"", period, period))
        self.state.note(ARMED)

    async def _segment(self, number: int) -> tuple[Pair, ...]:
        document = await self.state.load(slots.segment(number))
        return document.pairs if document else ()

    async def _pair(self, head: Head, seq: int) -> Pair | None:
        found = find_pair(head.tail, seq)
        return found or find_pair(await self._segment(segment_of(seq)), seq)

    async def _record(self, head: Head, turn: Turn) -> Record | None:
        found = find_record(head.recent, turn.turn_id, turn.key_hash)
        if found is not None:
            return found
        numbers = older_records(head, self._limits.outcomes_kept)
        older = await self.state.load_all([slots.records(n) for n in numbers])
        for document in reversed(older):
            found = document.find(turn.turn_id, turn.key_hash)
            if found is not None:
                return found
        return None

    async def _window(self, head: Head) -> tuple[Exchange, ...]:
        """The last exchanges that the model sees, oldest first."""
        pairs = [pair for pair in await self._last_pairs(head) if pair.seq > head.start]
        window: list[Exchange] = []
        room = self._limits.window_bytes
        for pair in reversed(pairs[len(pairs) - min(self._limits.window_turns, len(pairs)) :]):
            room -= pair.size
            if room < 0:
                break
            window.append(pair.exchange)
        return tuple(reversed(window))

    async def _last_pairs(self, head: Head) -> tuple[Pair, ...]:
        """The tail and the segment before it: pairs never change, so that one is kept."""
        first = head.tail[0].seq if head.tail else head.seq + 1
        if len(head.tail) >= self._limits.window_turns or first - 1 <= head.start:
            return head.tail
        if self._older is None or self._older[0] != first:
            self._older = (first, await self._segment(segment_of(first - 1)))
        return (*(pair for pair in self._older[1] if pair.seq < first), *head.tail)

    # -- what is owed -----------------------------------------------------------------------

    async def _mark(self, head: Head) -> int:
        """How far memory is. Before the first committed turn there is nobody to ask."""
        if not head.seq:
            return 0
        return await self.ask(lambda: self._memory.mark(head.user, self.conversation))

    async def _publish_after(self, head: Head, mark: int) -> None:
        for seq in range(mark + 1, min(head.seq, mark + PUBLISH) + 1):
            pair = await self._pair(head, seq)
            if pair is None:
                log.error("event %d of %s cannot be rebuilt", seq, self.conversation)
                return
            await self._outbox.publish(self.conversation, head.user, pair)

    async def _erase(self, head: Head, gone: int) -> Head:
        if head.low > gone:
            return head
        draft = self._draft(head)
        await draft.erase(gone, self._segment)
        await self.state.save(draft.changes)
        return draft.head

    def _unkeyed(self, message: Message) -> Turn:
        contracts.check_message(message, self._limits.message_bytes)
        body = contracts.body_hash(message)
        return Turn(self._new_turn_id(), "", body, self.conversation, message)
