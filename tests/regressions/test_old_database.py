"""A database that an older release wrote still opens, and nothing in it is lost."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.e2e.service import Service, eventually

DUMP = Path(__file__).with_name("database-0.1.sql")
SESSION = "e1a6a435-4bf1-42d0-ac7c-1a6212bae72c"


@pytest.fixture
async def service(tmp_path: Path):
    """The service on the old database."""
    (tmp_path / "data").mkdir()
    with closing(sqlite3.connect(tmp_path / "data" / "agent-actors.db")) as database:
        database.executescript(DUMP.read_text(encoding="utf-8"))
    running = await Service(tmp_path, model="scripted", parking_time=0.2).start()
    yield running
    await running.close()


async def get(service: Service, path: str) -> dict[str, object]:
    answer = await service.http.get(path)
    assert answer.status_code == 200, answer.text
    document: dict[str, object] = answer.json()
    return document


async def test_what_an_older_release_stored_is_there(service: Service):
    """History, counts, memory, sessions, preferences and schedules are read as they were saved."""
    history = (await service.http.get("/chat/ada/history", params={"limit": 100})).json()["history"]
    said = [entry["content"] for entry in history if entry["role"] == "user"]

    assert said == [f"Message {number}" for number in range(1, 11)]
    assert await get(service, "/response/ada/count") == {"count": 10}
    assert await get(service, "/response/bob/count") == {"count": 2}
    bob = (await service.http.get("/chat/bob/history")).json()["history"]
    assert bob[0]["content"] == "after the clearing"
    assert len(bob) == 2
    session = (await service.http.get(f"/conversations/{SESSION}")).json()["history"]
    assert session[0]["content"] == "Hello from a session"
    assert await get(service, "/users/carol/sessions") == {"sessions": [SESSION], "next": None}
    assert await get(service, "/users/carol/preferences") == {
        "language": "en",
        "phone": "+14155550123",
    }
    person = await get(service, "/memories/carol")
    assert (person["name"], person["user_summary"]) == ("Carol", "Carol likes tea.")
    (schedule,) = (await service.http.get("/chat/ada/schedules")).json()["schedules"]
    assert (schedule["content"], schedule["every"]) == ("How is my day?", 366 * 86_400.0)
    assert (await service.http.get("/analytics/ada")).json() == {"message_count": 10}
    assert (await service.http.get("/response/dave/count")).status_code == 404


async def test_a_key_of_an_older_release_is_remembered(service: Service):
    """A request that is sent again after the upgrade gets its first answer, and counts once."""
    request = {"role": "user", "content": "Message 1"}
    again = await service.http.post("/chat/ada", json=request, headers={"Idempotency-Key": "k1"})

    assert again.status_code == 200
    assert again.json()["response"]["content"].startswith("Memory: Message count: 1.")
    assert await get(service, "/response/ada/count") == {"count": 10}


async def test_the_queue_of_an_older_release_goes_on(service: Service):
    """Turns that were waiting when the old process died are answered, in order."""

    async def answered() -> bool:
        return (await get(service, "/response/erin/count")) == {"count": 2}

    await eventually(answered, "both turns of the queue are answered")
    history = (await service.http.get("/chat/erin/history")).json()["history"]

    assert [entry["content"] for entry in history if entry["role"] == "user"] == [
        "/slow 2 parked",
        "behind it",
    ]
