"""The drain time of a process that stops: one deadline for all that still runs."""

from agent_actors.clock import Clock
from agent_actors.turns.bell import TurnBell


class Drain:
    """When the process must have ended its work.

    Args:
        clock: The time.
        drain: Seconds from the first sign of a stop.
        settled: Wakes callers who wait, so that they hear of the deadline.
    """

    def __init__(self, clock: Clock, drain: float, bell: TurnBell) -> None:
        self.clock = clock
        self._drain = drain
        self._bell = bell
        self._deadline: float | None = None

    def begin(self) -> None:
        """The process stops: from now on `left` runs down. Idempotent."""
        if self._deadline is None:
            self._deadline = self.clock.monotonic() + self._drain
            self._bell.ring_all()

    @property
    def begun(self) -> bool:
        """Does the process stop?"""
        return self._deadline is not None

    def left(self) -> float:
        """Seconds until all must have ended; infinite before the stop begins."""
        if self._deadline is None:
            return float("inf")
        return max(0.0, self._deadline - self.clock.monotonic())
