"""Prometheus counters and histograms of what happens in this process; `metrics` serves them.

A turn counts about twenty times, so each series is bound to its labels once. Every label has a
small, fixed set of values (`docs/observability.md`): no ids, no text that people wrote.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from itertools import product
from typing import Literal, TypeVar, get_args

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.metrics_core import Metric

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

PREFIX = "agent_actors_"
OTHER = "other"
UNKNOWN = "unknown"
TOPICS = ("user-chat", "conversations", "messages", "kafka-binding")
LETTERS = (*TOPICS, "sms")
MODELS = 20
"""Models that are counted by name; an agent may use any number of them."""
NAME = 64
"""Longest model name in a label, in characters."""

QUICK = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Buckets for work without a model: from half a millisecond to the call time."""
SLOW = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
        60.0, 120.0)  # fmt: skip
"""Buckets for work that may wait for a model: from a millisecond to the model time."""

M = TypeVar("M", bound=MetricWrapperBase)


class Registry(CollectorRegistry):
    """A registry without `_created` series.

    The library can switch them off only for the whole process, which an application that embeds
    this service may not want.
    """

    def collect(self) -> Iterable[Metric]:
        """Every metric, each without its creation times."""
        for metric in super().collect():
            metric.samples = [each for each in metric.samples if not each.name.endswith("_created")]
            yield metric


class Series(dict[tuple[str, ...], M]):
    """The series of a metric, by the values of their labels; looking a new one up creates it.

    Every combination of the known `values` starts at zero, because `rate()` misses the first step
    of a series that starts at 1.
    """

    def __init__(self, metric: M, values: Iterable[Sequence[str]]) -> None:
        self._metric = metric
        super().__init__({key: metric.labels(*key) if key else metric for key in product(*values)})

    def __missing__(self, key: tuple[str, ...]) -> M:
        series = self[key] = self._metric.labels(*key)
        return series


class Timing:
    """Measures a block; a block that raises anything, also a cancellation, counts as failed."""

    __slots__ = ("_began", "_counters", "_operation")

    def __init__(self, counters: "Counters", operation: Operation) -> None:
        self._counters = counters
        self._operation = operation

    def __enter__(self) -> None:
        self._began = self._counters.monotonic()

    def __exit__(self, error: object, *_: object) -> None:
        counters, key = self._counters, (self._operation,)
        counters.call_seconds[key].observe(counters.monotonic() - self._began)
        if error is not None:
            counters.call_failures[key].inc()


class Counters:
    """The counters of one app; a process of tests has several apps."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.monotonic = monotonic
        self.registry = registry = Registry()
        self._models: set[str] = set()

        def counter(name: str, what: str, **labels: Sequence[str]) -> Series[Counter]:
            metric = Counter(PREFIX + name, what, list(labels), registry=registry)
            return Series(metric, labels.values())

        def histogram(
            name: str, what: str, buckets: Sequence[float], **labels: Sequence[str]
        ) -> Series[Histogram]:
            metric = Histogram(
                PREFIX + name, what, list(labels), registry=registry, buckets=buckets
            )
            return Series(metric, labels.values())

        kinds, ends, paths = get_args(TurnKind), get_args(TurnEnd), get_args(TurnPath)
        self._turns = counter("turns", "Turns that ended.", kind=kinds, outcome=ends)
        self._parked = counter("turns_parked", "Turns parked: accepted, to end without a caller.")
        self._turn_seconds = histogram("turn_seconds", "From taken to saved.", SLOW, path=paths)
        self._actor_turns = counter(
            "actor_turns", "Calls of actors.", type=(), method=(), result=()
        )

        self._model_calls = counter("model_calls", "Model calls for turns.", model=(), outcome=())
        self._model_seconds = histogram("model_seconds", "Time of a model call.", SLOW, model=())
        self._tokens = counter("tokens", "Tokens of model calls.", model=(), direction=())
        of, made = get_args(SummaryKind), get_args(SummaryEnd)
        self._summaries = counter("summaries", "Summaries by the model.", kind=of, result=made)

        results, sms = get_args(EventOutcome), get_args(SmsEnd)
        self._events = counter("events", "Event deliveries.", topic=TOPICS, result=results)
        self._redeliveries = counter("event_redeliveries", "Requested redeliveries.", topic=TOPICS)
        self._event_lag = histogram("event_lag_seconds", "From commit to memory.", SLOW)
        self._letters = counter("dead_letters", "Events and SMS given up.", topic=LETTERS)
        self._sms = counter("sms", "SMS by result.", result=sms)

        operations = get_args(Operation)
        self.call_seconds = histogram(
            "call_seconds", "Time of a call.", QUICK, operation=operations
        )
        self.call_failures = counter("call_failures", "Failed calls.", operation=operations)
        self._loop_lag = histogram("loop_lag_seconds", "Delay of the event loop.", QUICK)

    def turn_ended(self, kind: TurnKind, end: TurnEnd) -> None:
        """A turn of a conversation ended."""
        self._turns[kind, end].inc()

    def turn_parked(self) -> None:
        """A turn continues without its caller."""
        self._parked[()].inc()

    def turn_took(self, path: TurnPath, seconds: float) -> None:
        """A turn was saved this long after its conversation took it."""
        self._turn_seconds[(path,)].observe(seconds)

    def actor_turn_ended(self, actor_type: str, method: str, result: str) -> None:
        """A turn of an actor ended. Type and method are names from this code, so they are few."""
        self._actor_turns[actor_type, method, result].inc()

    def model_called(self, model: str, end: CallEnd, seconds: float) -> str:
        """A call of the model ended. Returns the name it is counted under."""
        name = model[:NAME] or UNKNOWN
        if name not in self._models and len(self._models) >= MODELS:
            name = OTHER
        self._models.add(name)
        self._model_calls[name, end].inc()
        self._model_seconds[(name,)].observe(seconds)
        return name

    def tokens_used(self, model: str, input_tokens: int, output_tokens: int) -> None:
        """The tokens of an answer; `model` is the name from `model_called`."""
        self._tokens[model, "input"].inc(max(input_tokens, 0))
        self._tokens[model, "output"].inc(max(output_tokens, 0))

    def summary_ended(self, kind: str, end: SummaryEnd) -> None:
        """The model was asked for a summary."""
        self._summaries[kind, end].inc()

    def event_taken(self, topic: str, result: EventOutcome) -> None:
        """An event was delivered."""
        self._events[_known(topic, TOPICS), result].inc()

    def event_redelivered(self, topic: str) -> None:
        """An event was delivered again because this process had asked for it."""
        self._redeliveries[(_known(topic, TOPICS),)].inc()

    def event_lagged(self, seconds: float) -> None:
        """Memory applied an event this long after the commit of its turn.

        The clocks of two machines may disagree, so a negative time counts as zero.
        """
        self._event_lag[()].observe(max(seconds, 0.0))

    def dead_letter_kept(self, topic: str) -> None:
        """An event or SMS was given up and kept as a dead letter."""
        self._letters[(_known(topic, LETTERS),)].inc()

    def sms_ended(self, end: str) -> None:
        """An SMS was sent, failed, or its result is unknown."""
        self._sms[(_known(end, get_args(SmsEnd)),)].inc()

    def timed(self, operation: Operation) -> Timing:
        """Measures a block that calls something outside this process's actors."""
        return Timing(self, operation)

    def loop_lagged(self, seconds: float) -> None:
        """The event loop ran a callback this late."""
        self._loop_lag[()].observe(max(seconds, 0.0))


def _known(value: str, known: Sequence[str]) -> str:
    return value if value in known else OTHER
