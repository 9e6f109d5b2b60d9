"""What happens in this process, counted as it happens; `metrics` shows it.

Plain numbers, since a turn counts some twenty times: a client library's counters, with their locks
and labels, would cost it twenty microseconds. All of it runs in the thread of the event loop.
Every key is of a small, fixed set (`docs/observability.md`): no id, nothing that was said.
"""

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import product
from typing import Literal, get_args

TurnKind = Literal["message", "schedule", "adopted"]
TurnEnd = Literal[
    "done", "model_failed", "model_timed_out", "guardrail", "failed", "cancelled", "busy"
]
TurnPath = Literal["direct", "parked"]
CallEnd = Literal["done", "failed", "timed_out", "guardrail", "cut"]
EventOutcome = Literal["applied", "duplicate", "retry", "dropped"]
Operation = Literal["read", "save", "invoke", "publish", "sms"]
SummaryKind = Literal["user", "conversation"]
SummaryEnd = Literal["made", "failed"]
SmsEnd = Literal["sent", "failed", "unknown"]

Key = tuple[str, ...]
"""The values of a counter's labels."""

OTHER = "other"
UNKNOWN = "unknown"
TOPICS = ("user-chat", "conversations", "messages", "kafka-binding")
LETTERS = (*TOPICS, "sms")
MODELS = 20
"""Models that are counted apart; an agent may name as many as it likes."""
NAME = 64
"""Characters of a model's name."""

QUICK = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Bounds for what takes no model: from half a millisecond to the call time."""
SLOW = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
        60.0, 120.0)  # fmt: skip
"""Bounds for what may wait for a model: from a millisecond to the model time."""


class Distribution:
    """How many values there were up to each bound, and their sum; the last count has no bound."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def add(self, value: float) -> None:
        """One value more; one below zero is zero, for clocks of two machines may disagree."""
        value = max(value, 0.0)
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value


class Timing:
    """A block whose duration is counted; with any exception, also a cancellation, it has failed."""

    __slots__ = ("_began", "_counters", "_operation")

    def __init__(self, counters: "Counters", operation: Operation) -> None:
        self._counters = counters
        self._operation = operation

    def __enter__(self) -> None:
        self._began = self._counters.monotonic()

    def __exit__(self, error: object, *_: object) -> None:
        counters = self._counters
        counters.call_seconds[self._operation].add(counters.monotonic() - self._began)
        if error is not None:
            counters.call_failures[(self._operation,)] += 1


class Counters:
    """The numbers of one process.

    Args:
        monotonic: Seconds that never go back.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.monotonic = monotonic
        self.turns = _counts(get_args(TurnKind), get_args(TurnEnd))
        self.parked = _counts()
        self.turn_seconds = {path: Distribution(SLOW) for path in get_args(TurnPath)}
        self.actor_turns: Counter[Key] = Counter()
        self.model_calls: Counter[Key] = Counter()
        self.model_seconds: dict[str, Distribution] = {}
        self.tokens: Counter[Key] = Counter()
        self.summaries = _counts(get_args(SummaryKind), get_args(SummaryEnd))
        self.events = _counts(TOPICS, get_args(EventOutcome))
        self.redeliveries = _counts(TOPICS)
        self.event_lag = Distribution(SLOW)
        self.letters = _counts(LETTERS)
        self.sms = _counts(get_args(SmsEnd))
        self.call_seconds = {each: Distribution(QUICK) for each in get_args(Operation)}
        self.call_failures = _counts(get_args(Operation))
        self.loop_lag = Distribution(QUICK)

    def turn_ended(self, kind: TurnKind, end: TurnEnd) -> None:
        """A turn of a conversation has ended."""
        self.turns[kind, end] += 1

    def turn_parked(self) -> None:
        """A turn goes on without its caller."""
        self.parked[()] += 1

    def turn_took(self, path: TurnPath, seconds: float) -> None:
        """A turn was saved that long after it was taken."""
        self.turn_seconds[path].add(seconds)

    def acted(self, actor_type: str, method: str, result: str) -> None:
        """An actor's turn has ended. The names are those of our classes and their methods."""
        self.actor_turns[actor_type, method, result] += 1

    def model_called(self, model: str, end: CallEnd, seconds: float) -> str:
        """A call of the model has ended; the name that it is counted under."""
        name = model[:NAME] or UNKNOWN
        if name not in self.model_seconds:
            if len(self.model_seconds) >= MODELS:
                name = OTHER
            self.model_seconds.setdefault(name, Distribution(SLOW))
        self.model_calls[name, end] += 1
        self.model_seconds[name].add(seconds)
        return name

    def model_used(self, model: str, taken: int, given: int) -> None:
        """What an answer cost in tokens; of a model as `model_called` names it."""
        self.tokens[model, "input"] += max(taken, 0)
        self.tokens[model, "output"] += max(given, 0)

    def summed_up(self, kind: str, end: SummaryEnd) -> None:
        """A summary was made, or not."""
        self.summaries[kind, end] += 1

    def event_taken(self, topic: str, result: EventOutcome) -> None:
        """An event was delivered."""
        self.events[_known(topic, TOPICS), result] += 1

    def event_came_again(self, topic: str) -> None:
        """An event was delivered that this process had asked for again."""
        self.redeliveries[(_known(topic, TOPICS),)] += 1

    def event_lagged(self, seconds: float) -> None:
        """Memory has applied an event that long after its turn."""
        self.event_lag.add(seconds)

    def letter_kept(self, topic: str) -> None:
        """An event was given up."""
        self.letters[(_known(topic, LETTERS),)] += 1

    def sms_ended(self, end: str) -> None:
        """An SMS was sent, or not, or nobody knows."""
        self.sms[(_known(end, get_args(SmsEnd)),)] += 1

    def timed(self, operation: Operation) -> Timing:
        """A block that calls something outside of this process's actors."""
        return Timing(self, operation)

    def loop_lagged(self, seconds: float) -> None:
        """The event loop was that late."""
        self.loop_lag.add(seconds)


def _known(value: str, known: Sequence[str]) -> str:
    return value if value in known else OTHER


def _counts(*labels: Sequence[str]) -> Counter[Key]:
    """Every combination at zero: a rate over a series that begins with 1 misses that one."""
    return Counter(dict.fromkeys(product(*labels), 0))
