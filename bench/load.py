"""The load client, a process of its own: users who talk and wait for each answer.

Run as `python -m bench.load`: reads one order a line (JSON), and answers each with one line.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import count
from statistics import quantiles

import aiohttp

from bench.process import MESSAGE, running

FEWEST = 2
"""Turns of which something can be said."""


@dataclass(frozen=True, slots=True)
class Order:
    """A burst of turns.

    Each of `users` talks in conversations of its own, named after `name`; `seconds` or `turns`
    (of all users together) ends it. Counted are the turns that end within `seconds`, after the
    first `warm` ones; with `turns`, all. With `fresh` each turn is the first of a conversation,
    with `shared` all users talk in one.
    """

    url: str
    name: str
    users: int
    seconds: float = 0.0
    turns: int = 0
    warm: float = 0.0
    fresh: bool = False
    shared: bool = False


@dataclass(frozen=True, slots=True)
class Burst:
    """What came of an order: latencies are in seconds, sorted; `turns` has uncounted ones too."""

    rate: float
    latencies: list[float]
    turns: int
    failed: int

    @property
    def p50(self) -> float:
        """The median latency."""
        return self.latencies[len(self.latencies) // 2]

    @property
    def p99(self) -> float:
        """The latency that one turn in a hundred exceeds."""
        return quantiles(self.latencies, n=100)[-1]


class Client:
    """Orders bursts from the process of the load client."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def burst(self, order: Order) -> Burst:
        """Runs an order and returns what came of it.

        Raises:
            RuntimeError: A turn was not answered with 200, or too few ended in time.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(asdict(order)), file=self._process.stdin, flush=True)
        burst = Burst(**json.loads(self._process.stdout.readline()))
        if burst.failed:
            raise RuntimeError(f"{burst.failed} turns failed in {order}")
        if len(burst.latencies) < FEWEST:
            raise RuntimeError(f"{len(burst.latencies)} turns ended in the time of {order}")
        return burst


@contextmanager
def client() -> Iterator[Client]:
    """The load client, started and stopped."""
    with running(
        ["-m", "bench.load"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=sys.stderr
    ) as process:
        yield Client(process)


class _Run:
    """One order under way."""

    def __init__(self, order: Order, session: aiohttp.ClientSession) -> None:
        self._order = order
        self._session = session
        self._turns = count()
        self._counted_from = time.perf_counter() + order.warm
        self._until = self._counted_from + order.seconds
        self.latencies: list[float] = []
        self.done = 0
        self.failed = 0

    async def user(self, number: int) -> None:
        """Talks until the order is fulfilled."""
        while (turn := self._next()) is not None:
            began = time.perf_counter()
            url = f"{self._order.url}/chat/{self._conversation(number, turn)}"
            async with self._session.post(url, json=MESSAGE) as answer:
                await answer.read()
                self.failed += answer.status != 200
            self.done += 1
            ended = time.perf_counter()
            if self._order.turns or self._counted_from <= ended <= self._until:
                self.latencies.append(ended - began)

    def _next(self) -> int | None:
        turn = next(self._turns)
        over = turn >= self._order.turns if self._order.turns else time.perf_counter() > self._until
        return None if over else turn

    def _conversation(self, number: int, turn: int) -> str:
        if self._order.shared:
            return self._order.name
        return f"{self._order.name}-{turn if self._order.fresh else number}"


async def _fulfil(order: Order) -> Burst:
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        run = _Run(order, session)
        began = time.perf_counter()
        await asyncio.gather(*(run.user(number) for number in range(order.users)))
        seconds = order.seconds or time.perf_counter() - began
    return Burst(len(run.latencies) / seconds, sorted(run.latencies), run.done, run.failed)


async def _work() -> None:
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        burst = await _fulfil(Order(**json.loads(line)))
        print(json.dumps(asdict(burst)), flush=True)


if __name__ == "__main__":
    asyncio.run(_work())
