"""The cost of a turn that runs as a workflow, against the same turn without one."""

from collections.abc import Iterator
from dataclasses import replace
from statistics import median

from bench.load import Burst, Client, Order
from bench.on_dapr.cluster import SERVICE, Cluster, Dapr
from bench.table import Row

USERS = (1, 16)
FIRST = 2
"""Turns of a session, about, that activate its actors before the burst."""
LONG = 3_600


def measure(dapr: Dapr, load: Client, quick: bool) -> Iterator[Row]:
    """`POST /chat/` on two services that differ in one setting."""
    rounds, seconds = (3, 2.0) if quick else (5, 5.0)
    ours = SERVICE.having(recovery_period=LONG)
    workflow = ours.having(orchestration="workflow")
    with dapr.hosting(ours) as ordinary, dapr.hosting(workflow) as workflows:
        for users in USERS:
            orders = [
                Order("", f"w{users}-{n}", users, seconds, sessions=True) for n in range(rounds)
            ]
            pairs = [
                (_burst(load, ordinary, each), _burst(load, workflows, each)) for each in orders
            ]
            yield _compared(users, pairs)


def _burst(load: Client, cluster: Cluster, order: Order) -> Burst:
    order = replace(order, url=cluster.url)
    load.burst(replace(order, seconds=0.0, turns=FIRST * order.users))
    cluster.wait_idle()
    burst = load.burst(order)
    cluster.wait_idle()
    return burst


def _compared(users: int, pairs: list[tuple[Burst, Burst]]) -> Row:
    ordinary, workflow = (median(each[n].p50 for each in pairs) for n in (0, 1))
    times = median(b.p50 / a.p50 for a, b in pairs)
    named = f"{users} user{'s' * (users > 1)}"
    return Row(
        f"Dapr, turn by a workflow, {named}",
        f"p50 {workflow * 1e3:.1f} ms, p99 {median(b.p99 for _, b in pairs) * 1e3:.1f} ms",
        f"{times:.1f} times the ordinary turn (p50 {ordinary * 1e3:.1f} ms)",
        "",
    )
