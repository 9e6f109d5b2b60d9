"""What turn 10,000 of a conversation costs against turn 10 (I7)."""

from collections.abc import Iterator
from statistics import median

from bench.load import Client, Order, client
from bench.process import Served, service
from bench.table import Row

TARGET = 1.2
BATCH = 50
"""Turns of a batch: 11 to 60 of a young conversation, and as many of the old one."""
ROUNDS = 20
BUILDERS = 8
"""Users who lengthen the old conversation together."""


def measure(quick: bool) -> Iterator[Row]:
    """Batches of a young and of the old conversation in turn."""
    length = 1_000 if quick else 10_000
    with service() as ours, client() as load:
        load.burst(Order(ours.url, "old", BUILDERS, turns=length, shared=True))
        rounds = [_round(load, ours, number) for number in range(ROUNDS // (1 + quick))]
    (young, young_cpu), (old, old_cpu) = (
        [median(values) for values in zip(*each, strict=True)] for each in zip(*rounds, strict=True)
    )
    yield Row(
        f"turn {length:,} against turn 10",
        f"p50 {old * 1e3:.2f} ms against {young * 1e3:.2f} ms",
        f"{old / young:.2f} in latency, {old_cpu / young_cpu:.2f} in CPU",
        f"≤ {TARGET}",
    )


def _round(
    load: Client, ours: Served, number: int
) -> tuple[tuple[float, float], tuple[float, float]]:
    young = f"young{number}"
    load.burst(Order(ours.url, young, 1, turns=10, shared=True))
    return _batch(load, ours, young), _batch(load, ours, "old")


def _batch(load: Client, ours: Served, name: str) -> tuple[float, float]:
    """Median latency of a batch, and CPU of the service per turn."""
    before = ours.cpu
    burst = load.burst(Order(ours.url, name, 1, turns=BATCH, shared=True))
    return burst.p50, (ours.cpu - before) / BATCH
