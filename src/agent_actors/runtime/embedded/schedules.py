"""When a reminder is due: Dapr's registration body, and the tick after a tick."""

import math
import re
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel, Field, ValidationError
from pydantic_core import to_json

from agent_actors.errors import Invalid
from agent_actors.serializer import decode, fields

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "μs": 1e-6}
_PART = r"(\d+(?:\.\d+)?)(h|ms|m|us|µs|μs|s)"
_DURATION = re.compile(f"(?:{_PART})+")


@dataclass(frozen=True, slots=True)
class Schedule:
    """When it is due and may be due again, in seconds of wall time.

    Without a period it is due once. After `expires` it is due no more.
    """

    due: float
    period: float | None = None
    expires: float | None = None

    def next(self, now: float) -> "Schedule | None":
        """The first tick after now, in step with the last one: missed ticks are not made up for."""
        if self.period is None:
            return None
        steps = max(1, math.floor((now - self.due) / self.period) + 1)
        due = self.due + steps * self.period
        if self.expires is not None and due > self.expires:
            return None
        return replace(self, due=due)

    def early(self, now: float) -> "Schedule":
        """The same, due now."""
        return replace(self, due=now)


@dataclass(frozen=True, slots=True)
class Registration:
    """What an actor registered: when, and the JSON it gets back as it gave it."""

    schedule: Schedule
    data: bytes


class _Body(BaseModel):
    due_time: str | None = Field(None, alias="dueTime")
    period: str | None = None
    ttl: str | None = None
    data: Any = None


def parse(body: bytes, now: float) -> Registration:
    """A registration as the SDK sends it.

    A period of nothing is none: real Dapr 1.18 fires such a reminder in a hot loop (B22).

    Raises:
        Invalid: It has another form, or a `ttl` but no period.
    """
    try:
        asked = decode(body, _Body)
    except ValidationError as error:
        raise Invalid(f"The reminder is malformed: {fields(error)}") from None
    due, period = now + _seconds(asked.due_time), _seconds(asked.period) or None
    expires = due + _seconds(asked.ttl) if asked.ttl else None  # From the first due time, as Dapr.
    if expires is not None and period is None:
        raise Invalid("A reminder must have a period to have a ttl.")
    return Registration(Schedule(due, period, expires), to_json(asked.data))


def _seconds(duration: str | None) -> float:
    if not duration:
        return 0.0
    if not _DURATION.fullmatch(duration):
        raise Invalid(f"{duration!r} is not a duration such as '0h0m30s0ms0μs'.")
    return sum(float(number) * _UNITS[unit] for number, unit in re.findall(_PART, duration))
