"""The service and the clocks, as `doctor` sees them."""

from datetime import timedelta
from email.utils import format_datetime
from typing import Any

import httpx2
import pytest

from agent_actors.doctor.actors import check_embedded_actors
from agent_actors.doctor.finding import Context, Finding
from agent_actors.doctor.service import check_clock, check_service
from tests.hand_clock import HandClock
from tests.unit.doctor.conftest import answering, context, only

URL = "http://service:1"


def at(url: str | None = URL, **given: Any) -> Context:
    return context(clock=HandClock(), url=url, **given)


async def ask(answer: httpx2.Response | Exception, found: Context) -> Finding:
    """What it says of `/readyz`; what a service says about itself has tests of its own."""
    async with answering({"/readyz": answer}) as http:
        return (await check_service(found, http))[0]


def ready(ahead: float = 0.0) -> httpx2.Response:
    there = HandClock().now() + timedelta(seconds=ahead)
    date = format_datetime(there, usegmt=True)
    return httpx2.Response(200, json={"status": "ok"}, headers={"date": date})


async def test_a_ready_service_is_ok():
    """Later checks know where it is."""
    seen = at()

    assert (await ask(ready(), seen)).status == "ok"
    assert seen.service == URL


async def test_a_service_that_does_not_run_is_no_failure():
    """Doctor is asked before the start, too."""
    seen = at()
    found = await ask(httpx2.ConnectError("away"), seen)

    assert found.status == "skip"
    assert URL in found.found
    assert "AGENT_ACTORS_URL" in found.advice
    assert seen.service is None


async def test_a_service_that_has_the_data_and_does_not_answer_is_a_warning():
    """It runs, so it is on another port than the one that was asked."""
    found = await ask(httpx2.ConnectError("away"), at(data_user=4711))

    assert found.status == "warn"
    assert f"{URL}, but process 4711" in found.found
    assert "AGENT_ACTORS_URL" in found.advice


async def test_why_a_service_is_not_ready_is_reported():
    """The finding quotes its reason."""
    seen = at()
    found = await ask(httpx2.Response(503, json={"detail": "The sidecar hosts none."}), seen)

    assert found.status == "FAIL"
    assert found.found.endswith(": The sidecar hosts none")
    assert seen.service == URL


@pytest.mark.parametrize(
    "answer",
    [
        httpx2.Response(200, text="Welcome to another"),
        httpx2.Response(404),
        httpx2.Response(503, text="<html>"),
        httpx2.Response(200, json=["ok"]),
    ],
)
async def test_another_program_is_not_taken_for_the_service(answer: httpx2.Response):
    """Nothing is asked of it any more."""
    seen = at()
    found = await ask(answer, seen)

    assert found.status == "FAIL"
    assert "is not this service" in found.found
    assert seen.service is None


@pytest.mark.parametrize(
    "url",
    [
        "http://host:port",
        "http://[::1",
        "host",
        "ftp://host",
        "http://localhost:0",
        "http://localhost:99999",
        "http://a:hush@host",
        "http://host?token=hush",
        "http://host/#hush",
    ],
)
async def test_an_invalid_url_is_reported(url: str):
    """It is malformed, or has a password or a query, which is not repeated."""
    async with httpx2.AsyncClient() as http:
        found = only(await check_service(at(url), http))

    assert found.status == "FAIL"
    assert "AGENT_ACTORS_URL" in found.found
    assert "hush" not in f"{found}"


async def test_the_sidecar_knows_where_the_service_is():
    """A given URL takes precedence; without either, the default is used."""
    told = {"appConnectionProperties": {"port": 7, "channelAddress": "127.0.0.9"}}
    found = [
        await ask(ready(), at(None, metadata=told)),
        await ask(ready(), at(URL, metadata=told)),
        await ask(ready(), at(None, metadata={})),
    ]

    assert [each.found.rpartition(" ")[2] for each in found] == [
        "http://127.0.0.9:7",
        URL,
        "http://127.0.0.1:8000",
    ]


@pytest.mark.parametrize(
    "told", [{"port": "7/../x"}, {"port": 99_999}, {"port": 7, "channelAddress": "[x"}, {"port": 0}]
)
async def test_an_invalid_app_address_of_the_sidecar_is_ignored(told: dict[str, Any]):
    """Then the default is used."""
    found = await ask(ready(), at(None, metadata={"appConnectionProperties": told}))

    assert found.found == "ready at http://127.0.0.1:8000"


@pytest.mark.parametrize(
    ("ahead", "status", "words"),
    [
        (0, "ok", "within 2 s of the service"),
        (10, "warn", "10 s behind the service"),
        (-10, "warn", "10 s ahead of the service"),
        (-60, "FAIL", "60 s ahead of the service"),
    ],
)
async def test_a_wrong_clock_is_reported(ahead: float, status: str, words: str):
    """A small difference is a warning, a large one a failure."""
    seen = at()
    await ask(ready(ahead), seen)
    found = only(await check_clock(seen))

    assert (found.status, found.found) == (status, words)


async def test_a_server_without_a_date_is_not_compared():
    """The header is missing or malformed."""
    seen = at()
    await ask(httpx2.Response(200, json={"status": "ok"}), seen)
    for date in ("soon", f"Mon, 30 Nov 2026 00:00:00 +{'9' * 20}"):
        await ask(httpx2.Response(200, json={"status": "ok"}, headers={"date": date}), seen)
    found = only(await check_clock(seen))

    assert found.status == "skip"


async def test_embedded_actors_are_as_ready_as_the_service():
    """They run inside it, so its readiness includes them."""
    away, ready_service = at(), at(service=URL, ready=True)

    assert only(await check_embedded_actors(away)).status == "skip"
    assert only(await check_embedded_actors(ready_service)).status == "ok"
