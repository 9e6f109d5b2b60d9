"""Turns per second over HTTP, against a floor whose turns do nothing."""

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from bench.load import Burst, Client, Order, client
from bench.process import Served, beside, service
from bench.table import Row

USERS = (1, 16, 64)
TARGETS = {1: "p50 at most +2 ms", 64: "ten times the lesson on Dapr"}


@dataclass(frozen=True, slots=True)
class Length:
    """How many bursts are measured for each app, and how many seconds each lasts."""

    bursts: int
    seconds: float


def measure(quick: bool) -> Iterator[Row]:
    """Alternates bursts of the service and the floor, for each number of users."""
    length = Length(3, 1.0) if quick else Length(5, 3.0)
    with service() as ours, beside("bench.floor") as floor, client() as load:
        for users in USERS:
            yield _compared(users, _bursts(load, ours, floor, users, length))


def _bursts(
    load: Client, ours: Served, floor: Served, users: int, length: Length
) -> list[tuple[Burst, Burst]]:
    """Pairs of bursts, one right after the other, since the machine's speed changes."""
    orders = [
        Order(each.url, f"turns{users}", users, length.seconds, warm=0.5) for each in (ours, floor)
    ]
    return [(load.burst(orders[0]), load.burst(orders[1])) for _ in range(length.bursts)]


def _compared(users: int, pairs: list[tuple[Burst, Burst]]) -> Row:
    ours, floor = (list(each) for each in zip(*pairs, strict=True))
    rate, most = (median(burst.rate for burst in each) for each in (ours, floor))
    p50, p99 = (median(getattr(burst, name) for burst in ours) * 1e3 for name in ("p50", "p99"))
    share = median(a.rate / b.rate for a, b in pairs)
    over = median(a.p50 - b.p50 for a, b in pairs) * 1e3
    return Row(
        f"turns/s, {users} user{'s' * (users > 1)}",
        f"{rate:,.0f}/s, p50 {p50:.1f} ms, p99 {p99:.1f} ms",
        f"{share:.2f} of the floor ({most:,.0f}/s), p50 {over:+.1f} ms",
        TARGETS.get(users, ""),
    )
