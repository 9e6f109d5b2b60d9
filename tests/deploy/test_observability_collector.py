"""A real collector takes our configuration, and what is sent to it arrives on the other side."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import grpc  # type: ignore[import-untyped]
import pytest
import yaml
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
from tests.deploy.observability_programs import (
    Program,
    laid_out,
    otelcol,
    programs,
    version,
)
from tests.e2e.service import eventually, running
from tools import observability_tools

__all__ = ["otelcol", "programs"]

DIRECTLY = [("grpc.enable_http_proxy", 0)]
PATIENCE = 30.0
A_TURN = {"POST /chat/{actor_id}", "ChatAgent.process_message", "process user-chat"}


class Jaeger(TraceServiceServicer):
    """Takes spans by gRPC, as Jaeger does, on loopback until the block ends."""

    def __init__(self) -> None:
        self.port = free_port()
        self.requests: list[ExportTraceServiceRequest] = []
        self._server = grpc.server(ThreadPoolExecutor(2))
        add_TraceServiceServicer_to_server(self, self._server)

    def __enter__(self) -> "Jaeger":
        self._server.add_insecure_port(f"{LOOPBACK}:{self.port}")
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(grace=0).wait(PATIENCE)

    def Export(  # noqa: N802 - As the protocol calls it.
        self, request: ExportTraceServiceRequest, context: Any
    ) -> ExportTraceServiceResponse:
        self.requests.append(request)
        return ExportTraceServiceResponse()

    def spans(self, service: str) -> set[str]:
        """The names of the spans that came of a service."""
        return {
            span.name
            for request in list(self.requests)
            for sent in request.resource_spans
            for said in sent.resource.attributes
            if (said.key, said.value.string_value) == ("service.name", service)
            for scope in sent.scope_spans
            for span in scope.spans
        }


class Collector:
    """The program with our configuration, but for where it listens and whom it tells.

    Args:
        program: Where it is.
        folder: For its configuration and its log.
        jaeger: The port of the other side.
    """

    def __init__(self, program: Path, folder: Path, jaeger: int) -> None:
        self.grpc, self.http = free_port(), free_port()
        receives = "receivers::otlp::protocols"
        instead = {
            f"{receives}::grpc::endpoint": f"{LOOPBACK}:{self.grpc}",
            f"{receives}::http::endpoint": f"{LOOPBACK}:{self.http}",
            "exporters::otlp_grpc/jaeger::endpoint": f"{LOOPBACK}:{jaeger}",
            "service::telemetry::metrics::level": "none",  # It would listen at a port of its own.
        }
        given = [f"--config=yaml:{key}: {instead[key]}" for key in instead]
        self.child = Child(
            [program, *laid_out("collector.yaml", "otel-collector", folder), *given],
            log=folder / "otelcol.log",
        )

    @contextmanager
    def running(self) -> Iterator["Collector"]:
        """It listens while the block lasts."""
        self.child.start()
        try:
            self.child.wait_until(lambda: accepts(self.grpc) and accepts(self.http), PATIENCE)
            yield self
        finally:
            self.child.terminate()


@pytest.fixture
def jaeger() -> Iterator[Jaeger]:
    with Jaeger() as jaeger:
        yield jaeger


@pytest.fixture
def collector(otelcol: Program, tmp_path: Path, jaeger: Jaeger) -> Iterator[Collector]:
    with Collector(otelcol.path, tmp_path, jaeger.port).running() as collector:
        yield collector


def test_the_collector_is_of_the_version_that_runs():
    """Another image takes another collector to judge its configuration."""
    assert version("collector.yaml") == observability_tools.collector_version()


def test_the_collector_takes_its_configuration(otelcol: Program, tmp_path: Path):
    """As the pod starts it."""
    answer = otelcol("validate", *laid_out("collector.yaml", "otel-collector", tmp_path))

    assert answer.agrees, answer.text


def forget(part: str) -> Callable[[Any], None]:
    """Declares no receivers, processors or exporters, which the pipeline still names."""

    def change(configuration: Any) -> None:
        configuration[part] = {}

    return change


def misspell(configuration: Any) -> None:
    exporter = configuration["exporters"]["otlp_grpc/jaeger"]
    exporter["endpiont"] = exporter.pop("endpoint")


def take_another(configuration: Any) -> None:
    configuration["processors"]["tail_samplin"] = {}


@pytest.mark.parametrize(
    "change",
    [forget("receivers"), forget("processors"), forget("exporters"), misspell, take_another],
    ids=["no receiver", "no processor", "no exporter", "a misspelt key", "an unknown processor"],
)
def test_the_collector_refuses_a_slip(
    otelcol: Program, tmp_path: Path, change: Callable[[Any], None]
):
    """Of a pipeline whose parts are not declared, a key, or a component."""
    (argument,) = laid_out("collector.yaml", "otel-collector", tmp_path)
    file = Path(argument.removeprefix("--config="))
    configuration = yaml.safe_load(file.read_text(encoding="utf-8"))
    changed = deepcopy(configuration)
    change(changed)
    assert changed != configuration
    file.write_text(yaml.safe_dump(changed), encoding="utf-8")

    assert not otelcol("validate", argument).agrees


async def test_spans_of_the_service_arrive(
    collector: Collector, jaeger: Jaeger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A turn's spans come to Jaeger under the name of the service, by HTTP and then by gRPC."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://{LOOPBACK}:{collector.http}")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "agent-actors")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
    async with running(tmp_path / "service", model="scripted") as service:
        await service.reply("ada", "hello")
        await eventually(lambda: arrived(jaeger, "agent-actors", A_TURN), "the turn is at Jaeger's")


async def test_spans_of_a_sidecar_arrive(collector: Collector, jaeger: Jaeger):
    """Those that come by gRPC, as Dapr's do, too."""
    request = ExportTraceServiceRequest()
    sent = request.resource_spans.add()
    name = sent.resource.attributes.add(key="service.name")
    name.value.string_value = "the sidecar"
    span = sent.scope_spans.add().spans.add(name="CallActor")
    span.trace_id, span.span_id = bytes(range(16)), bytes(range(8))
    with grpc.insecure_channel(f"{LOOPBACK}:{collector.grpc}", DIRECTLY) as channel:
        TraceServiceStub(channel).Export(request, timeout=PATIENCE)

    await eventually(lambda: arrived(jaeger, "the sidecar", {"CallActor"}), "the span is there")


async def arrived(jaeger: Jaeger, service: str, names: set[str]) -> bool:
    return names <= jaeger.spans(service)
