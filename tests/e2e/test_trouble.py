"""The real command in trouble: each case has its status, and nothing is lost."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.e2e.conftest import Launch
from tests.e2e.service import AnyService

pytestmark = pytest.mark.asyncio(loop_scope="module")

PROBLEM = "application/problem+json"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def quick(
    launch: Launch, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[AnyService]:
    """A service whose model has one second, and whose queues are short."""
    folder: Path = tmp_path_factory.mktemp("quick")
    settings = {"model_time": 1, "wait_time": 20, "parking_time": 0.2, "queue_length": 4}
    async with launch(folder, model="scripted", recovery_period=1, **settings) as started:
        yield started


@pytest.mark.parametrize(
    ("content", "status", "retry"),
    [
        ("", 400, "no"),
        (" \n", 400, "no"),
        ("x" * 65_537, 413, "no"),
        ("x" * 3_000_000, 413, "no"),
        ("/fail", 502, "new-key"),
        ("/break", 502, "new-key"),
        ("/hang", 504, "new-key"),
        (7, 422, "no"),
        (None, 422, "no"),
    ],
    ids=["empty", "blank", "large", "huge", "fails", "breaks", "hangs", "number", "null"],
)
async def test_a_message_that_cannot_be_answered(
    quick: AnyService, content: Any, status: int, retry: str
):
    """A problem document with its status and advice; nothing is in the history."""
    body = {"role": "user", "content": content}
    user = f"user-{status}-{len(str(content))}"
    answer = await quick.http.post(f"/chat/{user}", json=body)

    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == PROBLEM
    assert answer.json()["retry"] == retry
    assert await quick.history(user) == []
    assert await quick.count(user) == 0


@pytest.mark.parametrize("user", ["a%20b", "%2B1555", "a%2Fb", "session:x", "x" * 129, "%C3%A4"])
async def test_an_id_of_another_form(quick: AnyService, user: str):
    """422, or 404 where the URL names another place."""
    body = {"role": "user", "content": "x"}
    answer = await quick.http.post(f"/chat/{user}", json=body)

    assert answer.status_code == (404 if "%2F" in user else 422)
    assert answer.headers["content-type"] == PROBLEM


async def test_a_queue_that_is_full(quick: AnyService):
    """429 with Retry-After; what was accepted before is kept."""
    await quick.say("full", "/hang", prefer="respond-async")
    answers = await asyncio.gather(
        *(quick.say("full", f"m{n}", prefer="respond-async") for n in range(8))
    )
    statuses = sorted(answer.status_code for answer in answers)

    assert statuses == [202] * 3 + [429] * 5
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.headers["retry-after"]
    assert (await quick.http.delete("/chat/full/history")).status_code == 204


async def test_events_that_are_not_the_runtimes(quick: AnyService):
    """Callbacks are private; nobody calls an actor past its runtime."""
    assert (await quick.http.post("/subscribe", json={})).status_code == 403
    assert (await quick.http.post("/subscribe/dead", json={})).status_code == 403
    path = "/actors/ChatAgent/ada/method/ProcessMessage"
    assert (await quick.http.put(path, json={})).status_code in {403, 404}
    assert (await quick.http.get("/events/dead")).json() == {"dead": []}


async def test_hostile_bytes_are_a_clients_mistake(quick: AnyService):
    """Raw nonsense on the socket neither ends the service nor is a 5xx of ours."""
    for raw in (b"\x00\xff\r\n\r\n", b"GET / HTTP/9\r\n\r\n", b"POST /chat/a HTTP/1.1\r\n\r\n"):
        reader, writer = await asyncio.open_connection("127.0.0.1", quick.port)
        writer.write(raw)
        await writer.drain()
        async with asyncio.timeout(10):
            answer = await reader.read(100)
        writer.close()

        assert not answer or answer.split()[1].startswith(b"4"), answer
    assert (await quick.http.get("/livez")).status_code == 200
