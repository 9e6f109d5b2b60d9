"""The load client, a process of its own: users who talk and wait for each answer.

Run as `python -m bench.load`: reads one order a line (JSON), and answers each with one line.
`bench.direct` obeys the same orders without a service.
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
"""Turns of which something can be said."""

Say = Callable[[str], Awaitable[bool]]
"""Says an order's words in a conversation, and waits; was it answered?"""


@dataclass(frozen=True, slots=True)
class Order:
    """A burst of turns.

    Each of `users` talks in conversations of its own, named after `name`; `seconds` or `turns`
    (of all users together) ends it. Counted are the turns that end within `seconds`, after the
    first `warm` ones; with `turns`, all. With `fresh` each turn is the first of a conversation,
    with `shared` all users talk in one; with `sessions` each is a session of a user so named, by
    `POST /chat/`. `says` is what they say.
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
    says: str = MESSAGE["content"]


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
        return self.latencies[-1 - len(self.latencies) // 100]


class Client:
    """Orders bursts from the process of the load client."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    @property
    def cpu(self) -> float:
        """Seconds of CPU that its process has used."""
        return cpu_of(self._process.pid)

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
def client(module: str = "bench.load", *arguments: str) -> Iterator[Client]:
    """The load client, or another module that obeys orders, started and stopped."""
    with running(
        ["-m", module, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=sys.stderr,
    ) as process:
        yield Client(process)


class _Run:
    """One order under way."""

    def __init__(self, order: Order, say: Say) -> None:
        self._order = order
        self._say = say
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
            self.failed += not await self._say(self._conversation(number, turn))
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


async def fulfil(order: Order, say: Say) -> Burst:
    """Carries an order out."""
    run = _Run(order, say)
    began = time.perf_counter()
    await asyncio.gather(*(run.user(number) for number in range(order.users)))
    seconds = order.seconds or time.perf_counter() - began
    return Burst(len(run.latencies) / seconds, sorted(run.latencies), run.done, run.failed)


async def obey(carry_out: Callable[[Order], Awaitable[Burst]]) -> None:
    """Reads orders until there are no more."""
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        burst = await carry_out(Order(**json.loads(line)))
        print(json.dumps(asdict(burst)), flush=True)


async def _over_http(order: Order) -> Burst:
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def say(conversation: str) -> bool:
            path, said = _request(order, conversation)
            async with session.post(order.url + path, json=said) as answer:
                await answer.read()
                return answer.status == 200

        return await fulfil(order, say)


def _request(order: Order, conversation: str) -> tuple[str, object]:
    """The path and the body of a turn."""
    if not order.sessions:
        return f"/chat/{conversation}", MESSAGE | {"content": order.says}
    metadata = {"session_id": conversation}
    return "/chat/", {"user_id": conversation, "text": order.says, "metadata": metadata}


if __name__ == "__main__":
    asyncio.run(obey(_over_http))
