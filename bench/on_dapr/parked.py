"""The time that parking adds, through the replica that has the actor and through another."""

import asyncio
import time
from collections.abc import Iterator
from statistics import median

import aiohttp

from bench.load import Client
from bench.on_dapr.cluster import SERVICE, Dapr, Replica
from bench.on_dapr.where import conversations_on
from bench.table import Row

PARKED, QUICK = 2.0, 1.0
"""Seconds that the model takes: longer than the parking time (1.5 s), and shorter."""
STEP = 0.25
"""Seconds between the starts of two turns, so that each ends alone."""


def measure(dapr: Dapr, load: Client, quick: bool) -> Iterator[Row]:  # noqa: ARG001 - As its siblings.
    """Conversations of the first replica, asked through each of the two."""
    number = 8 if quick else 24
    app = SERVICE.having(model="scripted", idle_timeout=3_600, recovery_period=3_600)
    with dapr.hosting(app, replicas=2) as ours:
        here, other = ours.replicas
        users = conversations_on(here, other, number, "parked")
        for replica in ours.replicas:
            asyncio.run(_over(replica, users, 0.0))
        direct = asyncio.run(_over(here, users, QUICK))
        parked, away = (asyncio.run(_over(each, users, PARKED)) for each in (here, other))
    yield Row(
        "Dapr, parked turn, over the model's time",
        f"p50 +{parked:.0f} ms, by another replica +{away:.0f} ms",
        f"not parked +{direct:.0f} ms",
        "≤ 60 ms",
    )


async def _over(replica: Replica, users: list[str], seconds: float) -> float:
    """Median milliseconds beyond the model's time."""
    async with aiohttp.ClientSession() as session:
        turns = (_turn(session, replica, n, users[n], seconds) for n in range(len(users)))
        return median(await asyncio.gather(*turns)) * 1e3 - seconds * 1e3


async def _turn(
    session: aiohttp.ClientSession, replica: Replica, number: int, user: str, seconds: float
) -> float:
    await asyncio.sleep(number * STEP)
    message = {"role": "user", "content": f"/slow {seconds} What did I say?"}
    began = time.perf_counter()
    async with session.post(f"{replica.url}/chat/{user}", json=message) as answer:
        assert answer.status == 200, await answer.text()
    return time.perf_counter() - began
