"""The cost of turn 10,000 of a conversation against turn 10, as `bench.long` measures it."""

from collections.abc import Iterator

from bench import long
from bench.load import Client
from bench.on_dapr.cluster import SERVICE, Dapr
from bench.table import Row


def measure(dapr: Dapr, load: Client, quick: bool) -> Iterator[Row]:
    """One user builds the old conversation: on Dapr, several would park each other's turns."""
    with dapr.hosting(SERVICE) as ours:
        yield long.compared(ours, load, long.Length.of(quick, builders=1), "Dapr, ")
