"""The time from `kill -9` of a replica and its sidecar until the other replica has its actors."""

import asyncio
import time
from collections.abc import Iterator
from statistics import median

import aiohttp

from bench.load import Client
from bench.on_dapr.cluster import SERVICE, Dapr, Replica
from bench.on_dapr.where import conversations_on
from bench.process import MESSAGE
from bench.table import Row

ACTORS = 8
PAUSE = 0.02
"""Seconds until a refused caller tries again."""


def measure(dapr: Dapr, load: Client, quick: bool) -> Iterator[Row]:  # noqa: ARG001 - As its siblings.
    """Kills and restarts a replica a few times."""
    rounds = 1 if quick else 5
    with dapr.hosting(SERVICE.having(idle_timeout=3_600), replicas=2) as ours:
        killed, other = ours.replicas
        back: list[float] = []
        refused = 0
        for number in range(rounds):
            users = conversations_on(killed, other, ACTORS, f"killed{number}-")
            before = other.hosted("ChatAgent")
            seconds, refusals = asyncio.run(_recovery(killed, other, users))
            assert other.hosted("ChatAgent") >= before + ACTORS, "they were not there"
            back += seconds
            refused += refusals
            if number + 1 < rounds:
                killed.start()
    yield Row(
        "Dapr, a replica killed",
        f"its actors answer after {median(back):.2f} s, the last after {max(back):.2f} s",
        f"{refused} of {len(back)} callers were refused meanwhile",
        "",
    )


async def _recovery(killed: Replica, other: Replica, users: list[str]) -> tuple[list[float], int]:
    """Seconds until each actor answered, and how many callers were refused first."""
    async with aiohttp.ClientSession() as session:
        began = time.perf_counter()
        killed.kill()
        answers = await asyncio.gather(*(_answered(session, other.url, user) for user in users))
    return [moment - began for moment, _ in answers], sum(refused for _, refused in answers)


async def _answered(session: aiohttp.ClientSession, url: str, user: str) -> tuple[float, bool]:
    refused = False
    while True:
        async with session.post(f"{url}/chat/{user}", json=MESSAGE) as answer:
            await answer.read()
            if answer.status == 200:
                return time.perf_counter(), refused
        refused = True
        await asyncio.sleep(PAUSE)
