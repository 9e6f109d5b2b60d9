"""The time that the service adds to a model's own, as `bench.models` measures it."""

from collections.abc import Iterator

from bench import models
from bench.aimock import aimock, asking
from bench.load import Client, Order, client
from bench.on_dapr.cluster import SERVICE, Dapr
from bench.table import Row

LONG = 3_600
"""Seconds of a recovery period that is longer than the run."""


def measure(dapr: Dapr, load: Client, quick: bool) -> Iterator[Row]:
    """One user, with a model that answers at once; no row, with a note, without it."""
    if models.skipped():
        return
    bursts, seconds = (3, 1.0) if quick else (5, 2.5)
    with (
        aimock() as url,
        client(models.DIRECT, url) as calls,
        dapr.hosting(SERVICE.having(**asking(url), recovery_period=LONG)) as hosted,
    ):
        ours, direct = models.Side(load, hosted.url, hosted), models.Side(calls, "", calls)
        order = Order("", "models", 1, seconds, warm=models.WARM)
        models.begin(order, ours, direct)
        what = Row("Dapr, over the model, at once, 1 user", "", "", "p50 at most +9 ms")
        yield models.compared(what, ours, direct, order, bursts)
