"""A collector of OpenTelemetry spans: takes OTLP by HTTP, as a real one does."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from agent_actors.engine.ports import free_port
from tests.serving import serving

ERROR = 2
"""The code of a failed span's status."""


@dataclass(frozen=True, slots=True)
class Span:
    """A span as it was sent."""

    trace: str
    id: str
    parent: str
    name: str
    service: str
    failed: bool
    attributes: dict[str, Any]
    links: tuple[str, ...]


class Collector:
    """What was sent to it."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.bodies: list[bytes] = []

    @property
    def spans(self) -> list[Span]:
        """All that came."""
        return [span for body in list(self.bodies) for span in _read(body)]


def _read(body: bytes) -> Iterator[Span]:
    request = ExportTraceServiceRequest.FromString(body)
    for resource in request.resource_spans:
        about = _attributes(resource.resource.attributes)
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield Span(
                    span.trace_id.hex(),
                    span.span_id.hex(),
                    span.parent_span_id.hex(),
                    span.name,
                    str(about["service.name"]),
                    span.status.code == ERROR,
                    _attributes(span.attributes),
                    tuple(link.trace_id.hex() for link in span.links),
                )


def _attributes(given: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in given}


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """Where the processes of a test send their spans: the service, and a sidecar that is told."""
    collector = Collector()

    def take(path: str, body: bytes) -> tuple[int, bytes]:
        collector.bodies.append(body)
        return 200, b""

    with serving(collector.port, take):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
        yield collector
