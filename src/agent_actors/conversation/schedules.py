"""What a conversation does by itself: it keeps schedules, and is told what they say when it is due.

A schedule has a *repeating* reminder: a fire that failed, or was missed while all was away, comes
again after the recovery period, until one has moved the reminder on (I14). Whether an occurrence is
due is said by the document alone, and it advances in the transaction that takes the turn into the
queue: so a fire that comes twice, early or late does nothing that was not to be done.
"""

import asyncio
import logging
from collections.abc import Iterable
from datetime import timedelta

from agent_actors.conversation.steps import Conversation
from agent_actors.errors import Conflict, Gone, Invalid, NotFound, TryLater
from agent_actors.protocol import ids
from agent_actors.protocol.messages import Message, Turn
from agent_actors.protocol.schedules import BYTES, RemoveSchedule, Schedule, Schedules
from agent_actors.state import slots
from agent_actors.state.documents import Head
from agent_actors.turns.actor import turn

log = logging.getLogger(__name__)


class ScheduledTurns(Conversation):
    """The part of ChatAgent that keeps schedules."""

    @turn
    async def add_schedule(self, request: Schedule) -> Schedule:
        """Keeps a schedule, once; a retry of its key gets it as it is now.

        Raises (as returned errors):
            NotFound: The conversation is a session, or belongs to another user.
            Gone: The schedule of this key has ended.
            Invalid: The key was used with another schedule.
            Conflict: The user has as many as may be.
        """
        if ids.session_of(self.conversation) is not None:
            raise NotFound("Sessions have no schedules; their user has.")
        await self._owned(self.conversation)
        kept = await self._schedules()
        known = kept.find(request.id)
        if known is not None:
            return known
        self._check_new(kept, request)
        # Before the save: an orphan ends itself, a schedule without a reminder would never speak.
        await self._remind(request.id, request.next_due - self._seconds())
        await self.state.save({slots.SCHEDULES: kept.add(request)})
        return request

    @turn
    async def remove_schedule(self, request: RemoveSchedule) -> None:
        """Ends a schedule, if it is there; what it has said already goes on."""
        kept = await self._schedules()
        schedule = kept.find(request.schedule_id)
        if schedule is not None:
            await self.state.save({slots.SCHEDULES: kept.end(schedule).document})
            await self._stop_reminding([request.schedule_id])

    async def _speak_up(self, schedule_id: str) -> None:
        """A reminder fires: what its schedule says is a turn now, if it is due."""
        kept = await self._schedules()
        schedule = kept.find(schedule_id)
        if schedule is None:
            await self._stop_reminding([schedule_id])
            return
        early = schedule.next_due - self._seconds()
        if early > 0:
            await self._remind(schedule_id, early)
            return
        try:
            head = await self._resume(await self._owned(self.conversation))
        except (NotFound, Gone) as error:
            log.warning("schedule %s ends: %s", schedule_id, error.title)
            await self.state.save({slots.SCHEDULES: kept.end(schedule).document})
            await self._stop_reminding([schedule_id])
            return
        await self._occur(head, kept, schedule)

    async def _occur(self, head: Head, kept: Schedules, schedule: Schedule) -> None:
        """Takes the turn into the queue and moves the schedule on, in one transaction."""
        now, said = self._seconds(), self._occurrence(schedule)
        if self._full(head, said) or self._waits(head, schedule):
            await self._remind_again(schedule, now)
            return
        self._turns.taken(said)
        draft = self._draft(head)
        draft.own(self.conversation)
        draft.enqueue(said, tries=0 if head.queue else 1)
        after = None if schedule.last else schedule.said(now)
        draft.keep_schedules(kept.move(after) if after else kept.end(schedule).document)
        await self._commit(draft)
        self._turns.parked(said)
        await self._move_on(schedule, after, now)
        if not head.queue:
            await self._drive(draft.head, fresh=True)

    def _occurrence(self, schedule: Schedule) -> Turn:
        message = Message("user", schedule.content)
        turn_id = ids.occurrence_id(
            self.conversation, schedule.id, schedule.created, schedule.number
        )
        body = ids.body_hash(message)
        return Turn(turn_id, "", body, self.conversation, message, schedule.id)

    @staticmethod
    def _waits(head: Head, schedule: Schedule) -> bool:
        """Has the occurrence before no answer yet? They would leave no room for anybody else."""
        return any(queued.turn.schedule == schedule.id for queued in head.queue)

    def _check_new(self, kept: Schedules, schedule: Schedule) -> None:
        if kept.knows(schedule.id):
            raise Gone("The schedule of this Idempotency-Key has ended, or was deleted.")
        if schedule.key_hash and kept.has_key(schedule.key_hash):
            raise Invalid("This Idempotency-Key was used with another schedule.")
        if len(kept.schedules) >= self._limits.schedules:
            raise Conflict(
                f"A user may have {self._limits.schedules} schedules; delete one, or wait for one"
                " to end."
            )
        if kept.schedules and kept.size + len(schedule.content.encode()) > BYTES:
            raise Conflict(
                f"The schedules of a user may have {BYTES} bytes of content together; delete one,"
                " or wait for one to end."
            )

    async def _schedules(self) -> Schedules:
        if ids.session_of(self.conversation) is not None:
            return Schedules()
        return await self.state.load(slots.SCHEDULES) or Schedules()

    # -- reminders ----------------------------------------------------------------------------

    async def _remind(self, schedule_id: str, seconds: float) -> None:
        """One reminder per schedule: due then, and again each recovery period after."""
        name = ids.schedule_reminder(schedule_id)
        due = timedelta(seconds=max(seconds, 0.0))
        period = timedelta(seconds=self._limits.recovery_period)
        await self.ask(lambda: self.register_reminder(name, b"", due, period))

    async def _move_on(self, schedule: Schedule, after: Schedule | None, now: float) -> None:
        if after is None:
            await self._stop_reminding([schedule.id])
            return
        try:
            await self._remind(after.id, after.next_due - now)
        except TryLater as error:
            # As it is, it fires once more before its time, and is moved on then.
            log.warning("the reminder of schedule %s stays: %s", after.id, error.title)

    async def _remind_again(self, schedule: Schedule, now: float) -> None:
        """It waits for the next time of its plan, or for the recovery period if that is shorter."""
        rest = schedule.following(now) - now
        log.info("schedule %s waits: the queue has no room for it", schedule.id)
        if 0 < rest < self._limits.recovery_period:
            await self._remind(schedule.id, rest)

    async def _stop_reminding(self, schedule_ids: Iterable[str]) -> None:
        """A reminder that cannot be reached finds no schedule when it fires, and ends itself."""
        await asyncio.gather(*map(self._stop_reminder, schedule_ids))

    async def _stop_reminder(self, schedule_id: str) -> None:
        name = ids.schedule_reminder(schedule_id)
        try:
            await self.ask(lambda: self.unregister_reminder(name))
        except TryLater as error:
            log.warning("the reminder of schedule %s stays: %s", schedule_id, error.title)

    def _seconds(self) -> float:
        return self.clock.now().timestamp()
