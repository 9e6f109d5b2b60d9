"""The drain time of a process that stops."""

import math

from agent_actors.turns.bell import TurnBell
from agent_actors.turns.drain import Drain
from tests.hand_clock import HandClock


async def test_the_time_left_runs_down_from_the_first_sign():
    """Infinite before, never below zero, and a second sign changes nothing."""
    clock = HandClock()
    stopping = Drain(clock, 7.0, TurnBell())

    assert stopping.left() == math.inf

    stopping.begin()
    await clock.advance(3)
    stopping.begin()

    assert stopping.left() == 4.0

    await clock.advance(10)

    assert stopping.left() == 0.0


def test_callers_who_wait_hear_of_it():
    """Every bell rings, so that nobody waits past the deadline."""
    bell = TurnBell()
    with bell.listen("ada") as first, bell.listen("bob") as second:
        Drain(HandClock(), 7.0, bell).begin()

        assert first.is_set()
        assert second.is_set()
