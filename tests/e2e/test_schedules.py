"""Schedules of the real command: on time, once, whatever was killed meanwhile."""

from datetime import datetime
from typing import Any

from agent_actors.protocol import ids
from tests.e2e.dapr import DaprService
from tests.e2e.service import AnyService, clock, eventually

PATH = "/chat/ada/schedules"


async def plan(service: AnyService, content: str, **when: Any) -> str:
    """A schedule that is kept: its address."""
    answer = await service.http.post(PATH, json={"content": content} | when)
    assert answer.status_code == 201, answer.text
    return str(answer.headers["location"])


async def said(service: AnyService, turns: int) -> list[str]:
    """What was said, once there are that many turns."""

    async def there() -> list[str]:
        history = [entry["content"] for entry in (await service.history("ada"))[::2]]
        return history if len(history) >= turns else []

    contents: list[str] = await eventually(there, f"{turns} turns are in the history")
    return contents


async def at_rest(service: AnyService, address: str) -> None:
    """Waits until no reminder is left that could say something, or say it again."""
    reminder = ids.schedule_reminder(address.rpartition("/")[2])

    async def settled() -> bool:
        if isinstance(service, DaprService):
            place = service.beside(f"actors/ChatAgent/ada/reminders/{reminder}")
            if (await service.http.get(place)).status_code != 404:
                return False
        return not await service.unsettled("ada")

    await eventually(settled, "no reminder is left", 15.0)


async def test_the_agent_speaks_up(service: AnyService):
    """At its time, once, marked in the history."""
    begun = clock.monotonic()
    address = await plan(service, "How is my day?", due_in="1.5s")
    assert await said(service, 1) == ["How is my day?"]
    assert clock.monotonic() - begun >= 1.5
    await at_rest(service, address)

    history = (await service.http.get("/chat/ada/history")).json()["history"]
    assert [entry["scheduled"] for entry in history] == [True, True]
    assert (await service.http.get(address)).status_code == 404
    assert await service.count("ada") == 1


async def test_a_period_goes_on_for_as_long_as_it_was_planned(service: AnyService):
    """Each time once, in step, and then it is over."""
    address = await plan(service, "tick", every=1, times=4)
    first = (await service.http.get(address)).json()
    assert await said(service, 4) == ["tick"] * 4
    await at_rest(service, address)
    export = (await service.http.get("/users/ada/export")).json()
    turns = export["conversations"][0]["turns"]

    assert await service.count("ada") == 4
    assert len({turn["turn_id"] for turn in turns}) == 4
    due = datetime.fromisoformat(first["next_due"])
    late = [(datetime.fromisoformat(each["occurred_at"]) - due).total_seconds() for each in turns]
    assert all(after >= number - 0.01 for number, after in enumerate(late)), late


async def test_a_deleted_schedule_is_silent(service: AnyService):
    """Nothing is said after the deletion, and its reminder is gone."""
    address = await plan(service, "tick", every=1)
    await said(service, 1)
    await service.http.delete(address)
    await at_rest(service, address)
    turns = await service.count("ada")
    await clock.sleep(2.5)

    under_way = 1  # Dapr may have sent a tick before it was told.
    assert await service.count("ada") <= turns + under_way


async def test_a_schedule_survives_a_kill(service: AnyService):
    """Killed before it was due, and away at that time: said once, soon after the start."""
    await service.reply("ada", "before")
    address = await plan(service, "due while away", due_in=2)
    service.kill()
    await clock.sleep(3.0)
    await service.start()
    assert await said(service, 2) == ["before", "due while away"]
    await at_rest(service, address)

    assert await service.count("ada") == 2


async def test_an_occurrence_survives_a_kill(service: AnyService):
    """Killed while the model is at work, it is answered after the start, once."""
    address = await plan(service, "/slow 2 hi", due_in=0.2)
    await eventually(
        lambda: any(
            b'"/slow 2 hi"' in each and b'"tries"' in each for each in service.stored("ChatAgent")
        ),
        "the turn is in the queue",
    )
    service.kill()
    await service.start()
    assert await said(service, 1) == ["/slow 2 hi"]
    await at_rest(service, address)

    assert await service.count("ada") == 1


async def test_kills_at_any_time_lose_and_double_nothing(service: AnyService):
    """A period of a second, killed again and again: as many turns as were planned."""
    address = await plan(service, "tick", every=1, times=5)
    for pause in (1.05, 0.4, 1.3):
        await clock.sleep(pause)
        service.kill()
        await service.start()
    assert await said(service, 5) == ["tick"] * 5
    await at_rest(service, address)

    assert await service.count("ada") == 5
    assert (await service.http.get(PATH)).json() == {"schedules": []}


async def test_a_deleted_user_hears_nothing(service: AnyService):
    """What was planned is not said, and not stored."""
    await plan(service, "zebra", every=1)
    await service.http.delete("/users/ada")
    await clock.sleep(2.0)

    assert await service.history("ada") == []
    assert not [each for each in service.stored("ChatAgent") if b"zebra" in each]
