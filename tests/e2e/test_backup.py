"""A backup of a running service, and the service on what was restored from it."""

import signal
import sqlite3
from contextlib import closing
from pathlib import Path

from tests.e2e.conftest import SETTINGS
from tests.e2e.service import Service, command, eventually, running


async def stop(service: Service) -> None:
    service.send(signal.SIGTERM)
    assert await service.ended() == 0, service.logged()


def back_up(service: Service, file: Path) -> None:
    done = command("backup", str(file), "--data", str(service.data))
    assert done.returncode == 0, done.stderr
    assert file.stat().st_mode & 0o777 == 0o600


async def restore(service: Service, file: Path) -> None:
    """Stops the service, restores the backup, and starts the service again."""
    await stop(service)
    done = command("restore", str(file), "--data", str(service.data))
    assert done.returncode == 0, done.stderr
    await service.start()


def user_texts(history: list[dict[str, str]]) -> list[str]:
    return [entry["content"] for entry in history if entry["role"] == "user"]


async def test_what_came_after_the_backup_is_gone(local: Service, tmp_path: Path):
    """History, count and memory are those of the backup, and the conversation goes on from there.

    An idempotency key from before the backup has its answer, and one from after it is new. A user
    who was deleted after the backup is back, so the deletion has to be repeated.
    """
    before = await local.say("ada", "before", key="k1")
    await local.remembered("ada", "before")
    await local.reply("carol", "forget me")
    back_up(local, tmp_path / "backup.db")
    after = await local.say("ada", "after", key="k2")
    await local.remembered("ada", "after")
    await local.reply("bob", "a new user")
    assert (await local.http.delete("/users/carol")).status_code == 204

    await restore(local, tmp_path / "backup.db")

    assert user_texts(await local.history("ada")) == ["before"]
    assert (await local.count("ada"), await local.count("bob")) == (1, 0)
    assert "after" not in [entry["content"] for entry in await local.memory("ada")]
    gone = await local.http.get(f"/chat/ada/turns/{after.json()['turn_id']}")
    assert gone.status_code == 404
    assert (await local.say("ada", "before", key="k1")).json() == before.json()
    again = await local.say("ada", "after", key="k2")
    assert again.json()["turn_id"] == after.json()["turn_id"]
    await local.remembered("ada", "after")
    assert user_texts(await local.history("ada")) == ["before", "after"]
    assert await local.count("ada") == 2
    assert user_texts(await local.history("carol")) == ["forget me"]
    assert (await local.http.delete("/users/carol")).status_code == 204
    assert local.places_of("forget me") == []


async def test_a_turn_under_way_ends_once(local: Service, tmp_path: Path):
    """A parked turn of the backup starts again by itself, and what waits behind it follows."""
    waiting = await local.say("ada", "/slow 3 parked", key="k1", prefer="respond-async")
    assert waiting.status_code == 202
    behind = await local.say("ada", "behind it", prefer="respond-async")
    assert behind.status_code == 202
    back_up(local, tmp_path / "backup.db")

    async def both() -> bool:
        return await local.count("ada") == 2

    await eventually(both, "both turns have ended in the service")
    await local.reply("ada", "after")
    await restore(local, tmp_path / "backup.db")
    await eventually(both, "both turns have ended on the restored database, too")
    retry = await local.say("ada", "/slow 3 parked", key="k1")

    assert retry.status_code == 200
    assert await local.status(waiting.headers["location"]) == "done"
    assert user_texts(await local.history("ada")) == ["/slow 3 parked", "behind it"]
    await local.remembered("ada", "behind it")
    assert await local.count("ada") == 2


async def test_an_event_is_sent_again_if_memory_did_not_have_it(tmp_path: Path):
    """History is the outbox: a backup between a turn and its event loses neither."""
    async with running(tmp_path, **SETTINGS | {"recovery_period": 30}) as service:
        await service.reply("ada", "in memory")
        await service.remembered("ada", "in memory")
        earlier = service.rows("SELECT * FROM state WHERE type = 'MemoryAgentActor'")
        await service.reply("ada", "not yet in memory")
        file = tmp_path / "backup.db"
        back_up(service, file)
        with closing(sqlite3.connect(file)) as backup, backup:  # As of a moment before.
            backup.executemany("REPLACE INTO state VALUES (?, ?, ?, ?)", earlier)
        await restore(service, file)

        await service.remembered("ada", "not yet in memory")
        assert await service.count("ada") == 2


async def test_a_schedule_is_due_when_the_backup_says(local: Service, tmp_path: Path):
    """A schedule of after the backup is gone; one that was due meanwhile is made up for once."""
    body = {"content": "tick", "every": "2s", "times": 2}
    made = await local.http.post("/chat/ada/schedules", json=body)
    assert made.status_code in {200, 201}, made.text
    back_up(local, tmp_path / "backup.db")

    async def ticked() -> bool:
        found = await local.http.get("/response/ada/count")
        return found.status_code == 200 and found.json()["count"] == 2

    await eventually(ticked, "the schedule has ended in the service")
    body = {"content": "never", "every": "1h"}
    assert (await local.http.post("/chat/ada/schedules", json=body)).status_code in {200, 201}
    await restore(local, tmp_path / "backup.db")
    await eventually(ticked, "the schedule of the backup has ended, too")

    history = (await local.http.get("/chat/ada/history")).json()["history"]
    assert user_texts(history) == ["tick", "tick"]
    assert (await local.http.get("/chat/ada/schedules")).json()["schedules"] == []


async def test_a_running_service_is_not_restored_under(local: Service, tmp_path: Path):
    """The error names its process, which goes on."""
    await local.reply("ada", "before")
    back_up(local, tmp_path / "backup.db")
    await local.reply("ada", "after")
    done = command("restore", str(tmp_path / "backup.db"), "--data", str(local.data))

    assert (done.returncode, done.stdout) == (2, "")
    assert "is in use by process" in done.stderr
    assert user_texts(await local.history("ada")) == ["before", "after"]
    assert "removed or replaced" not in local.logged()
