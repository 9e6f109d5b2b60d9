"""Counts how the turns of one conversation end, and how long they take."""

from collections.abc import Iterable

from agent_actors.observability.counters import Counters, TurnEnd, TurnKind
from agent_actors.protocol.messages import Failure, Outcome, Turn

_ENDS: dict[int, TurnEnd] = {502: "model_failed", 504: "model_timed_out", 422: "guardrail"}


class TurnCounters:
    """Counts the turns of one activation and remembers when each running turn was taken.

    Args:
        counters: The app's counters.
    """

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._last: tuple[str, float] = "", 0.0
        self._parked: dict[str, float] = {}

    def taken(self, turn: Turn) -> None:
        """A new message was taken."""
        self._last = turn.turn_id, self._counters.monotonic()

    def parked(self, turn: Turn) -> None:
        """The turn was put in the queue."""
        self._counters.turn_parked()
        turn_id, at = self._last
        self._parked[turn.turn_id] = at if turn_id == turn.turn_id else self._counters.monotonic()

    def refused(self, turn: Turn) -> None:
        """The queue had no room for the turn."""
        self._counters.turn_ended(_kind(turn), "busy")

    def ended(self, turn: Turn, outcome: Outcome, *, adopted: bool = False) -> None:
        """The turn was committed, its failure was recorded, or it failed with nothing saved.

        A turn that another process took, or another service answered, is counted without a time.
        """
        self._counters.turn_ended("adopted" if adopted else _kind(turn), _end(outcome))
        at = self._parked.pop(turn.turn_id, None)
        if at is not None:
            self._counters.turn_took("parked", self._counters.monotonic() - at)
        elif self._last[0] == turn.turn_id:
            self._counters.turn_took("direct", self._counters.monotonic() - self._last[1])

    def cancelled(self, turns: Iterable[Turn]) -> None:
        """The queue was cleared."""
        for turn in turns:
            self._counters.turn_ended(_kind(turn), "cancelled")
        self._parked.clear()


def _kind(turn: Turn) -> TurnKind:
    return "schedule" if turn.schedule else "message"


def _end(outcome: Outcome) -> TurnEnd:
    if isinstance(outcome, Failure):
        return _ENDS.get(outcome.error.status, "failed")
    return "done"
