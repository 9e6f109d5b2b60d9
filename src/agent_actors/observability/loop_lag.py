"""How late the event loop runs its callbacks: the first number to check when everything is slow."""

import asyncio

from agent_actors.observability.counters import Counters

PERIOD = 1.0
"""Seconds between two measurements."""


class LoopLag:
    """Schedules a callback every second and counts how late it runs, by the loop's own clock."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Starts to measure the running loop."""
        self._schedule(asyncio.get_running_loop())

    def stop(self) -> None:
        """Stops measuring. Idempotent."""
        if self._timer is not None:
            self._timer.cancel()

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        due = loop.time() + PERIOD
        self._timer = loop.call_at(due, self._measure, loop, due)

    def _measure(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        self._counters.loop_lagged(loop.time() - due)
        self._schedule(loop)
