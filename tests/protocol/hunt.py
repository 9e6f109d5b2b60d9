"""Looks for the first broken promise, without pytest: in facts, schedules, stories, more schedules.

    python tests/protocol/hunt.py SECONDS

Prints one line, what found it, and exits with 1; with 0 if nothing did in that time.
"""

import logging
import sys
import time
import traceback
from collections.abc import Callable, Iterator

import agent_actors
from tests.protocol import scenarios, schedule, test_turns, test_users

STRIDE = 11
"""The first round through the stories tries every 11th fault."""
SEEDS = 100_000


def hunt(seconds: float) -> str | None:
    """What broke first, and how."""
    until = time.monotonic() + seconds
    for name, trial in trials():
        try:
            trial()
        except Exception as error:  # noqa: BLE001 - whatever a mutant does, it shows
            traceback.print_exc()
            return f"{name}: {type(error).__name__}: {error}"
        if time.monotonic() > until:
            break
    return None


def trials() -> Iterator[tuple[str, Callable[[], object]]]:
    """What is tried, the cheapest first."""
    for name, fact in (vars(test_turns) | vars(test_users)).items():
        if name.startswith("test_"):
            yield name, fact
    yield from _schedules(0, 1_000)
    for story in scenarios.STORIES:
        yield f"story {story}", lambda story=story: scenarios.explore(story, STRIDE)  # type: ignore[misc]
    yield from _schedules(1_000, SEEDS)


def _schedules(first: int, after: int) -> Iterator[tuple[str, Callable[[], object]]]:
    for seed in range(first, after):
        yield f"seed {seed}", lambda seed=seed: schedule.run(seed)  # type: ignore[misc]


def main() -> int:
    """The command."""
    logging.disable(logging.CRITICAL)
    sys.stdout.write(f"{agent_actors.__file__}\n")
    found = hunt(float(sys.argv[1]))
    sys.stdout.write(" ".join((found or "nothing").split())[:300] + "\n")
    return int(found is not None)


if __name__ == "__main__":
    sys.exit(main())
