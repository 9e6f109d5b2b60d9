"""The model of the protocol stays alive: it passes, and it notices."""

import re
from pathlib import Path

import pytest

from tests.protocol.model import schedule, stories
from tests.protocol.model.__main__ import main, notice
from tests.protocol.model.mutations import MUTATIONS

MODEL = Path(__file__).parent / "model"


def test_the_protocol_keeps_its_promises_in_random_schedules():
    """Whatever crashes, moves, fails or is lost, nothing that was promised is broken."""
    worlds = [schedule.run(seed) for seed in range(60)]

    assert sum(world.seen["answered"] for world in worlds) > 60
    assert sum(world.seen["crash"] for world in worlds) > 20


def test_a_story_keeps_its_promises_with_a_single_fault():
    """The quick path survives every ninth single fault."""
    assert stories.explore("quick", every=9) > 50


@pytest.mark.parametrize("mutation", ["queue_bypass", "mark_apart", "queue_waits_for_tick"])
def test_a_mechanism_that_is_switched_off_is_noticed(mutation):
    """The model notices within some dozen schedules."""
    assert notice(mutation, 0, 60)


def test_every_mutation_switches_something_off():
    """The code asks for each mutation of the table, and for no other."""
    source = "".join(path.read_text(encoding="utf-8") for path in sorted(MODEL.glob("*.py")))
    asked = set(re.findall(r'(?:mutated|_require_live)\("(\w+)"\)', source))

    assert asked == {mutation.name for mutation in MUTATIONS}


def test_a_trace_shows_the_steps_and_the_end(capsys):
    """The command prints the steps of a seed, and how it ended."""
    seed = (notice("queue_bypass", 0, 60) or "").split()[1].rstrip(":")
    ended = main(["--trace", seed, "--mutation", "queue_bypass"])
    lines = capsys.readouterr().out.splitlines()

    assert ended == 1
    assert any("SEND" in line for line in lines)
    assert "overtook the queue" in lines[-1]
