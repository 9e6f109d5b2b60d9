"""What becomes of the turns of one conversation, for the counters of the process."""

from collections.abc import Iterable

from agent_actors.observability.counters import Counters, TurnEnd, TurnKind
from agent_actors.protocol.messages import Failure, Outcome, Turn

_ENDS: dict[int, TurnEnd] = {502: "model_failed", 504: "model_timed_out", 422: "guardrail"}


class TurnCounters:
    """Counts, and remembers for that when the turns were taken that have not ended.

    Args:
        counters: The process's.
    """

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._last: tuple[str, float] = "", 0.0
        self._parked: dict[str, float] = {}

    def taken(self, turn: Turn) -> None:
        """A message has come that is new."""
        self._last = turn.turn_id, self._counters.monotonic()

    def parked(self, turn: Turn) -> None:
        """It is in the queue now."""
        self._counters.turn_parked()
        turn_id, at = self._last
        self._parked[turn.turn_id] = at if turn_id == turn.turn_id else self._counters.monotonic()

    def refused(self, turn: Turn) -> None:
        """The queue has no room for it."""
        self._counters.turn_ended(_kind(turn), "busy")

    def ended(self, turn: Turn, outcome: Outcome, *, adopted: bool = False) -> None:
        """It was committed, or its failure recorded, or it failed and nothing was saved.

        How long one took that was taken by another process, or has ended elsewhere, is not known.
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
