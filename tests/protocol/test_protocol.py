"""The turn protocol on the real actors: random schedules, and every single fault of short stories.

`PROTOCOL_SCHEDULES` sets how many random schedules there are, and `PROTOCOL_EVERY` how many of the
faults; `make test-all` tries more of both than `make test`. One that fails prints its trace.
"""

import os

import pytest

from tests.protocol import scenarios, schedule
from tests.protocol.world import Violation

pytestmark = [pytest.mark.deep, pytest.mark.timeout(600)]  # They compute, all the time.

SCHEDULES = int(os.environ.get("PROTOCOL_SCHEDULES", "60"))
CHUNK = 30
EVERY = int(os.environ.get("PROTOCOL_EVERY", "40"))
"""Of the single faults of a story, every so many-th is tried; 1 tries all of them (2 minutes)."""


@pytest.mark.parametrize("first", range(0, SCHEDULES, CHUNK))
def test_random_schedules_keep_every_promise(first):
    """Whatever crashes, moves, fails or is lost, every turn happens once and nothing is left."""
    for seed in range(first, min(first + CHUNK, SCHEDULES)):
        keeps_its_promises(seed)


@pytest.mark.parametrize("story", scenarios.STORIES)
def test_no_single_fault_breaks_a_story(story):
    """A story with one fault, at any step and of any operation, keeps every promise."""
    offset = scenarios.STORIES.index(story) % EVERY

    assert scenarios.explore(story, EVERY, offset) > 0


def keeps_its_promises(seed: int) -> None:
    """Runs a schedule; one that fails is run again with a trace."""
    try:
        schedule.run(seed)
    except Violation as violation:
        trace: list[str] = []
        with pytest.raises(Violation):
            schedule.run(seed, trace)
        pytest.fail("\n".join((*trace, str(violation))))
