"""The turn protocol on the real actors: random schedules of crashes, moves and failures."""

import os

import pytest

from tests.protocol import schedule
from tests.protocol.world import Violation

SCHEDULES = int(os.environ.get("PROTOCOL_SCHEDULES", "1200"))
CHUNK = 100


@pytest.mark.parametrize("first", range(0, SCHEDULES, CHUNK))
def test_random_schedules_keep_every_promise(first):
    """Whatever crashes, moves, fails or is lost, every turn happens once and nothing is left."""
    for seed in range(first, min(first + CHUNK, SCHEDULES)):
        keeps_its_promises(seed)


def keeps_its_promises(seed: int) -> None:
    """Runs a schedule; one that fails is run again with a trace."""
    try:
        schedule.run(seed)
    except Violation as violation:
        trace: list[str] = []
        with pytest.raises(Violation):
            schedule.run(seed, trace)
        pytest.fail("\n".join((*trace, str(violation))))
