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
    "address", ["localhost:4318", "http://localhost:0", "ftp://x", "http://localhost:99999"]
)
async def test_an_address_that_a_start_refuses_is_reported(
    monkeypatch: pytest.MonkeyPatch, address: str
):
    """By the name of its variable."""
    monkeypatch.setenv(VARIABLE, address)
    found = await look()

    assert (found.check, found.status) == ("settings", "FAIL")
    assert found.found.startswith(VARIABLE)


async def test_a_variable_that_a_start_refuses_is_reported(monkeypatch: pytest.MonkeyPatch):
    """The address alone is not enough."""
    monkeypatch.setenv(VARIABLE, GOOD)
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "-1")
    found = await look()

    assert found.status == "FAIL"
    assert "OTEL_…" in found.found


async def test_what_was_made_to_find_out_is_ended(monkeypatch: pytest.MonkeyPatch):
    """No thread goes on to send."""
    before = set(threading.enumerate())
    monkeypatch.setenv(VARIABLE, GOOD)

    assert (await look()).status == "ok"
    assert set(threading.enumerate()) <= before
