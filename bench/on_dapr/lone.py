"""The cost of a conversation of one turn: its actors are activated, its reminder comes and goes."""

import time
from collections.abc import Iterator

from bench.load import Client, Order
from bench.on_dapr.cluster import SERVICE, Cluster, Cost, Dapr
from bench.process import cpu_of
from bench.table import Row

PERIOD = 2.0
"""The recovery period, so that reminders fire and unregister themselves within the measurement."""


def measure(dapr: Dapr, load: Client, quick: bool) -> Iterator[Row]:
    """As many turns in conversations of one turn as in a single conversation."""
    number = 60 if quick else 300
    with dapr.hosting(SERVICE.having(recovery_period=PERIOD)) as ours:
        load.burst(Order(ours.url, "warm", 1, turns=number))
        alone, scheduler = _cost(load, ours, Order(ours.url, "lone", 1, turns=number, fresh=True))
        among, _ = _cost(load, ours, Order(ours.url, "among", 1, turns=number))
    lone, other = alone.app + alone.daprd, among.app + among.daprd
    yield Row(
        "Dapr, CPU of a lone turn",
        f"app {alone.app:.2f} ms, daprd {alone.daprd:.2f} ms, scheduler {scheduler:.2f} ms",
        f"{lone / other:.2f} of one among others ({among.app:.2f} and {among.daprd:.2f} ms)",
        "",
    )


def _cost(load: Client, ours: Cluster, order: Order) -> tuple[Cost, float]:
    """Milliseconds of CPU per turn with its events and reminders, and those of the scheduler."""
    scheduler = ours.dapr.plane.scheduler.pid
    before, began = ours.cost, cpu_of(scheduler)
    turns = load.burst(order).turns
    time.sleep(2 * PERIOD)
    ours.wait_idle()
    return ours.cost.of_each(before, turns), (cpu_of(scheduler) - began) / turns * 1e3
