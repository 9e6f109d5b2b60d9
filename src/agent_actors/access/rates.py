"""How often one caller may ask: so many requests at once, and again as time passes.

Counted in this process, so a service of three replicas lets through three times as many.
"""

import re
from collections import OrderedDict
from dataclasses import dataclass

from agent_actors.clock import Clock
from agent_actors.errors import StartupError

MOST = 65_536
"""Callers that are kept in mind, some 10 MB; who was away longest is forgotten first."""
_SECONDS = {"second": 1.0, "minute": 60.0, "hour": 3_600.0, "day": 86_400.0}
_FORM = re.compile(r"([1-9]\d{0,5})/(second|minute|hour|day)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Rate:
    """So many requests in so many seconds."""

    requests: int
    seconds: float

    @classmethod
    def read(cls, text: str) -> "Rate":
        """The rate of a setting.

        Raises:
            StartupError: It has another form.
        """
        form = _FORM.fullmatch(text.strip())
        if form is None:
            raise StartupError(
                "AGENT_ACTORS_RATE_LIMIT is a number per second, minute, hour or day: `60/minute`."
            )
        return cls(int(form[1]), _SECONDS[form[2]])


class RateLimiter:
    """Counts the requests of callers, in memory that is bounded whatever their number.

    Of each caller one time is kept: when all that it was let have will have come back (the generic
    cell rate algorithm). A caller that was at rest may ask for the whole rate at once.

    Args:
        rate: What each caller may have.
        clock: The time.
        most: Callers that are kept in mind.
    """

    def __init__(self, rate: Rate, clock: Clock, most: int = MOST) -> None:
        self._each = rate.seconds / rate.requests
        self._burst = rate.seconds - self._each
        self._clock = clock
        self._most = most
        self._whole_at: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._whole_at)

    def wait(self, who: str) -> float:
        """Seconds until a caller may ask; 0 where it may now, which is then counted."""
        now = self._clock.monotonic()
        self._forget(now)
        whole_at = max(self._whole_at.get(who, now), now)
        too_early = whole_at - now - self._burst
        allowed = too_early <= 1e-9  # Sums of fractions are not exact.
        self._whole_at[who] = whole_at + self._each if allowed else whole_at
        self._whole_at.move_to_end(who)
        return 0.0 if allowed else too_early

    def _forget(self, now: float) -> None:
        """Two at most of those who have everything back: more than one comes with a request."""
        for _ in range(2):
            oldest = next(iter(self._whole_at), None)
            if oldest is None:
                return
            if self._whole_at[oldest] > now and len(self._whole_at) < self._most:
                return
            del self._whole_at[oldest]
