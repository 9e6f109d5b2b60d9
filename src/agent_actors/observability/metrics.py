"""Serves the counters at `/metrics`, with gauges and the library's numbers of the process.

`docs/observability.md` lists every name and label; a test keeps the page and the code in step.
"""

from collections.abc import Mapping

from prometheus_client import Gauge, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from agent_actors.observability.counters import PREFIX, Counters


class Metrics:
    """All metrics of one app; `info` are the labels of `agent_actors_info`."""

    def __init__(self, counters: Counters, gauges: Collector, info: Mapping[str, str]) -> None:
        self._registry = registry = counters.registry
        registry.register(gauges)
        Gauge(f"{PREFIX}info", "Always 1.", list(info), registry=registry).labels(**info).set(1)
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """The metrics in the format that an `Accept` header asks for, and its content type."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type
