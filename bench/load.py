"""The load client, in its own process: users who send a message and wait for each answer.

Run as `python -m bench.load`; it reads one order per line (JSON) and prints one line for each.
`bench.direct` takes the same orders and needs no service.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import count

import aiohttp

from bench.process import MESSAGE, cpu_of, running

FEWEST = 2
"""The fewest turns that are worth a median."""

Send = Callable[[str], Awaitable[bool]]
"""Sends the order's message to a conversation and waits; true if it was answered."""


@dataclass(frozen=True, slots=True)
class Order:
    """A burst of turns.

    Each of `users` has its own conversation, named after `name`. The burst ends after `seconds`, or
    after `turns` of all users together. Turns that end within `seconds` are counted, without the
    first `warm` seconds; with `turns`, all of them. With `fresh`, each turn starts a conversation;
    with `shared`, all users are in one conversation; with `sessions`, each conversation is a
    session of a user of its own, by `POST /chat/`. `content` is the text of each message.
    """

    url: str
    name: str
    users: int
    seconds: float = 0.0
    turns: int = 0
    warm: float = 0.0
    fresh: bool = False
    shared: bool = False
    sessions: bool = False
    content: str = MESSAGE["content"]


@dataclass(frozen=True, slots=True)
class Burst:
    """The result of an order: sorted latencies in seconds; `turns` includes uncounted ones."""

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
        return self.latencies[-1 - len(self.latencies) // 100]


class Client:
    """The process of the load client."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    @property
    def cpu(self) -> float:
        """Seconds of CPU that its process has used."""
        return cpu_of(self._process.pid)

    def burst(self, order: Order) -> Burst:
        """Runs an order and returns its result.

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
def client(module: str = "bench.load", *arguments: str) -> Iterator[Client]:
    """The load client, or another module that takes orders, started and stopped."""
    with running(
        ["-m", module, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=sys.stderr,
    ) as process:
        yield Client(process)


class _Run:
    """An order that runs."""

    def __init__(self, order: Order, send: Send) -> None:
        self._order = order
        self._send = send
        self._turns = count()
        self._counted_from = time.perf_counter() + order.warm
        self._until = self._counted_from + order.seconds
        self.latencies: list[float] = []
        self.done = 0
        self.failed = 0

    async def user(self, number: int) -> None:
        """Sends messages until the order is complete."""
        while (turn := self._next()) is not None:
            began = time.perf_counter()
            self.failed += not await self._send(self._conversation(number, turn))
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


async def run(order: Order, send: Send) -> Burst:
    """Runs an order."""
    started = _Run(order, send)
    began = time.perf_counter()
    await asyncio.gather(*(started.user(number) for number in range(order.users)))
    seconds = order.seconds or time.perf_counter() - began
    return Burst(
        len(started.latencies) / seconds, sorted(started.latencies), started.done, started.failed
    )


async def take_orders(run_order: Callable[[Order], Awaitable[Burst]]) -> None:
    """Runs the orders from standard input until it ends."""
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        burst = await run_order(Order(**json.loads(line)))
        print(json.dumps(asdict(burst)), flush=True)


async def _over_http(order: Order) -> Burst:
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def send(conversation: str) -> bool:
            path, body = _request(order, conversation)
            async with session.post(order.url + path, json=body) as answer:
                await answer.read()
                return answer.status == 200

        return await run(order, send)


def _request(order: Order, conversation: str) -> tuple[str, object]:
    """The path and the body of a turn."""
    if not order.sessions:
        return f"/chat/{conversation}", MESSAGE | {"content": order.content}
    metadata = {"session_id": conversation}
    return "/chat/", {"user_id": conversation, "text": order.content, "metadata": metadata}


if __name__ == "__main__":
    asyncio.run(take_orders(_over_http))
