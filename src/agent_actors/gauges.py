"""What metrics look at when they are asked for, so that no turn counts it."""

from collections import Counter
from importlib.metadata import PackageNotFoundError, version

from agent_actors.model import Model
from agent_actors.model.agents_sdk import AgentsModel
from agent_actors.model.calls import ModelCalls
from agent_actors.model.configured import ConfiguredModel
from agent_actors.model.echo import EchoModel
from agent_actors.model.scripted import ScriptedModel
from agent_actors.observability.counters import OTHER, UNKNOWN
from agent_actors.observability.metrics import Gauges
from agent_actors.runtime import Runtime
from agent_actors.turns.activations import Activations
from agent_actors.users.feed import Feed

_MODELS = {
    EchoModel: "echo",
    ScriptedModel: "scripted",
    ConfiguredModel: "agents-sdk",
    AgentsModel: "agents-sdk",
}
_RUNTIMES = {"EmbeddedRuntime": "embedded", "DaprRuntime": "dapr"}


class ProcessGauges:
    """Looks at the actors, the model's calls and the feed of a process.

    Args:
        activations: The actors.
        calls: The model's calls.
        feed: What consumers are to be told.
    """

    def __init__(self, activations: Activations, calls: ModelCalls, feed: Feed) -> None:
        self._activations = activations
        self._calls = calls
        self._feed = feed

    def look(self) -> Gauges:
        """What there is now. It goes once through the active actors."""
        active: Counter[str] = Counter()
        queued = parked = 0
        for actor in self._activations.active:
            active[actor.key[0]] += 1
            queued += actor.waiting
            parked += bool(actor.waiting)
        return Gauges(active, queued - parked, parked, self._calls.running, self._feed.waiting)


def info(runtime: Runtime, model: Model) -> dict[str, str]:
    """What this process is, in words of a small set."""
    return {
        "version": _version(),
        "runtime": _RUNTIMES.get(type(runtime).__name__, OTHER),
        "model": _MODELS.get(type(model), OTHER),
    }


def _version() -> str:
    try:
        return version("agent-actors")
    except PackageNotFoundError:
        return UNKNOWN  # Run from its sources, without an installation.
