"""The rate limit of a caller, counted in this process: three replicas allow three times as many."""

import re
from collections import OrderedDict
from dataclasses import dataclass

from agent_actors.clock import Clock
from agent_actors.errors import StartupError

MOST = 65_536
"""Callers that are remembered (about 10 MB); the least recent one is forgotten first."""
_SECONDS = {"second": 1.0, "minute": 60.0, "hour": 3_600.0, "day": 86_400.0}
_FORM = re.compile(r"([1-9]\d{0,5})/(second|minute|hour|day)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Rate:
    """A number of requests in a number of seconds."""

    requests: int
    seconds: float

    @classmethod
    def read(cls, text: str) -> "Rate":
        """Parses AGENT_ACTORS_RATE_LIMIT, such as `60/minute`; else raises `StartupError`."""
        form = _FORM.fullmatch(text.strip())
        if form is None:
            raise StartupError(
                "AGENT_ACTORS_RATE_LIMIT must be like `60/minute` (or second, hour, day)."
            )
        return cls(int(form[1]), _SECONDS[form[2]])


class RateLimiter:
    """Limits each caller to a rate, in bounded memory.

    GCRA (generic cell rate algorithm): for each caller, the time at which its full burst is
    available again. A burst is the number of requests of the rate. At most `most` callers are
    remembered.
    """

    def __init__(self, rate: Rate, clock: Clock, most: int = MOST) -> None:
        self._each = rate.seconds / rate.requests
        self._burst = rate.seconds - self._each
        self._clock = clock
        self._most = most
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._full_at)

    def wait(self, who: str) -> float:
        """Counts a request and returns 0; or the seconds to wait, if there is none left."""
        now = self._clock.monotonic()
        self._forget(now)
        full_at = max(self._full_at.get(who, now), now)
        too_early = full_at - now - self._burst
        allowed = too_early <= 1e-9  # Sums of fractions are not exact.
        self._full_at[who] = full_at + self._each if allowed else full_at
        self._full_at.move_to_end(who)
        return 0.0 if allowed else too_early

    def _forget(self, now: float) -> None:
        """Forgets up to two callers with a full burst: more than the one that a request can add."""
        for _ in range(2):
            oldest = next(iter(self._full_at), None)
            if oldest is None:
                return
            if self._full_at[oldest] > now and len(self._full_at) < self._most:
                return
            del self._full_at[oldest]
