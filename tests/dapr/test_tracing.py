"""The sidecar's own spans, where it makes any: between ours, in the same trace."""

from pathlib import Path

import yaml

from tests.dapr.engine import CONFIGURATION, Engine
from tests.e2e.collector import Collector, Span, collector
from tests.e2e.conftest import SETTINGS
from tests.e2e.dapr import running_on_dapr
from tests.e2e.service import eventually
from tests.e2e.test_traces import A_TURN, is_whole

__all__ = ["collector"]

CALL = "CallActor/ChatAgent/ProcessMessage"
"""A span of the sidecar."""


def sampling(folder: Path, collector: Collector) -> Path:
    """The shipped configuration, with a sidecar that traces everything it does."""
    given = yaml.safe_load(CONFIGURATION.read_text())
    address = collector.url.removeprefix("http://")
    otel = {"endpointAddress": address, "isSecure": False, "protocol": "http"}
    given["spec"]["tracing"] = {"samplingRate": "1", "otel": otel}
    path = folder / "sampling.yaml"
    path.write_text(yaml.safe_dump(given))
    return path


async def test_the_sidecars_spans_are_in_the_trace(
    engine: Engine, collector: Collector, tmp_path: Path
):
    """A trace of app and sidecar is one, and whole: its calls are between those of the actors."""
    settings = {**SETTINGS, "config": sampling(tmp_path, collector)}

    def trace() -> list[Span]:
        spans = collector.spans
        roots = {span.trace for span in spans if span.name == "POST /chat/{actor_id}"}
        return [span for span in spans if span.trace in roots]

    def whole() -> bool:
        names = {span.name for span in trace()}
        return A_TURN | {CALL} <= names and is_whole(trace())

    async with running_on_dapr(engine, tmp_path, **settings) as service:
        await service.reply("ada", "Hello")
        await eventually(whole, "every span has its parent in the one trace")

    assert {span.service for span in trace()} == {"agent-actors", "agents"}
