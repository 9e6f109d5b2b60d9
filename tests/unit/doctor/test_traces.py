"""What a start makes of OpenTelemetry's variables, `doctor` says before."""

import threading

import pytest

from agent_actors.doctor.finding import Finding
from agent_actors.doctor.settings import check_settings
from agent_actors.observability import exporter
from tests.unit.doctor.conftest import context, only

VARIABLE = "OTEL_EXPORTER_OTLP_ENDPOINT"
GOOD = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def _nothing_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*exporter.ENDPOINTS, "OTEL_SDK_DISABLED"):
        monkeypatch.delenv(name, raising=False)


async def look() -> Finding:
    return only(await check_settings(context()))


@pytest.mark.parametrize(
    ("variable", "value", "named"),
    [
        *((VARIABLE, each, VARIABLE) for each in ("localhost:4318", "http://localhost:0")),
        *((VARIABLE, each, VARIABLE) for each in ("ftp://x", "http://localhost:99999")),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "-1", "OTEL_…"),
    ],
)
async def test_a_variable_that_a_start_refuses_is_reported(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, named: str
):
    """By its name."""
    monkeypatch.setenv(VARIABLE, GOOD)
    monkeypatch.setenv(variable, value)
    found = await look()

    assert (found.check, found.status) == ("settings", "FAIL")
    assert named in found.found


async def test_what_was_made_to_find_out_is_ended(monkeypatch: pytest.MonkeyPatch):
    """No thread goes on to send."""
    before = set(threading.enumerate())
    monkeypatch.setenv(VARIABLE, GOOD)

    assert (await look()).status == "ok"
    assert set(threading.enumerate()) <= before
