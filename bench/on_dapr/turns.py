"""Turns per second with a sidecar: bursts of the service, the floor and the lesson in turn.

Each burst has new conversations, which is best for the lesson: its turns grow with them. Their
first turns, which activate actors, are not counted. The service's recovery period is longer than
the run, or its reminders, half a minute after a first turn, would fall into the bursts of the
others. `lone` measures their cost.
"""

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from statistics import median

from bench.load import Burst, Client, Order
from bench.on_dapr.cluster import FLOOR, LESSON, LESSON_CODE, SERVICE, App, Cluster, Cost, Dapr
from bench.table import Row

USERS = (1, 16, 64)
TARGETS = {
    1: "p50 ≤ 9 ms; ≥ 1.8 of the lesson",
    16: "≥ 0.80 of the floor, ≥ 2.5 of the lesson",
    64: "≥ 0.80 of the floor, ≥ 2.5 of the lesson",
}
WARM = 0.3
FIRST = 2
"""Turns of a conversation, about, that activate its actors before the burst."""
LONG = 3_600


@dataclass(frozen=True, slots=True)
class Measured:
    """A burst, the cost of a turn with its event, and the seconds until its last event was done."""

    burst: Burst
    cost: Cost
    events_after: float


Round = dict[str, Measured]
"""One burst of each app, by its name."""


def measure(dapr: Dapr, load: Client, quick: bool) -> Iterator[Row]:
    """One run for each number of users."""
    rounds, seconds = (3, 1.0) if quick else (5, 2.5)
    with ExitStack() as started:
        running = [started.enter_context(dapr.hosting(app)) for app in _apps()]
        for users in USERS:
            orders = [Order("", f"t{users}-{n}", users, seconds, warm=WARM) for n in range(rounds)]
            measured = [_round(load, running, order) for order in orders]
            yield _compared(users, measured)
            yield _costs(users, measured)


def _apps() -> Iterator[App]:
    yield SERVICE.having(recovery_period=LONG)
    yield FLOOR
    if LESSON_CODE.is_file():
        yield LESSON
    else:
        print("  without the lesson: BENCH_LESSON_CODE names no file", file=sys.stderr)


def _round(load: Client, running: list[Cluster], order: Order) -> Round:
    return {each.app.name: _burst(load, each, order) for each in running}


def _burst(load: Client, cluster: Cluster, order: Order) -> Measured:
    order = replace(order, url=cluster.url)
    load.burst(replace(order, seconds=0.0, turns=FIRST * order.users))
    cluster.wait_idle()
    before = cluster.cost
    burst = load.burst(order)
    events_after = cluster.wait_idle()
    return Measured(burst, cluster.cost.of_each(before, burst.turns), events_after)


def _compared(users: int, rounds: list[Round]) -> Row:
    ours = [each["service"].burst for each in rounds]
    rate, p50, p99 = (median(getattr(burst, name) for burst in ours) for name in _SHOWN)
    return Row(
        f"Dapr, turns/s, {_named(users)}",
        f"{rate:,.0f}/s, p50 {p50 * 1e3:.1f} ms, p99 {p99 * 1e3:.1f} ms",
        ", ".join(_share(rounds, name) for name in rounds[0] if name != "service"),
        TARGETS[users],
    )


_SHOWN = ("rate", "p50", "p99")


def _share(rounds: list[Round], name: str) -> str:
    share = median(each["service"].burst.rate / each[name].burst.rate for each in rounds)
    return f"{share:.2f} of the {name} ({median(each[name].burst.rate for each in rounds):,.0f}/s)"


def _costs(users: int, rounds: list[Round]) -> Row:
    ours, floor = (_described([each[name] for each in rounds]) for name in ("service", "floor"))
    return Row(f"Dapr, CPU of a turn, {_named(users)}", ours, f"floor: {floor}", "")


def _described(measured: list[Measured]) -> str:
    cost = _median([each.cost for each in measured])
    events_after = median(each.events_after for each in measured)
    return (
        f"app {cost.app:.2f} ms, daprd {cost.daprd:.2f} ms, Redis {cost.redis:.2f} ms;"
        f" events done {events_after:.1f} s after"
    )


def _median(costs: list[Cost]) -> Cost:
    return Cost(*(median(getattr(each, name) for each in costs) for name in Cost.__slots__))


def _named(users: int) -> str:
    return f"{users} user{'s' * (users > 1)}"
