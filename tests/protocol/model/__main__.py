"""Checks the turn protocol (docs/protocol.md) on its model.

    python -m tests.protocol.model                   random schedules of the protocol as it is
    python -m tests.protocol.model -n 30000 -s 5     30,000 of them, from seed 5 on
    python -m tests.protocol.model --stories         every single fault of every story (minutes)
    python -m tests.protocol.model -m no_gap         a mechanism is switched off; is it noticed?
    python -m tests.protocol.model --all-mutations   each mechanism in turn
    python -m tests.protocol.model --trace 17        the steps of one seed; -m for a mutation

The closing line says what was found; the exit code is 1 if a promise was broken, or a mutation was
not noticed.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Sequence

from tests.protocol.model import schedule, stories
from tests.protocol.model.mutations import MUTATIONS, NAMES, Mutation
from tests.protocol.model.steps import Violation

SCHEDULES = 2_000
MUTATED = 20_000
"""Schedules in which a mutation must be noticed."""


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.protocol.model",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-n", "--schedules", type=int, metavar="N", help="random schedules")
    parser.add_argument("-s", "--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after that time")
    parser.add_argument("--stories", action="store_true", help="single faults of short stories")
    parser.add_argument("--every", type=int, default=1, help="try every so many-th single fault")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("-m", "--mutation", choices=NAMES, metavar="NAME", help="switch one off")
    what.add_argument("--all-mutations", action="store_true", help="switch each off in turn")
    parser.add_argument("-t", "--trace", type=int, metavar="SEED", help="print the steps of a seed")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    """The command."""
    options = parse(arguments)
    if options.trace is not None:
        return print_trace(options.trace, options.mutation)
    if options.all_mutations or options.mutation:
        chosen = [each for each in MUTATIONS if options.mutation in {None, each.name}]
        return switch_off(chosen, options.seed, options.schedules or MUTATED)
    if options.stories:
        return tell_stories(options.every)
    return run_schedules(options.seed, options.schedules or SCHEDULES, options.seconds)


def print_trace(seed: int, mutation: str | None) -> int:
    """Prints the steps of one schedule, and how it ended."""
    trace: list[str] = []
    ended = "kept every promise"
    try:
        schedule.run(seed, _one(mutation), trace)
    except Violation as violation:
        ended = str(violation)
    _tell(*trace, ended)
    return int(ended != "kept every promise")


def run_schedules(first: int, number: int, seconds: float) -> int:
    """Runs random schedules until one breaks a promise, or time is up."""
    began, steps, told, seen = time.monotonic(), 0, 0, Counter[str]()
    for seed in range(first, first + number):
        try:
            world = schedule.run(seed)
        except Violation as violation:
            _tell(str(violation), f"print its steps with --trace {seed}")
            return 1
        steps, told, seen = steps + world.count, told + 1, seen + world.seen
        if time.monotonic() - began > seconds:
            break
    _tell(", ".join(f"{what} {times}" for what, times in sorted(seen.items())))
    _tell(f"{told} schedules, {steps} steps, no violation, {time.monotonic() - began:.0f} s")
    return 0


def tell_stories(every: int) -> int:
    """Tells every story with every single fault."""
    began, total = time.monotonic(), 0
    for name in stories.STORIES:
        try:
            told = stories.explore(name, every=every)
        except Violation as violation:
            _tell(str(violation))
            return 1
        total += told
        _tell(f"{name:20} {told:6} single faults")
    _tell(f"{total} single faults, no violation, {time.monotonic() - began:.0f} s")
    return 0


def switch_off(mutations: Sequence[Mutation], first: int, number: int) -> int:
    """Switches mechanisms off, one after the other; says what noticed each."""
    survived = 0
    for mutation in mutations:
        noticed = notice(mutation.name, first, number)
        survived += noticed is None
        mark = "SURVIVED" if noticed is None else "noticed "
        _tell(f"{mark} {mutation.name:24} {mutation.place:6} {(noticed or '')[:90]}")
    _tell(f"{len(mutations) - survived} noticed, {survived} survived")
    return int(survived > 0)


def notice(mutation: str, first: int, number: int) -> str | None:
    """The first broken promise with a mechanism switched off; None if there is none."""
    for seed in range(first, first + number):
        try:
            schedule.run(seed, _one(mutation))
        except Violation as violation:
            return str(violation)
    return None


def _one(mutation: str | None) -> frozenset[str]:
    return frozenset((mutation,) if mutation else ())


def _tell(*lines: str) -> None:
    for line in lines:
        sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
