"""Scheduled messages: a conversation stores schedules and sends itself their messages.

A schedule has a *repeating* reminder. When a firing fails, or is missed because the service was
down, the reminder fires again after the recovery period, until it is set to the next time or
stopped (I14, docs/protocol.md). The document alone decides whether an occurrence is due, and moves
on in the transaction that queues the turn: a reminder that fires twice, early or late does no harm
(rule 16).
"""

import asyncio
import logging
from collections.abc import Iterable

from agent_actors.conversation.base import ConversationBase
from agent_actors.errors import Conflict, Gone, Invalid, NotFound, TryLater
from agent_actors.protocol import ids
from agent_actors.protocol.messages import Message, Turn
from agent_actors.protocol.schedules import BYTES, RemoveSchedule, Schedule, Schedules
from agent_actors.state import slots
from agent_actors.state.documents.conversation import Head
from agent_actors.state.turn_position import check_open
from agent_actors.turns.actor import turn

log = logging.getLogger(__name__)


class ScheduledTurns(ConversationBase):
    """The part of ChatAgent that stores schedules and queues their turns."""

    @turn
    async def add_schedule(self, request: Schedule) -> Schedule:
        """Stores a schedule once; a retry with the same key gets it as it is now.

        Raises (as returned errors):
            NotFound: The conversation is a session, or belongs to another user.
            Gone: The schedule with this key has ended.
            Invalid: The key was used for another schedule.
            Conflict: The user has as many schedules as are allowed.
        """
        if ids.session_of(self.conversation) is not None:
            raise NotFound("Sessions have no schedules; their user has.")
        check_open(await self._head(), self.conversation)
        stored = await self._schedules()
        known = stored.find(request.id)
        if known is not None:
            return known
        if stored.knows(request.id):
            raise Gone("The schedule of this Idempotency-Key has ended, or was deleted.")
        if request.key_hash and stored.has_key(request.key_hash):
            raise Invalid("This Idempotency-Key was used with another schedule.")
        most = self._settings.schedules
        if len(stored.schedules) >= most:
            raise Conflict(
                f"A user may have {most} schedules; delete one, or wait until one has ended."
            )
        if stored.schedules and stored.size + len(request.content.encode()) > BYTES:
            raise Conflict(
                f"The schedules of a user may have {BYTES} bytes of content together; delete one,"
                " or wait until one has ended."
            )
        # Before the save: a reminder without a schedule ends itself, but a schedule without a
        # reminder would never send anything.
        await self._remind_schedule(request.id, request.next_due - self._now())
        await self.state.save({slots.SCHEDULES: stored.add(request)})
        return request

    @turn
    async def remove_schedule(self, request: RemoveSchedule) -> None:
        """Ends a schedule, if there is one; turns it has queued already go on."""
        schedule = (await self._schedules()).find(request.schedule_id)
        if schedule is not None:
            await self._end_schedule(schedule)

    async def _due_schedule(self, schedule_id: str) -> Schedule | None:
        """The schedule whose reminder has fired; None if it is not due, or there is none."""
        schedule = (await self._schedules()).find(schedule_id)
        if schedule is None:
            await self._stop_schedule_reminders([schedule_id])
            return None
        early = schedule.next_due - self._now()
        if early > 0:
            await self._remind_schedule(schedule_id, early)
            return None
        try:
            check_open(await self._head(), self.conversation)
        except (NotFound, Gone) as error:
            log.warning("schedule %s ends: %s", schedule_id, error.title)
            await self._end_schedule(schedule)
            return None
        return schedule

    async def _enqueue_occurrence(self, head: Head, schedule: Schedule) -> Head | None:
        """Queues the schedule's turn and moves the schedule on, in one transaction.

        Returns the new head; None if there is no room for the turn.
        """
        stored, now = await self._schedules(), self._now()
        message = Message("user", schedule.content)
        # The id is the same whenever the turn is made.
        turn_id = ids.occurrence_id(
            self.conversation, schedule.id, schedule.created, schedule.number
        )
        body = ids.body_hash(message)
        occurrence = Turn(turn_id, "", body, self.conversation, message, schedule.id)
        # The one before has no answer yet: more of them would leave no room for anybody else.
        waits = any(queued.turn.schedule == schedule.id for queued in head.queue)
        if waits or self._queue_is_full(head, occurrence):
            # Until the recovery period has passed, or the schedule's next time if that is sooner.
            log.info("schedule %s waits: its turn has no room in the queue", schedule.id)
            rest = schedule.following(now) - now
            if 0 < rest < self._settings.recovery_period:
                await self._remind_schedule(schedule.id, rest)
            return None
        self._turn_counters.received(occurrence)
        draft = self._draft(head)
        draft.own(self.conversation)
        draft.enqueue(occurrence, tries=0 if head.queue else 1)
        after = None if schedule.last else schedule.said(now)
        moved = stored.move(after) if after else stored.end(schedule).document
        draft.keep_schedules(moved)
        await self._commit(draft)
        self._turn_counters.parked(occurrence)
        if after is None:
            await self._stop_schedule_reminders([schedule.id])
            return draft.head
        try:
            await self._remind_schedule(after.id, after.next_due - now)
        except TryLater as error:
            # It fires once more before the next time, and is set then.
            log.warning("the reminder of schedule %s remains: %s", after.id, error.title)
        return draft.head

    async def _schedules(self) -> Schedules:
        if ids.session_of(self.conversation) is not None:
            return Schedules()
        return await self.state.load_or_new(slots.SCHEDULES)

    async def _end_schedule(self, schedule: Schedule) -> None:
        stored = await self._schedules()
        await self.state.save({slots.SCHEDULES: stored.end(schedule).document})
        await self._stop_schedule_reminders([schedule.id])

    # -- reminders --------------------------------------------------------------------------------

    async def _remind_schedule(self, schedule_id: str, seconds: float) -> None:
        await self._remind(ids.schedule_reminder(schedule_id), seconds)

    async def _stop_schedule_reminders(self, schedule_ids: Iterable[str]) -> None:
        """Stops reminders. If that fails, one ends itself when it fires and finds no schedule."""

        async def stop(schedule_id: str) -> None:
            try:
                await self._stop_reminder(ids.schedule_reminder(schedule_id))
            except TryLater as error:
                log.warning("the reminder of schedule %s remains: %s", schedule_id, error.title)

        await asyncio.gather(*map(stop, schedule_ids))

    def _now(self) -> float:
        return self.clock.now().timestamp()
