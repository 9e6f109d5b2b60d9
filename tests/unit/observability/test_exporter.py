"""Where spans go is said by OpenTelemetry's standard variables."""

import logging

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider

from agent_actors.errors import StartupError
from agent_actors.observability import exporter, otel_sdk
from agent_actors.observability.exporter import Traces, exporting

VARIABLE = "OTEL_EXPORTER_OTLP_ENDPOINT"


@pytest.fixture(autouse=True)
def _nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*exporter.ENDPOINTS, "OTEL_SDK_DISABLED", "OTEL_SERVICE_NAME"):
        monkeypatch.delenv(name, raising=False)


def test_nobody_listens_by_default():
    """Without a collector there is no provider, and FastAPI traces nothing."""
    traces = Traces.of(None, "1")

    assert traces.provider is None
    assert traces.of_requests["tracing"] is False


def test_the_service_has_a_name(monkeypatch: pytest.MonkeyPatch):
    """Its own, unless the standard variable says another one."""
    monkeypatch.setenv(VARIABLE, "http://127.0.0.1:9")
    own = exporting("1")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "other")
    other = exporting("1")

    assert own is not None
    assert other is not None
    assert own.resource.attributes["service.name"] == "agent-actors"
    assert own.resource.attributes["service.version"] == "1"
    assert other.resource.attributes["service.name"] == "other"
    own.shutdown()
    other.shutdown()


def test_it_can_be_switched_off(monkeypatch: pytest.MonkeyPatch):
    """By the standard variable, although a collector is named."""
    monkeypatch.setenv(VARIABLE, "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_SDK_DISABLED", "True")

    assert exporting("1") is None


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch):
    """The start is refused with what to install: traces that never come are no surprise later."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(exporter, "_installed", lambda: False)

    with pytest.raises(StartupError, match=r"TRACES_ENDPOINT is set.*pip install -e '\.\[otel\]'"):
        exporting("1")


def test_routes_that_are_asked_all_the_time_are_not_traced():
    """Probes and metrics would bury what people did."""
    excluded = Traces().of_requests["exclude"]

    assert excluded is not None
    assert excluded({"path": "/readyz"})
    assert not excluded({"path": "/chat/ada"})


def test_what_a_logger_says_is_said_once(caplog: pytest.LogCaptureFixture):
    """A collector that is away is no news at each batch."""
    log = logging.getLogger("a test of tracing")
    log.addFilter(otel_sdk.Once())
    for number in range(3):
        log.error("away: %s", number)
        log.error("other")

    assert [record.getMessage() for record in caplog.records] == ["away: 0", "other"]


def test_an_error_is_logged_by_its_kind(caplog: pytest.LogCaptureFixture):
    """Its text has the collector's address, and so a key that is in it."""
    log = logging.getLogger("another test of tracing")
    log.addFilter(otel_sdk.Once())
    log.error("away: %s", ConnectionError("http://collector/?key=secret"))

    assert [record.getMessage() for record in caplog.records] == ["away: ConnectionError"]


@pytest.mark.parametrize(
    "address", ["nonsense", "collector:4317", "http://", "ftp://a", "http://a:b"]
)
def test_an_address_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, address: str):
    """At the start, by the name of its variable: later nobody would see why there are no traces."""
    monkeypatch.setenv(VARIABLE, address)

    with pytest.raises(StartupError, match=VARIABLE):
        exporting("1")


def test_a_variable_of_another_form_is_refused(monkeypatch: pytest.MonkeyPatch):
    """With the SDK's own words, and no trace of a stack."""
    monkeypatch.setenv(VARIABLE, "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "-1")

    with pytest.raises(StartupError, match="OTEL"):
        exporting("1")


def test_a_query_is_not_exported():
    """A careless client has a token there."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(otel_sdk.WithoutQueries())
    span = provider.get_tracer("test").start_span("a", attributes={"url.query": "key=secret"})
    provider.shutdown()

    assert isinstance(span, ReadableSpan)
    assert dict(span.attributes or {}) == {"url.query": "REDACTED"}
