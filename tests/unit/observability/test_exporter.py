"""OpenTelemetry's standard variables decide where spans go."""

import logging

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider

from agent_actors.errors import StartupError
from agent_actors.observability import exporter, otel_sdk
from agent_actors.observability.exporter import Traces, make_provider

VARIABLE = "OTEL_EXPORTER_OTLP_ENDPOINT"


@pytest.fixture(autouse=True)
def _no_variable_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*exporter.ENDPOINTS, "OTEL_SDK_DISABLED", "OTEL_SERVICE_NAME"):
        monkeypatch.delenv(name, raising=False)


def test_tracing_is_off_by_default():
    """Without a collector there is no provider, and FastAPI traces nothing."""
    traces = Traces.of(None, "1")

    assert traces.provider is None
    assert traces.request_telemetry["tracing"] is False


def test_the_service_has_a_name(monkeypatch: pytest.MonkeyPatch):
    """The service's own, unless the standard variable sets another one."""
    monkeypatch.setenv(VARIABLE, "http://127.0.0.1:9")
    own = make_provider("1")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "other")
    other = make_provider("1")

    assert own is not None
    assert other is not None
    assert own.resource.attributes["service.name"] == "agent-actors"
    assert own.resource.attributes["service.version"] == "1"
    assert other.resource.attributes["service.name"] == "other"
    own.shutdown()
    other.shutdown()


def test_it_can_be_switched_off(monkeypatch: pytest.MonkeyPatch):
    """The standard variable wins over a collector's URL."""
    monkeypatch.setenv(VARIABLE, "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_SDK_DISABLED", "True")

    assert make_provider("1") is None


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch):
    """The start is refused and says what to install."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(exporter, "find_spec", lambda _: None)

    with pytest.raises(StartupError, match=r"TRACES_ENDPOINT is set.*pip install -e '\.\[otel\]'"):
        make_provider("1")


def test_probes_and_scrapes_are_not_traced():
    """They would bury the requests of people."""
    excluded = Traces().request_telemetry["exclude"]

    assert excluded is not None
    assert excluded({"path": "/readyz"})
    assert not excluded({"path": "/chat/ada"})


def test_a_message_is_logged_once(caplog: pytest.LogCaptureFixture):
    """An unreachable collector is not logged for every batch."""
    log = logging.getLogger("a test of tracing")
    log.addFilter(otel_sdk.OncePerMessage())
    for number in range(3):
        log.error("away: %s", number)
        log.error("other")

    assert [record.getMessage() for record in caplog.records] == ["away: 0", "other"]


def test_an_error_is_logged_by_its_type(caplog: pytest.LogCaptureFixture):
    """Its text has the collector's URL, and any key in it."""
    log = logging.getLogger("another test of tracing")
    log.addFilter(otel_sdk.OncePerMessage())
    log.error("away: %s", ConnectionError("http://collector/?key=secret"))

    assert [record.getMessage() for record in caplog.records] == ["away: ConnectionError"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((VARIABLE, each) for each in ("nonsense", "collector:4317", "http://", "ftp://a")),
        (VARIABLE, "http://a:b"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "-1"),
    ],
)
def test_an_invalid_variable_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str):
    """The start names it, or OpenTelemetry; later nobody would know why there are no traces."""
    monkeypatch.setenv(VARIABLE, "http://127.0.0.1:9")
    monkeypatch.setenv(name, value)

    with pytest.raises(StartupError, match=VARIABLE if name == VARIABLE else "OTEL"):
        make_provider("1")


def test_a_query_is_not_exported():
    """A careless client puts a token there."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(otel_sdk.QueryRedactor())
    span = provider.get_tracer("test").start_span("a", attributes={"url.query": "key=secret"})
    provider.shutdown()

    assert isinstance(span, ReadableSpan)
    assert dict(span.attributes or {}) == {"url.query": "REDACTED"}
