"""Resident memory after many conversations had a turn and are idle again."""

import time
from collections.abc import Iterator

from bench.load import Client, Order, client
from bench.process import Served, service, wait_idle
from bench.table import Row

MIB = 2**20
USERS = 64
IDLE = {"AGENT_ACTORS_IDLE_TIMEOUT": "2", "AGENT_ACTORS_RECOVERY_PERIOD": "4"}
"""Actors are deactivated, and reminders unregister themselves, within the benchmark."""
LEAST = 8.0
"""Seconds after which both have happened for the last conversation."""


def measure(quick: bool) -> Iterator[Row]:
    """Two rounds of conversations of one turn each; the second should need no more memory."""
    number = 2_000 if quick else 10_000
    with service(**IDLE) as ours, client() as load:
        load.burst(Order(ours.url, "warm", USERS, turns=1_000))
        before = ours.resident
        loaded, first = _round(load, ours, "first", number)
        _, second = _round(load, ours, "second", number)
    yield Row(
        f"memory, {number:,} conversations touched",
        f"{before / MIB:.0f} MiB before, {loaded / MIB:.0f} at the end of the load,"
        f" {first / MIB:.0f} idle again",
        f"{first / before:.2f} idle again against before",
        "not resident after the idle timeout",
    )
    yield Row(
        f"memory, {number:,} others touched",
        f"{second / MIB:.0f} MiB idle again",
        f"{second / first:.2f} against the first round",
        "flat: about 1",
    )


def _round(load: Client, ours: Served, name: str, number: int) -> tuple[int, int]:
    """Resident bytes at the end of the load, and when everything is idle again."""
    load.burst(Order(ours.url, name, USERS, turns=number, fresh=True))
    loaded = ours.resident
    time.sleep(LEAST)
    wait_idle(ours)
    return loaded, ours.resident
