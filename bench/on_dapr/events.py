"""From an answer to the moment at which memory holds it.

Redis itself tells when memory's mark for a turn is written, to a connection that listens (keyspace
notifications): nobody is asked meanwhile, so that looking costs neither the app nor its sidecar
anything. An answer's moment is when the caller has it; the lag of an event that is applied before
that is below 0.
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
"""Turns of a conversation that are not counted: they wake its actors."""
CHANNEL = b"__keyspace@0__:"
MARKS = b"*||MemoryAgentActor||*||s:*"
Moments = dict[str, list[float]]
"""By conversation, a moment for each of its turns."""


def measure(dapr: Dapr, load: Client, quick: bool) -> Iterator[Row]:  # noqa: ARG001 - as its siblings
    """The lag of one user's events, and of many users' at once."""
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
            ours.calm()


async def _lags(ours: Cluster, users: int, seconds: float) -> list[float]:
    """Seconds, one for each counted turn."""
    names = [f"lag{users}-{number}" for number in range(users)]
    saved: Moments = defaultdict(list)
    async with _listening(ours.redis.port, saved), aiohttp.ClientSession() as session:
        until = time.perf_counter() + seconds
        told = await asyncio.gather(*(_talk(session, ours.url, name, until) for name in names))
        answered: Moments = {name: moments for name, (moments, _) in zip(names, told, strict=True)}
        async with asyncio.timeout(PATIENCE * 2):
            await _all(saved, answered)
    last = await asyncio.to_thread(ours.replicas[0].memory, names[0])
    assert last[-1]["content"] == told[0][1], "what Redis told is not what /memory shows"
    return [
        applied - answer
        for name in names
        for applied, answer in list(zip(saved[name], answered[name], strict=True))[FIRST:]
    ]


async def _all(saved: Moments, answered: Moments) -> None:
    """Waits until no turn is missing; the last have no lag to spoil by looking."""
    while any(len(saved[name]) < len(answered[name]) for name in answered):  # noqa: ASYNC110
        await asyncio.sleep(0.01)


async def _talk(
    session: aiohttp.ClientSession, url: str, name: str, until: float
) -> tuple[list[float], str]:
    """When each turn was answered, and the last answer."""
    moments: list[float] = []
    while time.perf_counter() < until:
        async with session.post(f"{url}/chat/{name}", json=MESSAGE) as answer:
            body = await answer.json()
            moments.append(time.perf_counter())
            assert answer.status == 200, body
    return moments, body["response"]["content"]


@asynccontextmanager
async def _listening(port: int, saved: Moments) -> AsyncIterator[None]:
    """Notes when marks are written, by conversation."""
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    writer.write(b"CONFIG SET notify-keyspace-events Kh\r\n")
    writer.write(b"PSUBSCRIBE " + CHANNEL + MARKS + b"\r\n")
    while not (await reader.readline()).startswith(CHANNEL):
        pass
    await reader.readline()
    hearing = asyncio.create_task(_hear(reader, saved))
    try:
        yield
    finally:
        hearing.cancel()
        writer.close()


async def _hear(reader: asyncio.StreamReader, saved: Moments) -> None:
    """A notification is four strings, the last two of them the key and what was done to it."""
    while line := await reader.readline():
        if not line.startswith(CHANNEL) or MARKS in line:
            continue
        await reader.readline()
        if (await reader.readline()).strip() == b"hset":
            saved[line.rpartition(b"||s:")[2].strip().decode()].append(time.perf_counter())
