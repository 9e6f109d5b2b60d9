"""What the service adds to a real model's own time: the Agents SDK asks aimock, on both sides.

One side is the service over HTTP; the other calls the SDK directly, with the same agent, the same
window and the same server. With many users both have more to do than a processor can: there the
share in turns/s says more than the difference in latency.
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
from bench.process import Served, service, until_calm
from bench.table import Row

SECONDS = {1: 2.0, 16: 1.6, 64: 2.4}
"""Of a burst, by its users: 64 who begin at once also end at once, so it must have several ends."""
DIRECT = "bench.direct"
FIRST = 8
"""Turns of a conversation that fill the model's window, before anything is measured."""
WARM = 0.2
LATE = f"{DELAY * 1e3:.0f} ms"
PARKING_TIME = 0.1
"""Seconds, which `LATER` outlasts: each of its turns is parked."""
OLD, BUILDERS = 1_000, 8
"""Turns of the old conversation, each of which uses a tool, and who says them."""

TALKERS, WAKING, TURNS = 16, 2, 8
"""Users beside whom summaries are made, the first turns of each, and those that are measured.

Together too few for the model's window to overflow, or for a user of `NEVER` to reach 16 exchanges.
"""
EACH = {"summary_events": "1"}
NEVER = {"summary_events": "16", "summary_time": "86400"}
"""A user is summed up after every exchange, or after the 16th; by default after each eighth."""


@dataclass(frozen=True, slots=True)
class Length:
    """How much is measured.

    `bursts` of each side in turn; `batches` of the old conversation; `rounds` beside summaries,
    each of so many `sets` of conversations.
    """

    bursts: int
    batches: int
    rounds: int
    sets: int

    @classmethod
    def of(cls, quick: bool) -> "Length":
        """That of a quick run, or of a whole one."""
        return cls(2, 4, 2, 1) if quick else cls(3, 6, 3, 2)


class Process(Protocol):
    """What uses CPU."""

    @property
    def cpu(self) -> float:
        """Seconds of CPU used so far."""


@dataclass(frozen=True, slots=True)
class Side:
    """Who takes turns: whom to order them from, where they are asked for, and what works."""

    client: Client
    url: str
    process: Process

    def burst(self, order: Order) -> "Measured":
        """Turns by this side."""
        before = self.process.cpu
        burst = self.client.burst(replace(order, url=self.url))
        return Measured(burst, (self.process.cpu - before) / burst.turns)


@dataclass(frozen=True, slots=True)
class Measured:
    """A burst, and seconds of CPU that a turn of it took."""

    burst: Burst
    cpu: float


def measure(quick: bool) -> Iterator[Row]:
    """All with a real model, on the embedded runtime; nothing, with a note, without its server."""
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
    """Is there no server for a model? Then a line says why."""
    reason = missing()
    if reason is not None:
        print(f"skipped, there is no scripted model: {reason}", file=sys.stderr)
    return reason is not None


def begin(order: Order, *sides: Side) -> None:
    """Has the first turns of an order's conversations said."""
    for side in sides:
        side.burst(replace(order, seconds=0.0, turns=FIRST * order.users, says=AT_ONCE))


def compared(what: Row, ours: Side, direct: Side, order: Order, bursts: int) -> Row:
    """The service and the SDK in turn; the row has its name and its target."""
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
    """All their turns; a burst alone can be too short for a p99."""
    latencies = sorted(latency for burst in bursts for latency in burst.latencies)
    rate = median(burst.rate for burst in bursts)
    return Burst(rate, latencies, sum(burst.turns for burst in bursts), 0)


def _asking(url: str, **settings: str) -> AbstractContextManager[Served]:
    """The service with that model's server; settings are named without `AGENT_ACTORS_`."""
    given = asking(url) | settings
    return service(**{f"AGENT_ACTORS_{name.upper()}": value for name, value in given.items()})


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
            yield compared(what, ours, direct, replace(order, says=LATER), length.bursts)
    with _asking(url, parking_time=str(PARKING_TIME)) as parking:
        ours = Side(load, parking.url, parking)
        order = Order("", "parked", 1, SECONDS[1], warm=WARM, says=LATER)
        begin(order, ours, direct)
        what = Row(f"over the model, parked, after {LATE}, 1 user", "", "", "p50 at most +60 ms")
        yield compared(what, ours, direct, order, length.bursts)


def _beside_summaries(url: str, load: Client, length: Length) -> Iterator[Row]:
    """Turns while summaries are made, against turns of another process that makes none."""
    with _asking(url) as usual, _asking(url, **EACH) as eager, _asking(url, **NEVER) as idle:
        for making, what, says, target in (
            (usual, "at once", AT_ONCE, "≤ 1.2 in p99"),
            (usual, f"after {LATE}", LATER, "≤ 1.2 in p99"),
            (eager, "each exchange, at once", AT_ONCE, ""),
        ):
            name = what.replace(" ", "").replace(",", "")
            talk = Order("", name, TALKERS, turns=TURNS * TALKERS, says=says)
            rounds = [
                [_talk(load, each, talk, range(n, n + length.sets)) for each in (making, idle)]
                for n in range(0, length.rounds * length.sets, length.sets)
            ]
            named = f"turns while summaries are made, {what}, {TALKERS} users"
            yield _slower(Row(named, "", "", target), rounds)


def _slower(what: Row, rounds: list[list[Burst]]) -> Row:
    """The row has its name and its target."""
    with_them, without = (_merged(side) for side in zip(*rounds, strict=True))
    return replace(
        what,
        measured=f"p99 {with_them.p99 * 1e3:.1f} ms against {without.p99 * 1e3:.1f} ms without",
        ratio=f"{median(a.p99 / b.p99 for a, b in rounds):.2f} in p99,"
        f" {median(a.p50 / b.p50 for a, b in rounds):.2f} in p50",
    )


def _talk(load: Client, ours: Served, talk: Order, sets: range) -> Burst:
    """Conversations, one set after the other; what they leave is done when this returns."""
    measured = []
    for number in sets:
        order = replace(talk, url=ours.url, name=f"{talk.name}{number}")
        load.burst(replace(order, turns=WAKING * TALKERS))
        measured.append(load.burst(order))
    until_calm(ours)
    return _merged(measured)
