"""Measures the service, and prints one table: `python -m bench [--quick] [--only NAME]`.

Compare ratios within one run; times alone change with the machine and its load.
"""

import argparse
import sys

from bench import long, memory, models, on_dapr, stalls, start, turns, versions, watched
from bench.table import Row, machine, render

MEASURES = {
    "turns": turns.measure,
    "long": long.measure,
    "start": start.measure,
    "memory": memory.measure,
    "stalls": stalls.measure,
    "models": models.measure,
    "watched": watched.measure,
    "dapr": on_dapr.measure,
    "versions": versions.measure,
}


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="shorter and less exact")
    parser.add_argument("--only", choices=MEASURES, help="one measurement")
    given = parser.parse_args()
    where = machine()
    rows: list[Row] = []
    for name in [given.only] if given.only else MEASURES:
        print(f"measuring {name} …", file=sys.stderr, flush=True)
        rows += MEASURES[name](given.quick)
    print(f"{where}\n\n{render(rows)}")


if __name__ == "__main__":
    main()
