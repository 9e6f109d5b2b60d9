"""Where spans go is said by OpenTelemetry's standard variables."""

import logging

import pytest

from agent_actors import tracing_export
from agent_actors.errors import StartupError
from agent_actors.tracing_export import Traces, exporting

VARIABLE = "OTEL_EXPORTER_OTLP_ENDPOINT"


@pytest.fixture(autouse=True)
def _nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*tracing_export.ENDPOINTS, "OTEL_SDK_DISABLED", "OTEL_SERVICE_NAME"):
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
    monkeypatch.setattr(tracing_export, "_installed", lambda: False)

    with pytest.raises(StartupError, match=r"TRACES_ENDPOINT is set.*agent-actors\[otel\]"):
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
    log.addFilter(tracing_export._Once())
    for number in range(3):
        log.error("away: %s", number)
        log.error("other")

    assert [record.getMessage() for record in caplog.records] == ["away: 0", "other"]
