"""This version against another one: turns per second and CPU of a turn, side by side.

`BENCH_BEFORE` names a checkout of the other version. Both run on this environment's packages, each
from its own `src`. Bursts alternate, and so does which of the two goes first.
"""

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median

from agent_actors.engine import binaries
from agent_actors.engine.ports import free_port
from agent_actors.errors import StartupError
from bench.load import Order, client
from bench.models import Measured, Side
from bench.on_dapr.cluster import SERVICE, plane
from bench.process import Served, served
from bench.table import Row

BEFORE = os.environ.get("BENCH_BEFORE")
AFTER = str(Path(__file__).parents[1])
USERS = (1, 16, 64)
FIRST = 2
"""Turns of a conversation, about, that activate its actors before the burst."""
REST = 0.3
"""Seconds after a burst in which its last events are done."""
LONG = 3_600


def measure(quick: bool) -> Iterator[Row]:
    """The embedded runtime, then Dapr if its servers are installed; no row without a checkout."""
    if BEFORE is None:
        print("skipped: BENCH_BEFORE names no checkout of another version", file=sys.stderr)
        return
    bursts = 8 if quick else 40
    with client() as load, ExitStack() as started:
        services = [started.enter_context(_embedded(root)) for root in (BEFORE, AFTER)]
        yield from _compared("", [Side(load, each.url, each) for each in services], bursts)
    try:
        found = binaries.find()
    except StartupError as error:
        print(f"skipped: {error}", file=sys.stderr)
        return
    with client() as load, plane(found) as dapr, ExitStack() as started:
        app = SERVICE.having(recovery_period=LONG)
        apps = [replace(app, settings=(*app.settings, _path(root))) for root in (BEFORE, AFTER)]
        clusters = [started.enter_context(dapr.hosting(each)) for each in apps]
        yield from _compared("Dapr, ", [Side(load, each.url, each) for each in clusters], bursts)


@contextmanager
def _embedded(root: str) -> Iterator[Served]:
    with tempfile.TemporaryDirectory(prefix="agent-actors-bench-") as data:
        port = free_port()
        command = ["-m", "agent_actors", "dev", "--port", str(port), "--data", data]
        settings = dict([_path(root), ("AGENT_ACTORS_MODEL", "echo")])
        with served(command, port, settings) as process:
            yield process


def _path(root: str) -> tuple[str, str]:
    return "PYTHONPATH", f"{root}/src"


def _compared(on: str, sides: list[Side], bursts: int) -> Iterator[Row]:
    for users in USERS:
        pairs: list[tuple[Measured, Measured]] = []
        for number in range(bursts):
            order = Order("", f"v{users}-{number}", users, 1.0, warm=0.2)
            turn = number % 2  # Whoever starts first must not always go first.
            measured = [_burst(each, order) for each in (sides[turn], sides[1 - turn])]
            pairs.append((measured[turn], measured[1 - turn]))
        before, after = zip(*pairs, strict=True)
        cpu, was = (median(each.cpu for each in side) * 1e3 for side in (after, before))
        rate, rated = (median(each.burst.rate for each in side) for side in (after, before))
        yield Row(
            f"{on}this version, {users} user{'s' * (users > 1)}",
            f"{rate:,.0f}/s, CPU {cpu:.2f} ms a turn; before {rated:,.0f}/s, {was:.2f} ms",
            f"{median(b.burst.rate / a.burst.rate for a, b in pairs):.2f} in turns/s,"
            f" {median(b.cpu / a.cpu for a, b in pairs):.2f} in CPU",
            "≥ 1.0 in turns/s",
        )


def _burst(side: Side, order: Order) -> Measured:
    side.burst(replace(order, seconds=0.0, turns=FIRST * order.users))
    time.sleep(REST)
    measured = side.burst(order)
    time.sleep(REST)
    return measured
