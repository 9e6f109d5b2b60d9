"""How late the event loop is: the first number to look at where everything is slow."""

import asyncio

from agent_actors.observability.counters import Counters

PERIOD = 1.0
"""Seconds between two looks."""


class LoopLag:
    """Asks the loop to be called back, and counts how much later it does.

    It asks the loop's own clock, since that is what is measured.

    Args:
        counters: What it counts in.
    """

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._next: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begins to look."""
        self._look_at(asyncio.get_running_loop())

    def stop(self) -> None:
        """Looks no longer. Idempotent."""
        if self._next is not None:
            self._next.cancel()

    def _look_at(self, loop: asyncio.AbstractEventLoop) -> None:
        due = loop.time() + PERIOD
        self._next = loop.call_at(due, self._looked, loop, due)

    def _looked(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        self._counters.loop_lagged(loop.time() - due)
        self._look_at(loop)
