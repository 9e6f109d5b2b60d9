"""What `/metrics` shows: the counters, and what is looked at when it is asked for.

The names and labels are those of `docs/observability.md`; a test keeps the two in step.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from agent_actors.observability.counters import Counters, Distribution, Key

_PREFIX = "agent_actors_"


@dataclass(frozen=True, slots=True)
class Gauges:
    """What there is at a moment, in this process.

    `active` is how many actors of each type; `waiting` are the messages behind those `parked`.
    """

    active: Mapping[str, int]
    waiting: int
    parked: int
    calls: int
    backlog: int


class Metrics(Collector):
    """The numbers of one process, as Prometheus reads them.

    Args:
        counters: What was counted.
        look: What there is now; called whenever it is asked for.
        info: What this process is.
    """

    def __init__(
        self, counters: Counters, look: Callable[[], Gauges], info: Mapping[str, str]
    ) -> None:
        self._counters = counters
        self._look = look
        self._info = info
        # Its own, not the library's: a process of tests makes many apps.
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    def shown(self, accept: str) -> tuple[bytes, str]:
        """The numbers in the form that a caller accepts, and its content type."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type

    def collect(self) -> Iterator[Metric]:
        """Our own metrics; those of the process are the library's."""
        yield from self._turns()
        yield from self._model()
        yield from self._events()
        yield from self._process()
        yield from self._now(self._look())

    def _turns(self) -> Iterator[Metric]:
        counters = self._counters
        yield _counter("turns", "Turns that ended.", ("kind", "outcome"), counters.turns)
        yield _counter("turns_parked", "Turns that went on without caller.", (), counters.parked)
        yield _histogram("turn_seconds", "From taken to saved.", "path", counters.turn_seconds)
        labels = ("type", "method", "result")
        yield _counter("actor_turns", "Turns of actors.", labels, counters.actor_turns)

    def _model(self) -> Iterator[Metric]:
        counters = self._counters
        yield _counter(
            "model_calls", "Calls for turns.", ("model", "outcome"), counters.model_calls
        )
        yield _histogram("model_seconds", "How long they took.", "model", counters.model_seconds)
        yield _counter("tokens", "Tokens of the answers.", ("model", "direction"), counters.tokens)
        yield _counter("summaries", "Summaries.", ("kind", "result"), counters.summaries)

    def _events(self) -> Iterator[Metric]:
        counters = self._counters
        yield _counter("events", "Deliveries of events.", ("topic", "result"), counters.events)
        yield _counter(
            "event_redeliveries", "Those asked for before.", ("topic",), counters.redeliveries
        )
        yield _histogram(
            "event_lag_seconds", "From commit to memory.", "", {"": counters.event_lag}
        )
        yield _counter("dead_letters", "What was given up.", ("topic",), counters.letters)
        yield _counter("sms", "SMS by what became of them.", ("result",), counters.sms)

    def _process(self) -> Iterator[Metric]:
        counters = self._counters
        yield _histogram("call_seconds", "Calls.", "operation", counters.call_seconds)
        yield _counter(
            "call_failures", "Those that failed.", ("operation",), counters.call_failures
        )
        yield _histogram("loop_lag_seconds", "How late the loop was.", "", {"": counters.loop_lag})
        info = GaugeMetricFamily(f"{_PREFIX}info", "What this is.", labels=list(self._info))
        info.add_metric(list(self._info.values()), 1)
        yield info

    @staticmethod
    def _now(look: Gauges) -> Iterator[Metric]:
        active = GaugeMetricFamily(f"{_PREFIX}active_actors", "Actors in memory.", labels=["type"])
        for actor_type, number in look.active.items():
            active.add_metric([actor_type], number)
        yield active
        yield _gauge("queue_length", "Messages behind another one.", look.waiting)
        yield _gauge("parked_turns", "Parked turns that run.", look.parked)
        yield _gauge("model_calls_running", "Calls that have not ended.", look.calls)
        yield _gauge("feed_backlog", "Events that wait for consumers.", look.backlog)


def _counter(name: str, what: str, labels: Key, counts: Counter[Key]) -> Metric:
    family = CounterMetricFamily(_PREFIX + name, what, labels=labels)
    for key, number in counts.items():
        family.add_metric(key, number)
    return family


def _gauge(name: str, what: str, value: float) -> Metric:
    return GaugeMetricFamily(_PREFIX + name, what, value=value)


def _histogram(
    name: str, what: str, label: str, distributions: Mapping[str, Distribution]
) -> Metric:
    family = HistogramMetricFamily(_PREFIX + name, what, labels=[label] if label else [])
    for value, distribution in distributions.items():
        buckets, total = [], 0
        names = [*map(str, distribution.bounds), "+Inf"]
        for bound, count in zip(names, distribution.counts, strict=True):
            total += count
            buckets.append((bound, total))
        family.add_metric([value] if label else [], buckets, distribution.sum)
    return family
