"""The time that the service adds to a model's own: both sides ask aimock through the Agents SDK.

One side is the service over HTTP; the other calls the SDK directly, with the same agent, window and
server. With many users both saturate the CPUs, and the ratio of turns/s says more than the
difference in latency.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from statistics import median
from typing import Protocol

from bench import long
from bench.aimock import AT_ONCE, DELAY, LATER, TIME, aimock, asking, missing
from bench.load import Burst, Client, Order, client
from bench.process import Served, service, wait_idle
from bench.table import Row

SECONDS = {1: 2.0, 16: 1.6, 64: 2.4}
"""Of a burst, by its users: 64 that start together also end together, so it needs several."""
DIRECT = "bench.direct"
FIRST = 8
"""Turns that fill the model's window before a measurement."""
WARM = 0.2
LATE = f"{DELAY * 1e3:.0f} ms"
PARKING_TIME = 0.1
"""Seconds, which `LATER` outlasts: each of its turns is parked."""
OLD, BUILDERS = 1_000, 8
"""Turns of the old conversation, each with a tool call, and the users who build it."""

TALKERS, WAKING, TURNS = 16, 2, 8
"""Users whose summaries are made meanwhile, the first turns of each, and the measured ones.

Together they neither overflow the model's window nor reach the 16 exchanges of `NEVER`.
"""
EACH = {"summary_events": "1"}
NEVER = {"summary_events": "16", "summary_time": "86400"}
"""A user's summary is made after every exchange, or after the 16th; the default is the eighth."""


@dataclass(frozen=True, slots=True)
class Length:
    """How much is measured.

    `bursts` of each side, in turn; `batches` of the old conversation; `rounds` with summaries, each
    of `sets` sets of conversations.
    """

    bursts: int
    batches: int
    rounds: int
    sets: int

    @classmethod
    def of(cls, quick: bool) -> "Length":
        """The length of a quick run or of a full one."""
        return cls(2, 4, 2, 1) if quick else cls(3, 6, 3, 2)


class Process(Protocol):
    """A process whose CPU time is known."""

    @property
    def cpu(self) -> float:
        """Seconds of CPU used so far."""


@dataclass(frozen=True, slots=True)
class Side:
    """One side: the client that sends the turns, where to, and the process that runs them."""

    client: Client
    url: str
    process: Process

    def burst(self, order: Order) -> "Measured":
        """Runs a burst on this side."""
        before = self.process.cpu
        burst = self.client.burst(replace(order, url=self.url))
        return Measured(burst, (self.process.cpu - before) / burst.turns)


@dataclass(frozen=True, slots=True)
class Measured:
    """A burst, and the seconds of CPU per turn."""

    burst: Burst
    cpu: float


def measure(quick: bool) -> Iterator[Row]:
    """All rows with a model server, on the embedded runtime; none, with a note, without it."""
    if skipped():
        return
    length = Length.of(quick)
    with aimock() as url, client() as load:
        with client(DIRECT, url) as calls:
            yield from _overheads(url, load, Side(calls, "", calls), length)
        with _asking(url) as ours:
            talk = long.Length(OLD, BUILDERS, length.batches, TIME)
            yield long.compared(ours, load, talk, "with a tool, ")
        yield from _beside_summaries(url, load, length)


def skipped() -> bool:
    """Prints why there is no model server, if there is none; true in that case."""
    reason = missing()
    if reason is not None:
        print(f"skipped, there is no mock model server: {reason}", file=sys.stderr)
    return reason is not None


def begin(order: Order, *sides: Side) -> None:
    """Runs the first turns of an order's conversations."""
    for side in sides:
        side.burst(replace(order, seconds=0.0, turns=FIRST * order.users, content=AT_ONCE))


def compared(what: Row, ours: Side, direct: Side, order: Order, bursts: int) -> Row:
    """Alternates service and SDK; `what` brings the row's name and target."""
    pairs = [(ours.burst(order), direct.burst(order)) for _ in range(bursts)]
    whole, alone = (_merged([each.burst for each in side]) for side in zip(*pairs, strict=True))
    share = median(a.burst.rate / b.burst.rate for a, b in pairs)
    over = median(a.burst.p50 - b.burst.p50 for a, b in pairs) * 1e3
    cpu = median(a.cpu - b.cpu for a, b in pairs) * 1e3
    return replace(
        what,
        measured=f"{whole.rate:,.0f}/s, p50 {whole.p50 * 1e3:.1f} ms, p99 {whole.p99 * 1e3:.1f} ms",
        ratio=f"{share:.2f} of the SDK alone ({alone.rate:,.0f}/s, p50 {alone.p50 * 1e3:.1f} ms),"
        f" p50 {over:+.1f} ms, CPU {cpu:+.1f} ms",
    )


def _merged(bursts: Sequence[Burst]) -> Burst:
    """The turns of all bursts; one burst can be too short for a p99."""
    latencies = sorted(latency for burst in bursts for latency in burst.latencies)
    rate = median(burst.rate for burst in bursts)
    return Burst(rate, latencies, sum(burst.turns for burst in bursts), 0)


def _asking(url: str, **settings: str) -> AbstractContextManager[Served]:
    """The service on that model server; settings are named without `AGENT_ACTORS_`."""
    named = asking(url) | settings
    return service(**{f"AGENT_ACTORS_{name.upper()}": value for name, value in named.items()})


def _overheads(url: str, load: Client, direct: Side, length: Length) -> Iterator[Row]:
    with _asking(url) as plain:
        ours = Side(load, plain.url, plain)
        for users, seconds in SECONDS.items():
            named = f"{users} user{'s' * (users > 1)}"
            target = "p50 at most +2 ms" if users == 1 else ""
            order = Order("", f"users{users}", users, seconds, warm=WARM)
            begin(order, ours, direct)
            what = Row(f"over the model, at once, {named}", "", "", target)
            yield compared(what, ours, direct, order, length.bursts)
            what = Row(f"over the model, after {LATE}, {named}", "", "", target)
            yield compared(what, ours, direct, replace(order, content=LATER), length.bursts)
    with _asking(url, parking_time=str(PARKING_TIME)) as parking:
        ours = Side(load, parking.url, parking)
        order = Order("", "parked", 1, SECONDS[1], warm=WARM, content=LATER)
        begin(order, ours, direct)
        what = Row(f"over the model, parked, after {LATE}, 1 user", "", "", "p50 at most +60 ms")
        yield compared(what, ours, direct, order, length.bursts)


def _beside_summaries(url: str, load: Client, length: Length) -> Iterator[Row]:
    """Turns while summaries are made, against turns of a process that makes none."""
    with _asking(url) as usual, _asking(url, **EACH) as eager, _asking(url, **NEVER) as idle:
        for making, what, content, target in (
            (usual, "at once", AT_ONCE, "≤ 1.2 in p99"),
            (usual, f"after {LATE}", LATER, "≤ 1.2 in p99"),
            (eager, "each exchange, at once", AT_ONCE, ""),
        ):
            name = what.replace(" ", "").replace(",", "")
            talk = Order("", name, TALKERS, turns=TURNS * TALKERS, content=content)
            rounds = [
                [_talk(load, each, talk, range(n, n + length.sets)) for each in (making, idle)]
                for n in range(0, length.rounds * length.sets, length.sets)
            ]
            named = f"turns while summaries are made, {what}, {TALKERS} users"
            yield _slower(Row(named, "", "", target), rounds)


def _slower(what: Row, rounds: list[list[Burst]]) -> Row:
    """`what` brings the row's name and target."""
    with_them, without = (_merged(side) for side in zip(*rounds, strict=True))
    return replace(
        what,
        measured=f"p99 {with_them.p99 * 1e3:.1f} ms against {without.p99 * 1e3:.1f} ms without",
        ratio=f"{median(a.p99 / b.p99 for a, b in rounds):.2f} in p99,"
        f" {median(a.p50 / b.p50 for a, b in rounds):.2f} in p50",
    )


def _talk(load: Client, ours: Served, talk: Order, sets: range) -> Burst:
    """Runs the sets of conversations, and waits until the service is idle."""
    measured = []
    for number in sets:
        order = replace(talk, url=ours.url, name=f"{talk.name}{number}")
        load.burst(replace(order, turns=WAKING * TALKERS))
        measured.append(load.burst(order))
    wait_idle(ours)
    return _merged(measured)
