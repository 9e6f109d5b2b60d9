"""Counts the turns of one conversation, and how long they take; logs how each one ended."""

import logging
from collections.abc import Iterable

from agent_actors.observability.counters import Counters, TurnEnd, TurnKind, TurnPath
from agent_actors.protocol.messages import Failure, Outcome, Turn

log = logging.getLogger(__name__)

_ENDS: dict[int, TurnEnd] = {502: "model_failed", 504: "model_timed_out", 422: "guardrail"}


class TurnCounters:
    """Reports a conversation's turns to the counters of the process, and to its log.

    A turn is timed from `received` to `ended` if both happen in one activation.
    """

    def __init__(self, conversation: str, counters: Counters) -> None:
        self._conversation = conversation
        self._counters = counters
        self._last: tuple[str, float] = "", 0.0
        self._parked: dict[str, float] = {}

    def received(self, turn: Turn) -> None:
        """A new turn has come."""
        self._last = turn.turn_id, self._counters.monotonic()

    def parked(self, turn: Turn) -> None:
        """The turn was saved in the queue."""
        self._counters.turn_parked()
        turn_id, at = self._last
        self._parked[turn.turn_id] = at if turn_id == turn.turn_id else self._counters.monotonic()

    def refused(self, turn: Turn) -> None:
        """The queue was full."""
        self._counters.turn_ended(_kind(turn), "busy")

    def ended(self, turn: Turn, outcome: Outcome, *, adopted: bool = False) -> None:
        """The turn was committed, or its failure was recorded or returned.

        A turn that began elsewhere is counted but not timed.
        """
        end: TurnEnd = "done"
        if isinstance(outcome, Failure):
            end = _ENDS.get(outcome.error.status, "failed")
        self._counters.turn_ended("adopted" if adopted else _kind(turn), end)
        took = self._took(turn)
        where = "" if turn.user == self._conversation else f" in {self._conversation}"
        after = "" if took is None else f" after {took:.2f} s"
        named = turn.user, where, turn.turn_id
        if isinstance(outcome, Failure):
            log.warning("%s%s: turn %s failed%s: %s", *named, after, outcome.error.title)
        else:
            log.info("%s%s: turn %s is done%s", *named, after)

    def _took(self, turn: Turn) -> float | None:
        """Seconds from the turn's beginning, which are counted; None if it began elsewhere."""
        at = self._parked.pop(turn.turn_id, None)
        path: TurnPath = "direct" if at is None else "parked"
        if at is None:
            if self._last[0] != turn.turn_id:
                return None
            at = self._last[1]
        took = self._counters.monotonic() - at
        self._counters.turn_took(path, took)
        return took

    def cancelled(self, turns: Iterable[Turn]) -> None:
        """The queue was cleared."""
        for turn in turns:
            self._counters.turn_ended(_kind(turn), "cancelled")
        self._parked.clear()


def _kind(turn: Turn) -> TurnKind:
    return "schedule" if turn.schedule else "message"
