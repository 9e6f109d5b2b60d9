"""When a reminder or a timer is due: reads Dapr's registration, and computes the next tick.

The forms and their meaning were found out on daprd 1.18.0; the conformance suite checks both
runtimes.
"""

import math
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from pydantic import BaseModel, Field, ValidationError
from pydantic_core import to_json

from agent_actors.errors import Invalid
from agent_actors.forms.duration import seconds
from agent_actors.protocol.codec import decode, fields

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)", re.ASCII)
_CALENDAR = re.compile(
    r"P(?=\d)(?:(?P<years>\d{1,4})Y)?(?:(?P<months>\d{1,4})M)?(?P<rest>.*)", re.ASCII
)
_REPEATED = re.compile(r"R(?P<times>-?\d{1,15})/(?P<period>P.*)", re.ASCII)
_DAYS = re.compile(r"(?:^|/)P[^T]*\d[YMWD]", re.ASCII)
_SHORTEST = 0.001
"""Seconds: a shorter period would keep the process from everything else."""


@dataclass(frozen=True, slots=True)
class Recurrence:
    """The times at which something is due, in seconds.

    Without a period it is due once. After `expires` it is no longer due. `left` is the number of
    fires that are left, including the next one; None is no limit.
    """

    due: float
    period: float | None = None
    expires: float | None = None
    left: int | None = None

    def next(self, now: float) -> "Recurrence | None":
        """The first tick after now, in step with the last one; missed ticks are skipped."""
        if self.period is None or self.left == 1:
            return None
        steps = max(1, math.floor((now - self.due) / self.period) + 1)
        due = self.due + steps * self.period
        if self.expires is not None and due > self.expires:
            return None
        return replace(self, due=due, left=None if self.left is None else self.left - 1)

    def early(self, now: float) -> "Recurrence":
        """The same recurrence, with its next tick now."""
        return replace(self, due=now)


class Registration(NamedTuple):
    """A reminder's schedule, and its data: the JSON that the actor gets with each fire."""

    schedule: Recurrence
    data: bytes


class TimerRegistration(NamedTuple):
    """A timer's schedule, None if its time to live is over at once; and the body of each fire."""

    schedule: Recurrence | None
    body: bytes


class _Body(BaseModel):
    """The registration of a reminder or a timer; only a timer has a callback."""

    due_time: str | None = Field(None, alias="dueTime")
    period: str | None = None
    ttl: str | None = None
    data: Any = None
    callback: str | None = None


def parse(body: bytes, now: float) -> Registration:
    """Reads the registration of a reminder; the schedule is in wall time.

    A period of zero means no period: Dapr 1.18 would fire such a reminder in a hot loop
    (docs/dapr-behaviour.md#reminders).

    Raises:
        Invalid: The body has another form, has no time and no period, or a `ttl` without a period.
    """
    given = _read(body, "reminder")
    if not given.due_time and not given.period:
        raise Invalid("The reminder has neither a dueTime nor a period.")
    if given.period and _DAYS.search(given.period):
        raise Invalid(f"The period {given.period!r} of a reminder is in days, not in hours.")
    period, left = _period(given.period)
    due = start = now + (_delay("dueTime", given.due_time, now) or 0.0)
    if not given.due_time and period is not None:
        due = start + period
    if given.ttl and period is None:
        raise Invalid("A reminder must have a period to have a ttl.")
    # As on Dapr: counted from the due time, and a tick at the very end still fires.
    expires = _expires(given.ttl, start, now, now)
    return Registration(Recurrence(due, period, expires, left or None), to_json(given.data))


def parse_timer(body: bytes, now: float, wall: float) -> TimerRegistration:
    """Reads the registration of a timer; the schedule is in monotonic time.

    `now` and `wall` are the same moment in monotonic and in wall time.

    Raises:
        Invalid: The body has another form, or its period has no repetitions.
    """
    given = _read(body, "timer")
    period, left = _period(given.period)
    if left == 0:
        raise Invalid(f"The period {given.period!r} of a timer repeats nothing.")
    due = now + (_delay("dueTime", given.due_time, wall) or 0.0)
    expires = _expires(given.ttl, due, now, wall)
    # As on Dapr: unlike a reminder, a timer does not fire at the very end of its time to live.
    last = None if expires is None else math.nextafter(expires, -math.inf)
    over = last is not None and due > last
    fired = {
        "callback": given.callback or "",
        "data": given.data,
        "dueTime": given.due_time or "",
        "period": given.period or "",
    }
    return TimerRegistration(None if over else Recurrence(due, period, last, left), to_json(fired))


def _read(body: bytes, what: str) -> _Body:
    try:
        return decode(body, _Body)
    except ValidationError as error:
        raise Invalid(f"The {what} is malformed: {fields(error)}") from None


def _period(text: str | None) -> tuple[float | None, int | None]:
    """The period in seconds, or None; and the number of fires, or None for no limit.

    Dapr reads a negative number of fires as no limit.
    """
    repeated = _REPEATED.fullmatch(text or "")
    times = int(repeated["times"]) if repeated is not None else None
    length = _seconds("period", repeated["period"] if repeated is not None else text)
    period = max(length, _SHORTEST) if length else None
    return period, None if times is not None and times < 0 else times


def _expires(ttl: str | None, start: float, now: float, wall: float) -> float | None:
    """The end of a time to live, which is a duration from `start` or an RFC 3339 time."""
    if not ttl:
        return None
    if not _TIME.fullmatch(ttl):
        return start + (_delay("ttl", ttl, wall + start - now) or 0.0)
    expires = now + (_delay("ttl", ttl, wall) or 0.0)
    if expires < start:
        raise Invalid(f"The ttl {ttl!r} is over before the first fire.")
    return expires


def _delay(name: str, text: str | None, wall: float) -> float | None:
    """The seconds from now until the end of a duration or until a time; None without a text."""
    if not text:
        return None
    try:
        if _TIME.fullmatch(text):
            return datetime.fromisoformat(text).timestamp() - wall
        calendar = _CALENDAR.fullmatch(text)
        if calendar is not None and (calendar["years"] or calendar["months"]):
            return _on_the_calendar(calendar, wall)
    except (ValueError, OverflowError):
        raise Invalid(f"The {name} {text!r} is not a valid time.") from None
    return _seconds(name, text)


def _on_the_calendar(match: re.Match[str], wall: float) -> float:
    """The seconds until the same day, months or years later; 31 February is 3 March."""
    begin = datetime.fromtimestamp(wall, UTC)
    months = begin.month - 1 + int(match["months"] or 0)
    first = begin.replace(
        year=begin.year + int(match["years"] or 0) + months // 12, month=months % 12 + 1, day=1
    )
    rest = seconds("P" + match["rest"]) if match["rest"] else 0.0
    return (first + timedelta(days=begin.day - 1, seconds=rest) - begin).total_seconds()


def _seconds(name: str, text: str | None) -> float:
    if not text:
        return 0.0
    try:
        return seconds(text)
    except ValueError as error:
        raise Invalid(f"The {name}: {error}.") from None
