"""How late the event loop runs a timer under load, in the service and in the floor."""

import json
import os
import signal
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.load import Client, Order
from bench.load import client as load_client
from bench.process import beside
from bench.table import Row

USERS = (1, 64)
WARM = 2.0
"""Seconds before the probe starts: first turns activate actors and run late imports."""
TARGETS = {1: "a few ms"}


@dataclass(frozen=True, slots=True)
class Lateness:
    """Lateness of the probe's timer in seconds, sorted."""

    sorted: list[float]

    @property
    def longest(self) -> float:
        """The latest tick, in milliseconds."""
        return self.sorted[-1] * 1e3

    @property
    def p999(self) -> float:
        """The lateness that one tick in a thousand exceeds, in milliseconds."""
        return self.sorted[-1 - len(self.sorted) // 1000] * 1e3


def measure(quick: bool) -> Iterator[Row]:
    """With one user a tick waits for single steps of a turn; with many, for the steps in line."""
    seconds = 3.0 if quick else 10.0
    with load_client() as load:
        for users in USERS:
            ours, floor = (_late(load, app, users, seconds) for app in ("service", "floor"))
            yield Row(
                f"event loop late, {users} user{'s' * (users > 1)}",
                f"longest {ours.longest:.1f} ms, p99.9 {ours.p999:.1f} ms",
                f"{ours.p999 / floor.p999:.1f} of the floor's p99.9"
                f" ({floor.p999:.1f} ms, longest {floor.longest:.1f} ms)",
                TARGETS.get(users, ""),
            )


def _late(load: Client, app: str, users: int, seconds: float) -> Lateness:
    with tempfile.TemporaryDirectory(prefix="agent-actors-bench-") as data:
        report = Path(data, "late.json")
        with beside("bench.probe", app, data, str(report)) as probed:
            load.burst(Order(probed.url, "probed", users, WARM))
            os.kill(probed.pid, signal.SIGUSR1)
            load.burst(Order(probed.url, "probed", users, seconds))
        return Lateness(sorted(json.loads(report.read_text(encoding="utf-8"))))
