"""Schedules: messages that a conversation sends to itself. All values are frozen, times in seconds.

They are stored in a document of the conversation, beside its head; each has its own reminder.
"""

import math
from dataclasses import dataclass, replace

BYTES = 262_144
"""The total size of the messages of one user's schedules; a single one may be longer."""
ENDED = 64
"""Ended schedules whose keys are remembered."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """A message that is sent at a time, as if its user had sent it.

    `next_due` and `created` are epoch seconds. `every` is None if it is due once. `left` is the
    number of occurrences that are left, if they are limited; `number` that of past ones. `key_hash`
    is empty without an idempotency key.
    """

    id: str
    content: str
    next_due: float
    created: float
    every: float | None = None
    left: int | None = None
    number: int = 0
    key_hash: str = ""

    @property
    def last(self) -> bool:
        """Is the next occurrence the last one?"""
        return self.every is None or self.left == 1

    def following(self, now: float) -> float:
        """The next due time after `now`, in step with the plan; missed occurrences are skipped."""
        if self.every is None:
            return self.next_due
        steps = max(1, math.floor((now - self.next_due) / self.every) + 1)
        return self.next_due + steps * self.every

    def said(self, now: float) -> "Schedule":
        """The schedule after an occurrence that was not the last."""
        left = None if self.left is None else self.left - 1
        due = self.following(now)
        return replace(self, next_due=due, left=left, number=self.number + 1)


@dataclass(frozen=True, slots=True)
class RemoveSchedule:
    """`ChatAgent.RemoveSchedule`: end this schedule."""

    schedule_id: str


@dataclass(frozen=True, slots=True)
class EndedSchedule:
    """A schedule that is over or was deleted, for callers that send its key again."""

    id: str
    key_hash: str


@dataclass(frozen=True, slots=True)
class Schedules:
    """The document: the schedules of a user, and the last ended ones that had a key."""

    v: int = 1
    schedules: tuple[Schedule, ...] = ()
    ended: tuple[EndedSchedule, ...] = ()

    def find(self, schedule_id: str) -> Schedule | None:
        """The schedule of that id; None if there is none, or it has ended."""
        return next((each for each in self.schedules if each.id == schedule_id), None)

    def knows(self, schedule_id: str) -> bool:
        """Is there such a schedule, or was there?"""
        ended = any(each.id == schedule_id for each in self.ended)
        return ended or self.find(schedule_id) is not None

    def has_key(self, key_hash: str) -> bool:
        """Was a schedule sent with this key?"""
        keys = [each.key_hash for each in self.schedules]
        return key_hash in keys or any(each.key_hash == key_hash for each in self.ended)

    @property
    def document(self) -> "Schedules | None":
        """The document as it is stored; None if it is empty."""
        return self if self.schedules or self.ended else None

    @property
    def size(self) -> int:
        """The size of all messages in bytes."""
        return sum(len(each.content.encode()) for each in self.schedules)

    def add(self, schedule: Schedule) -> "Schedules":
        """The document with one more schedule."""
        return replace(self, schedules=(*self.schedules, schedule))

    def move(self, schedule: Schedule) -> "Schedules":
        """The document with a schedule replaced by its new state."""
        moved = (schedule if each.id == schedule.id else each for each in self.schedules)
        return replace(self, schedules=tuple(moved))

    def end(self, schedule: Schedule) -> "Schedules":
        """The document without a schedule, whose key stays known for a while."""
        ended = self.ended
        if schedule.key_hash:
            ended = (*ended, EndedSchedule(schedule.id, schedule.key_hash))[-ENDED:]
        rest = tuple(each for each in self.schedules if each.id != schedule.id)
        return replace(self, schedules=rest, ended=ended)
