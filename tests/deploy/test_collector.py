"""A real collector accepts our configuration, and sends the spans that it receives to Jaeger."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc  # type: ignore[import-untyped]
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    TraceServiceStub,
    add_TraceServiceServicer_to_server,
)

from agent_actors.engine.child import Child
from agent_actors.engine.ports import LOOPBACK, accepts, free_port
from tests.deploy.observability import Program, laid_out, version
from tests.e2e.service import eventually, running
from tools import observability_tools

TIME = 30.0
TURN = {"POST /chat/{actor_id}", "ChatAgent.process_message", "process user-chat"}


def test_the_collector_is_of_the_version_of_its_image():
    """A newer image needs a newer collector to check its configuration."""
    assert version("collector.yaml") == observability_tools.collector_version()


def test_the_collector_accepts_its_configuration(otelcol: Program, tmp_path: Path):
    """It is started as the pod starts it."""
    accepted, text = otelcol("validate", *laid_out("collector.yaml", "otel-collector", tmp_path))

    assert accepted, text


class Jaeger(TraceServiceServicer):
    """Receives spans by gRPC, as Jaeger does."""

    def __init__(self) -> None:
        self.port = free_port()
        self.requests: list[ExportTraceServiceRequest] = []

    def Export(  # noqa: N802 - The name of the protocol.
        self, request: ExportTraceServiceRequest, context: Any
    ) -> ExportTraceServiceResponse:
        self.requests.append(request)
        return ExportTraceServiceResponse()

    def spans(self, service: str) -> set[str]:
        """The names of the spans that a service sent."""
        return {
            span.name
            for request in list(self.requests)
            for sent in request.resource_spans
            for attribute in sent.resource.attributes
            if (attribute.key, attribute.value.string_value) == ("service.name", service)
            for scope in sent.scope_spans
            for span in scope.spans
        }

    async def received(self, service: str, names: set[str]) -> None:
        """Waits until those spans of a service have arrived."""

        async def there() -> bool:
            return names <= self.spans(service)

        await eventually(there, f"the spans of {service} arrive")


@dataclass
class Collector:
    """A running collector with our configuration, and the Jaeger that it sends to."""

    grpc: int
    http: int
    jaeger: Jaeger


@pytest.fixture
def collector(otelcol: Program, tmp_path: Path) -> Iterator[Collector]:
    with listening(Jaeger()) as jaeger:
        collector = Collector(free_port(), free_port(), jaeger)
        protocols = "receivers::otlp::protocols"
        instead = {
            f"{protocols}::grpc::endpoint": f"{LOOPBACK}:{collector.grpc}",
            f"{protocols}::http::endpoint": f"{LOOPBACK}:{collector.http}",
            "exporters::otlp_grpc/jaeger::endpoint": f"{LOOPBACK}:{jaeger.port}",
            "service::telemetry::metrics::level": "none",  # They would need one more port.
        }
        options = [f"--config=yaml:{key}: {value}" for key, value in instead.items()]
        arguments = laid_out("collector.yaml", "otel-collector", tmp_path)
        child = Child([otelcol.path, *arguments, *options], log=tmp_path / "otelcol.log")
        child.start()
        try:
            child.wait_until(lambda: accepts(collector.grpc) and accepts(collector.http), TIME)
            yield collector
        finally:
            child.terminate()


@contextmanager
def listening(jaeger: Jaeger) -> Iterator[Jaeger]:
    server = grpc.server(ThreadPoolExecutor(2))
    add_TraceServiceServicer_to_server(jaeger, server)
    server.add_insecure_port(f"{LOOPBACK}:{jaeger.port}")
    server.start()
    try:
        yield jaeger
    finally:
        server.stop(grace=0).wait(TIME)


async def test_spans_of_the_service_arrive(
    collector: Collector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The spans of a turn reach Jaeger under the name of the service, by HTTP and then by gRPC."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://{LOOPBACK}:{collector.http}")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "agent-actors")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
    async with running(tmp_path / "service", model="scripted") as service:
        await service.reply("ada", "hello")
        await collector.jaeger.received("agent-actors", TURN)


async def test_spans_of_a_sidecar_arrive(collector: Collector):
    """Spans that come by gRPC, as Dapr sends them, reach Jaeger as well."""
    request = ExportTraceServiceRequest()
    sent = request.resource_spans.add()
    name = sent.resource.attributes.add(key="service.name")
    name.value.string_value = "the sidecar"
    span = sent.scope_spans.add().spans.add(name="CallActor")
    span.trace_id, span.span_id = bytes(range(16)), bytes(range(8))
    direct = [("grpc.enable_http_proxy", 0)]
    with grpc.insecure_channel(f"{LOOPBACK}:{collector.grpc}", direct) as channel:
        TraceServiceStub(channel).Export(request, timeout=TIME)

    await collector.jaeger.received("the sidecar", {"CallActor"})
