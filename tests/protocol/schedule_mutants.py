"""Mutants of what says that a schedule speaks once, and does not fall silent."""

from tests.protocol.mutant import CHAT, mutant

SPEAKING = "conversation/schedules.py"
SCHEDULES = "protocol/schedules.py"

SCHEDULE_MUTANTS = (
    mutant(
        "occurrence_apart",
        "rule 16",
        SPEAKING,
        "        draft.keep_schedules(moved)\n        await self._commit(draft)\n",
        "        await self._commit(draft)\n"
        "        await self.state.save({slots.SCHEDULES: moved})\n",
    ),
    mutant(
        "occurrence_first",
        "rule 16",
        SPEAKING,
        "        draft.keep_schedules(moved)\n        await self._commit(draft)\n",
        "        await self.state.save({slots.SCHEDULES: moved})\n"
        "        await self._commit(draft)\n",
    ),
    mutant(
        "early_fire_speaks",
        "rule 16",
        SPEAKING,
        "        if early > 0:\n",
        "        if False:\n",
    ),
    mutant(
        "schedule_before_reminder",
        "rule 16",
        SPEAKING,
        "        await self._remind_schedule(request.id, request.next_due - self._now())\n"
        "        await self.state.save({slots.SCHEDULES: stored.add(request)})\n",
        "        await self.state.save({slots.SCHEDULES: stored.add(request)})\n"
        "        await self._remind_schedule(request.id, request.next_due - self._now())\n",
    ),
    mutant(
        "orphan_fires_for_ever",
        "rule 16",
        SPEAKING,
        "        if schedule is None:\n"
        "            await self._stop_schedule_reminders([schedule_id])\n",
        "        if schedule is None:\n",
    ),
    mutant(
        "occurrence_is_always_the_first",
        "rule 16",
        SCHEDULES,
        "left=left, number=self.number + 1)",
        "left=left)",
    ),
    mutant(
        "schedules_outlive_their_user",
        "rule 16",
        CHAT,
        "            if schedules.document:\n                draft.keep_schedules(None)\n",
        "",
    ),
)
