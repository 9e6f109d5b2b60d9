"""The gauges of an app: read when `/metrics` is scraped, so that they cost a turn nothing."""

from collections import Counter
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from agent_actors.model import Model
from agent_actors.model.agents_sdk import AgentsModel
from agent_actors.model.calls import ModelCalls
from agent_actors.model.echo import EchoModel
from agent_actors.model.scripted import ScriptedModel
from agent_actors.model.selection import DeferredModel
from agent_actors.observability.counters import OTHER, PREFIX, UNKNOWN
from agent_actors.runtime import Runtime
from agent_actors.turns.activations import Activations
from agent_actors.users.feed import EventFeed

_MODELS = {
    EchoModel: "echo",
    ScriptedModel: "scripted",
    DeferredModel: "agents-sdk",
    AgentsModel: "agents-sdk",
}
_RUNTIMES = {"EmbeddedRuntime": "embedded", "DaprRuntime": "dapr"}


class ProcessGauges(Collector):
    """The active actors, their queues, the running model calls and the feed's backlog.

    Args:
        activations: The actors in memory.
        calls: The model's calls.
        feed: The events that wait for their consumers.
    """

    def __init__(self, activations: Activations, calls: ModelCalls, feed: EventFeed) -> None:
        self._activations = activations
        self._calls = calls
        self._feed = feed

    def collect(self) -> Iterator[Metric]:
        """Goes through the active actors once."""
        active: Counter[str] = Counter()
        waiting = parked = 0
        for actor in self._activations.active:
            active[actor.ref.type] += 1
            waiting += actor.waiting
            parked += bool(actor.waiting)
        actors = GaugeMetricFamily(f"{PREFIX}active_actors", "Actors in memory.", labels=["type"])
        for actor_type, number in active.items():
            actors.add_metric([actor_type], number)
        yield actors
        for name, what, value in (
            ("queue_length", "Messages queued behind another one.", waiting - parked),
            ("parked_turns", "Parked turns that run.", parked),
            ("model_calls_running", "Model calls that run.", self._calls.running),
            ("feed_backlog", "Events that wait for their consumers.", self._feed.waiting),
        ):
            yield GaugeMetricFamily(PREFIX + name, what, value)


def info(runtime: Runtime, model: Model) -> dict[str, str]:
    """The labels of `agent_actors_info`; each has a small set of values."""
    try:
        release = version("agent-actors")
    except PackageNotFoundError:
        release = UNKNOWN  # The sources run without an installation.
    return {
        "version": release,
        "runtime": _RUNTIMES.get(type(runtime).__name__, OTHER),
        "model": _MODELS.get(type(model), OTHER),
    }
