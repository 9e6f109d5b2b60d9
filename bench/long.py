"""The cost of turn 10,000 of a conversation against turn 10 (I7)."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from statistics import median
from typing import Protocol

from bench.load import Client, Order, client
from bench.process import MESSAGE, service
from bench.table import Row

TARGET = 1.2
BATCH = 50
"""Turns of a batch: turns 11 to 60 of a young conversation, and as many of the old one."""
BUILDERS = 8
"""How many users build the old conversation."""


class Measurable(Protocol):
    """A service whose CPU time is known."""

    @property
    def url(self) -> str:
        """Where it answers `POST /chat/{id}`."""

    @property
    def cpu(self) -> float:
        """Seconds of CPU used so far."""


@dataclass(frozen=True, slots=True)
class Length:
    """Turns of the old conversation, users who build it, and how many batches are compared.

    `content` is the text of each message.
    """

    turns: int
    builders: int
    rounds: int
    content: str = MESSAGE["content"]

    @classmethod
    def of(cls, quick: bool, builders: int) -> "Length":
        """The length of a quick run or of a full one."""
        return cls(1_000, builders, 10) if quick else cls(10_000, builders, 20)


def measure(quick: bool) -> Iterator[Row]:
    """The embedded runtime."""
    with service() as ours, client() as load:
        yield compared(ours, load, Length.of(quick, BUILDERS))


def compared(ours: Measurable, load: Client, length: Length, on: str = "") -> Row:
    """Alternates batches of young conversations and of the old one."""
    talk = Order(ours.url, "old", 1, turns=BATCH, shared=True, content=length.content)
    load.burst(replace(talk, users=length.builders, turns=length.turns))
    rounds = [_round(load, ours, talk, number) for number in range(length.rounds)]
    (young, young_cpu), (old, old_cpu) = (
        [median(values) for values in zip(*each, strict=True)] for each in zip(*rounds, strict=True)
    )
    return Row(
        f"{on}turn {length.turns:,} against turn 10",
        f"p50 {old * 1e3:.2f} ms against {young * 1e3:.2f} ms",
        f"{old / young:.2f} in latency, {old_cpu / young_cpu:.2f} in CPU",
        f"≤ {TARGET}",
    )


def _round(
    load: Client, ours: Measurable, talk: Order, number: int
) -> tuple[tuple[float, float], tuple[float, float]]:
    young = replace(talk, name=f"young{number}")
    load.burst(replace(young, turns=10))
    return _batch(load, ours, young), _batch(load, ours, talk)


def _batch(load: Client, ours: Measurable, order: Order) -> tuple[float, float]:
    """Median latency of a batch, and CPU per turn."""
    before = ours.cpu
    burst = load.burst(order)
    return burst.p50, (ours.cpu - before) / order.turns
