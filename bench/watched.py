"""The cost of observability: traces sent to a collector, and a scrape of the metrics.

Counting cannot be switched off; its cost is in every row of the other measurements.
"""

import http.client
import time
from collections.abc import Iterator, Mapping
from statistics import median

from bench.load import Order, client
from bench.models import Measured, Side
from bench.process import HOST, PATIENCE, Served, beside, service
from bench.table import Row
from bench.turns import Length

USERS = (1, 16)
TENTH = {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.1"}
TRACED: Mapping[str, Mapping[str, str]] = {"all traced": {}, "a tenth traced": TENTH}
SCRAPES = 50


def measure(quick: bool) -> Iterator[Row]:
    """Tracing on against off, then a scrape of a service that was used."""
    length = Length(3, 1.0) if quick else Length(5, 2.0)
    with service() as plain, beside("bench.sink") as collector, client() as load:
        off = Side(load, plain.url, plain)
        for what, sampling in TRACED.items():
            exporting = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, **sampling}
            with service(**exporting) as watched:
                yield from _traced(what, Side(load, watched.url, watched), off, length)
        yield _scraped(plain)


def _traced(what: str, traced: Side, off: Side, length: Length) -> Iterator[Row]:
    for users in USERS:
        order = Order("", f"{what.replace(' ', '')}{users}", users, length.seconds, warm=0.5)
        pairs = [(traced.burst(order), off.burst(order)) for _ in range(length.bursts)]
        yield _compared(f"{what}, {users} user{'s' * (users > 1)}", pairs)


def _compared(what: str, pairs: list[tuple[Measured, Measured]]) -> Row:
    on, off = zip(*pairs, strict=True)
    rate, p50 = (median(getattr(each.burst, name) for each in on) for name in ("rate", "p50"))
    share = median(a.burst.rate / b.burst.rate for a, b in pairs)
    over = median(a.burst.p50 - b.burst.p50 for a, b in pairs) * 1e3
    cpu = median(a.cpu - b.cpu for a, b in pairs) * 1e3
    without = median(each.burst.rate for each in off)
    return Row(
        what,
        f"{rate:,.0f}/s, p50 {p50 * 1e3:.1f} ms",
        f"{share:.2f} of none traced ({without:,.0f}/s), p50 {over:+.1f} ms, CPU {cpu:+.2f} ms",
        "",
    )


def _scraped(ours: Served) -> Row:
    """Scrapes one after the other; the event loop that runs turns also answers them."""
    before, times, size = ours.cpu, [], 0
    for _ in range(SCRAPES):
        began = time.perf_counter()
        size = len(_metrics(ours))
        times.append(time.perf_counter() - began)
    cpu = (ours.cpu - before) / SCRAPES
    return Row(
        "a scrape of `/metrics`",
        f"p50 {median(times) * 1e3:.1f} ms, {size / 1024:.0f} KiB",
        f"CPU {cpu * 1e3:.1f} ms: {cpu / 15:.2%} of a CPU, asked each 15 s",
        "",
    )


def _metrics(ours: Served) -> bytes:
    connection = http.client.HTTPConnection(
        HOST, int(ours.url.rpartition(":")[2]), timeout=PATIENCE
    )
    try:
        connection.request("GET", "/metrics")
        return connection.getresponse().read()
    finally:
        connection.close()
