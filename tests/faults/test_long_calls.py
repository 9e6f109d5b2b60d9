"""Model calls that last: they outlive what happens to their actors, are saved and paid for once.

Only where ResponseAgent moves to another replica while its call runs may that replica call again.
"""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.dapr.engine import Cluster, Engine
from tests.e2e.service import becomes, clock, eventually
from tests.faults import people
from tests.faults.people import Turn
from tests.faults.rig import Storm, calls, storm

LONG: dict[str, Any] = {"parking_time": 0.5, "talkers": 0, "watchers": 8}


async def say(weather: Storm, seconds: float) -> list[Turn]:
    """Everyone says one thing that takes the model that long; their answers."""
    said = [f"/slow {seconds:g} {each.user} says much" for each in weather.watchers]
    asks = (
        each._ask(content, "long") for each, content in zip(weather.watchers, said, strict=True)
    )
    async with clock.timeout(seconds + 45.0):
        answers = await asyncio.gather(*asks)
    for person, turn in zip(weather.watchers, answers, strict=True):
        person.turns.append(turn)
    return answers


async def begun(weather: Storm) -> None:
    """Waits until everyone's model call runs and its turn is parked."""
    await eventually(lambda: len(calls(weather.cluster)) >= len(weather.watchers), "each call runs")
    for person in weather.watchers:

        async def parked(user: str = person.user) -> bool:
            return await weather.place.stored("ChatAgent", user, "head") is not None

        await eventually(parked, f"the turn of {person.user} is parked")


async def active(weather: Storm) -> int:
    """How many conversations are active, of those the first sidecar hosts."""
    told: dict[str, Any] = (await weather.place.sidecar("GET", "metadata")).json()
    hosted = told["actorRuntime"].get("activeActors", [])
    counts = {each["type"]: each.get("count", 0) for each in hosted}
    return counts.get("ChatAgent", 0) + counts.get("ResponseAgent", 0)


def bills(cluster: Cluster) -> list[Counter[str]]:
    """The model calls of each replica, by user."""
    found = [Counter[str]() for _ in cluster.replicas]
    for call in calls(cluster):
        found[call["replica"]][call["user"]] += 1
    return found


async def check(weather: Storm) -> list[Counter[str]]:
    """Everyone has his answer, once; no process was asked twice for it."""
    assert all(person.turns[-1].reply for person in weather.watchers)
    moved = len(weather.cluster.replicas)
    await weather.check(paid=moved)
    paid = bills(weather.cluster)
    for person in weather.watchers:
        assert await people.count(weather.place, person.user) == 1
        assert 1 <= sum(bill[person.user] for bill in paid) <= moved
    return paid


async def test_a_call_that_outlives_its_actors_is_paid_once(engine: Engine, tmp_path: Path):
    """Its actors are deactivated and come back, several times, while the model is still at it."""
    settings = LONG | {"idle_timeout": 1, "recovery_period": 3}
    async with storm("deactivated while the model runs", engine, tmp_path, **settings) as weather:
        async with asyncio.TaskGroup() as talks:
            talks.create_task(say(weather, 8.0))
            await begun(weather)
            for _ in range(2):
                await becomes(lambda: active(weather), 0)
                await eventually(lambda: active(weather), "a reminder has woken an actor")
        (paid,) = await check(weather)

        assert set(paid.values()) == {1}


async def test_a_call_that_outlives_its_sidecar_is_paid_once(engine: Engine, tmp_path: Path):
    """The sidecar is killed and comes back, twice, while the model is still at it."""
    name = "sidecar killed while the model runs"
    async with storm(name, engine, tmp_path, **LONG) as weather:
        sidecar = weather.cluster.replicas[0].sidecar
        async with asyncio.TaskGroup() as talks:
            talks.create_task(say(weather, 6.0))
            await begun(weather)
            for _ in range(2):
                sidecar.kill()
                sidecar.start()
                await asyncio.to_thread(sidecar.wait_ready)
                await weather.pause(1.0, 1.5)
        (paid,) = await check(weather)

        assert set(paid.values()) == {1}


async def test_a_call_that_is_moved_is_paid_at_most_twice(engine: Engine, tmp_path: Path):
    """A replica joins, then leaves, while the model is still at it: those who stay pay once."""
    name = "replica joins and leaves while the model runs"
    async with storm(name, engine, tmp_path, **(LONG | {"watchers": 16})) as weather:
        async with asyncio.TaskGroup() as talks:
            talks.create_task(say(weather, 8.0))
            await begun(weather)
            second = weather.cluster.replica()
            await asyncio.to_thread(second.start)
            await weather.pause(2.5, 2.5)
            await asyncio.to_thread(second.stop)
        paid = await check(weather)

        assert set(paid[0].values()) == {1}
        assert set(paid[1].values()) == {1}
        assert 0 < len(paid[1]) < len(paid[0])


@pytest.mark.soak
@pytest.mark.timeout(300)
async def test_a_call_of_a_minute_is_committed_once(engine: Engine, tmp_path: Path):
    """In one minute: actors deactivated, a sidecar killed, a replica that joins; all is well."""
    settings = LONG | {"idle_timeout": 3, "recovery_period": 5}
    async with storm("a model call of 60 s", engine, tmp_path, **settings) as weather:
        sidecar = weather.cluster.replicas[0].sidecar
        async with asyncio.TaskGroup() as talks:
            talks.create_task(say(weather, 60.0))
            await begun(weather)
            await becomes(lambda: active(weather), 0)
            await clock.sleep(10.0)
            sidecar.kill()
            sidecar.start()
            await asyncio.to_thread(sidecar.wait_ready)
            await clock.sleep(10.0)
            once = bills(weather.cluster)[0]
            second = weather.cluster.replica()
            await asyncio.to_thread(second.start)
        paid = await check(weather)

        assert set(once.values()) == {1}
        assert set(paid[0].values()) == {1}
        assert set(paid[1].values()) <= {1}
