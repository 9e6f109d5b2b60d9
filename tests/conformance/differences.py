"""The table of `differences.md`: what real Dapr does not do as the embedded runtime does it."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.conformance.harness import Harness

_TABLE = Path(__file__).with_suffix(".md")


@dataclass(frozen=True)
class Difference:
    """A row of the table: its name, the test that asserts it, and what is said of it."""

    name: str
    test: str
    said: tuple[str, ...]


def differs(runtime: Harness, name: str) -> bool:
    """Is this the runtime that differs there?

    Raises:
        LookupError: No row has that name.
    """
    if name not in differences():
        raise LookupError(f"{_TABLE.name} has no row {name!r}.")
    return runtime.name == "dapr"


@cache
def differences() -> dict[str, Difference]:
    """Every row, by its name."""
    rows = [line.strip("| ") for line in _TABLE.read_text().splitlines() if line.startswith("| `")]
    cells = [[cell.strip() for cell in row.split(" | ")] for row in rows]
    found = [
        Difference(name.strip("`"), test.strip("`"), tuple(said)) for name, test, *said in cells
    ]
    return {each.name: each for each in found}
