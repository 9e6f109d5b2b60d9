"""When a reminder or a timer is due: Dapr's registration body, and the tick after a tick.

Which forms there are, and what they mean, was tried on daprd 1.18.0; the conformance suite holds
both runtimes to it.
"""

import math
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from pydantic import BaseModel, Field, ValidationError
from pydantic_core import to_json

from agent_actors.errors import Invalid
from agent_actors.forms.duration import seconds
from agent_actors.protocol.codec import decode, fields

_TIME = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)",
    re.ASCII,
)
_CALENDAR = re.compile(
    r"P(?=\d)(?:(?P<years>\d{1,4})Y)?(?:(?P<months>\d{1,4})M)?(?P<rest>.*)", re.ASCII
)
_REPEATED = re.compile(r"R(?P<times>-?\d{1,15})/(?P<period>P.*)", re.ASCII)
_DAYS = re.compile(r"(?:^|/)P[^T]*\d[YMWD]", re.ASCII)
_SHORTEST = 0.001
"""Seconds: what is to happen more often would keep the process from everything else."""

B = TypeVar("B", bound="_Body")


@dataclass(frozen=True, slots=True)
class Recurrence:
    """When it is due and may be due again, in seconds.

    Without a period it is due once. After `expires` it is due no more. `left` is how many fires
    are left, with the next one; None is no limit.
    """

    due: float
    period: float | None = None
    expires: float | None = None
    left: int | None = None

    def next(self, now: float) -> "Recurrence | None":
        """The first tick after now, in step with the last one: missed ticks are not made up for."""
        if self.period is None or self.left == 1:
            return None
        steps = max(1, math.floor((now - self.due) / self.period) + 1)
        due = self.due + steps * self.period
        if self.expires is not None and due > self.expires:
            return None
        return replace(self, due=due, left=None if self.left is None else self.left - 1)

    def early(self, now: float) -> "Recurrence":
        """The same, due now."""
        return replace(self, due=now)


@dataclass(frozen=True, slots=True)
class Registration:
    """What an actor registered: when, and the JSON it gets back as it gave it."""

    schedule: Recurrence
    data: bytes


@dataclass(frozen=True, slots=True)
class TimerRegistration:
    """What an actor registered: when, and the body of each fire.

    `schedule` is None where the time to live is over before the first fire.
    """

    schedule: Recurrence | None
    body: bytes


class _Body(BaseModel):
    due_time: str | None = Field(None, alias="dueTime")
    period: str | None = None
    ttl: str | None = None
    data: Any = None


class _TimerBody(_Body):
    callback: str | None = None


def parse(body: bytes, now: float) -> Registration:
    """A reminder's registration.

    A period of nothing is none: real Dapr 1.18 fires such a reminder in a hot loop
    (docs/dapr-behaviour.md#reminders).

    Args:
        body: Dapr's JSON object.
        now: The wall time in seconds, which the schedule will be in.

    Raises:
        Invalid: It has another form, says neither when nor how often, or has a `ttl` but no period.
    """
    asked = _read(body, _Body, "reminder")
    if not asked.due_time and not asked.period:
        raise Invalid("The reminder has neither a dueTime nor a period.")
    if asked.period and _DAYS.search(asked.period):
        raise Invalid(f"The period {asked.period!r} of a reminder is in days, not in hours.")
    period, left = _period(asked.period)
    due = start = now + (_delay("dueTime", asked.due_time, now) or 0.0)
    if not asked.due_time and period is not None:
        due = start + period
    if asked.ttl and period is None:
        raise Invalid("A reminder must have a period to have a ttl.")
    # As on Dapr: from when it was to begin, and the tick at its very end still comes.
    expires = _expires(asked.ttl, start, now, now)
    return Registration(Recurrence(due, period, expires, left or None), to_json(asked.data))


def parse_timer(body: bytes, now: float, wall: float) -> TimerRegistration:
    """A timer's registration.

    Args:
        body: Dapr's JSON object.
        now: The time in seconds that the schedule will be in.
        wall: The same moment as wall time.

    Raises:
        Invalid: It has another form, or is to be repeated not once.
    """
    asked = _read(body, _TimerBody, "timer")
    period, left = _period(asked.period)
    if left == 0:
        raise Invalid(f"The period {asked.period!r} of a timer repeats nothing.")
    due = now + (_delay("dueTime", asked.due_time, wall) or 0.0)
    expires = _expires(asked.ttl, due, now, wall)
    # Unlike a reminder's, a timer's tick at the very end of its time does not come any more.
    last = None if expires is None else math.nextafter(expires, -math.inf)
    over = last is not None and due > last
    told = {
        "callback": asked.callback or "",
        "data": asked.data,
        "dueTime": asked.due_time or "",
        "period": asked.period or "",
    }
    return TimerRegistration(None if over else Recurrence(due, period, last, left), to_json(told))


def _read(body: bytes, form: type[B], what: str) -> B:
    try:
        return decode(body, form)
    except ValidationError as error:
        raise Invalid(f"The {what} is malformed: {fields(error)}") from None


def _period(text: str | None) -> tuple[float | None, int | None]:
    """The seconds between two fires, None for none; and how many there are in all, or None.

    Dapr reads fewer than none of them as no limit.
    """
    repeated = _REPEATED.fullmatch(text or "")
    times = int(repeated["times"]) if repeated is not None else None
    length = _seconds("period", repeated["period"] if repeated is not None else text)
    period = max(length, _SHORTEST) if length else None
    return period, None if times is not None and times < 0 else times


def _expires(ttl: str | None, start: float, now: float, wall: float) -> float | None:
    """When the time to live ends that begins with `start`; an RFC 3339 time is that time."""
    if not ttl:
        return None
    if not _TIME.fullmatch(ttl):
        return start + (_delay("ttl", ttl, wall + start - now) or 0.0)
    expires = now + (_delay("ttl", ttl, wall) or 0.0)
    if expires < start:
        raise Invalid(f"The ttl {ttl!r} is over before the first fire.")
    return expires


def _delay(name: str, text: str | None, wall: float) -> float | None:
    """Seconds from a moment to what a duration or a time says; None where nothing is said."""
    if not text:
        return None
    try:
        if _TIME.fullmatch(text):
            return datetime.fromisoformat(text).timestamp() - wall
        calendar = _CALENDAR.fullmatch(text)
        if calendar is not None and (calendar["years"] or calendar["months"]):
            return _on_the_calendar(calendar, wall)
    except (ValueError, OverflowError):
        raise Invalid(f"The {name} {text!r} is no time that there is.") from None
    return _seconds(name, text)


def _on_the_calendar(asked: re.Match[str], wall: float) -> float:
    """Seconds to the same day some months later; a day that month has not is in the next one."""
    begin = datetime.fromtimestamp(wall, UTC)
    months = begin.month - 1 + int(asked["months"] or 0)
    first = begin.replace(
        year=begin.year + int(asked["years"] or 0) + months // 12, month=months % 12 + 1, day=1
    )
    rest = seconds("P" + asked["rest"]) if asked["rest"] else 0.0
    return (first + timedelta(days=begin.day - 1, seconds=rest) - begin).total_seconds()


def _seconds(name: str, text: str | None) -> float:
    if not text:
        return 0.0
    try:
        return seconds(text)
    except ValueError as error:
        raise Invalid(f"The {name}: {error}.") from None
