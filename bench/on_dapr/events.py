"""The time from an answer until memory has it.

Redis notifies a connection when memory's mark for a turn is written (keyspace notifications), so
the measurement costs the app and its sidecar nothing. The lag counts from the moment at which the
caller has the answer; it is negative for an event that was applied before.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from statistics import quantiles

import aiohttp

from agent_actors.engine.ports import LOOPBACK
from bench.load import Client
from bench.on_dapr.cluster import SERVICE, Cluster, Dapr
from bench.process import MESSAGE, PATIENCE
from bench.table import Row

USERS = (1, 16, 64)
TARGETS = {1: "p50 ≤ 30 ms"}
FIRST = 3
"""Turns of a conversation that are not counted, since they activate its actors."""
CHANNEL = b"__keyspace@0__:"
MARKS = b"*||MemoryAgentActor||*||s:*"
Moments = dict[str, list[float]]
"""One time per turn, by conversation."""


def measure(dapr: Dapr, load: Client, quick: bool) -> Iterator[Row]:  # noqa: ARG001 - As its siblings.
    """The lag with one user and with many."""
    seconds = 2.0 if quick else 6.0
    with dapr.hosting(SERVICE) as ours:
        for users in USERS:
            lags = asyncio.run(_lags(ours, users, seconds))
            hundredths = [each * 1e3 for each in quantiles(lags, n=100)]
            yield Row(
                f"Dapr, event lag, {users} user{'s' * (users > 1)}",
                f"p50 {hundredths[49]:.1f} ms, p99 {hundredths[98]:.1f} ms",
                f"{sum(lag < 0 for lag in lags) / len(lags):.0%} applied before the caller has"
                " the answer",
                TARGETS.get(users, ""),
            )
            ours.wait_idle()


async def _lags(ours: Cluster, users: int, seconds: float) -> list[float]:
    """Seconds, one for each counted turn."""
    names = [f"lag{users}-{number}" for number in range(users)]
    saved: Moments = defaultdict(list)
    async with _recorded(ours.redis.port, saved), aiohttp.ClientSession() as session:
        until = time.perf_counter() + seconds
        talks = await asyncio.gather(*(_talk(session, ours.url, name, until) for name in names))
        answered: Moments = {name: moments for name, (moments, _) in zip(names, talks, strict=True)}
        async with asyncio.timeout(PATIENCE * 2):
            await _all(saved, answered)
    last = await asyncio.to_thread(ours.replicas[0].memory, names[0])
    assert last[-1]["content"] == talks[0][1], "/memory shows other entries than Redis reported"
    return [
        applied - answer
        for name in names
        for applied, answer in list(zip(saved[name], answered[name], strict=True))[FIRST:]
    ]


async def _all(saved: Moments, answered: Moments) -> None:
    """Waits until the marks of all turns are written."""
    while any(len(saved[name]) < len(answered[name]) for name in answered):  # noqa: ASYNC110
        await asyncio.sleep(0.01)


async def _talk(
    session: aiohttp.ClientSession, url: str, name: str, until: float
) -> tuple[list[float], str]:
    """The times of the answers, and the last answer."""
    moments: list[float] = []
    while time.perf_counter() < until:
        async with session.post(f"{url}/chat/{name}", json=MESSAGE) as answer:
            body = await answer.json()
            moments.append(time.perf_counter())
            assert answer.status == 200, body
    return moments, body["response"]["content"]


@asynccontextmanager
async def _recorded(port: int, saved: Moments) -> AsyncIterator[None]:
    """Records the times at which marks are written, by conversation."""
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    writer.write(b"CONFIG SET notify-keyspace-events Kh\r\n")
    writer.write(b"PSUBSCRIBE " + CHANNEL + MARKS + b"\r\n")
    while not (await reader.readline()).startswith(CHANNEL):
        pass
    await reader.readline()
    recording = asyncio.create_task(_record(reader, saved))
    try:
        yield
    finally:
        recording.cancel()
        writer.close()


async def _record(reader: asyncio.StreamReader, saved: Moments) -> None:
    """Reads notifications: four strings each, of which the last two are key and operation."""
    while line := await reader.readline():
        if not line.startswith(CHANNEL) or MARKS in line:
            continue
        await reader.readline()
        if (await reader.readline()).strip() == b"hset":
            saved[line.rpartition(b"||s:")[2].strip().decode()].append(time.perf_counter())
