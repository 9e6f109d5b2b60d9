"""The drain time of a process that stops: one deadline for all running work."""

from agent_actors.clock import Clock
from agent_actors.turns.bell import TurnBell


class Drain:
    """The deadline of a stopping process's work: `drain` seconds from the first sign of a stop."""

    def __init__(self, clock: Clock, drain: float, bell: TurnBell) -> None:
        self.clock = clock
        self._drain = drain
        self._bell = bell
        self._deadline: float | None = None

    def begin(self) -> None:
        """Starts the drain time, when the process begins to stop. Idempotent."""
        if self._deadline is None:
            self._deadline = self.clock.monotonic() + self._drain
            self._bell.ring_all()  # Waiting callers see the deadline.

    @property
    def begun(self) -> bool:
        """Is the process stopping?"""
        return self._deadline is not None

    def left(self) -> float:
        """Seconds until all work must have ended; infinite before the stop begins."""
        if self._deadline is None:
            return float("inf")
        return max(0.0, self._deadline - self.clock.monotonic())
