"""How long each fault was felt: collected while tests run, shown as one table after them."""

import sys
from collections import Counter
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import pytest


@dataclass
class Fault:
    """What became of one kind of fault."""

    seconds: list[float] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)
    turns: int = 0


faults: dict[str, Fault] = {}


def recovered(fault: str, seconds: float) -> None:
    """Notes one recovery, and prints it."""
    faults.setdefault(fault, Fault()).seconds.append(seconds)
    sys.stdout.write(f"recovery: {fault}: {seconds:.1f} s\n")


def felt(fault: str, seen: Counter[str], turns: int) -> None:
    """Notes what callers got meanwhile, and how many of their turns were checked."""
    noted = faults.setdefault(fault, Fault())
    noted.seen.update(seen)
    noted.turns += turns


def told() -> dict[str, Any]:
    """All of it, in the form in which a worker of pytest-xdist can tell it."""
    return {name: [fault.seconds, dict(fault.seen), fault.turns] for name, fault in faults.items()}


def take(told: dict[str, Any]) -> None:
    """Adds what a worker has told."""
    for name, (seconds, seen, turns) in told.items():
        felt(name, Counter(seen), turns)
        faults[name].seconds += seconds


def write(reporter: pytest.TerminalReporter) -> None:
    """The table, for docs/guarantees.md."""
    if not faults:
        return
    reporter.section("recovery from faults", sep="-")
    reporter.line("| fault | times | median s | longest s | turns | callers got |")
    reporter.line("|---|---|---|---|---|---|")
    for name, fault in faults.items():
        times = fault.seconds
        told = f"{median(times):.1f} | {max(times):.1f}" if times else "- | -"
        seen = ", ".join(f"{what} {number}" for what, number in fault.seen.most_common())
        reporter.line(f"| {name} | {len(times)} | {told} | {fault.turns} | {seen} |")
