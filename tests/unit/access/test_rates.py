"""How often one caller may ask."""

import pytest

from agent_actors.access.rates import Rate, RateLimiter
from agent_actors.errors import StartupError
from tests.hand_clock import HandClock


@pytest.mark.parametrize(
    ("text", "rate"),
    [("60/minute", Rate(60, 60)), ("1/second", Rate(1, 1)), (" 5/hour ", Rate(5, 3600))],
)
def test_a_rate_is_read(text: str, rate: Rate):
    """A number per unit of time."""
    assert Rate.read(text) == rate


@pytest.mark.parametrize(
    "text", ["", "60", "0/minute", "-1/minute", "1.5/minute", "60/week", "٣/day"]
)
def test_a_rate_of_another_form_stops_the_start(text: str):
    """One line names the setting."""
    with pytest.raises(StartupError, match="AGENT_ACTORS_RATE_LIMIT"):
        Rate.read(text)


def test_the_whole_rate_may_come_at_once_and_then_as_it_comes_back():
    """Sixty in a minute are sixty now, and then one each second."""
    clock = HandClock()
    rates = RateLimiter(Rate(60, 60), clock)

    assert [rates.wait("ada") for _ in range(60)] == [0.0] * 60
    assert rates.wait("ada") == pytest.approx(1.0)
    clock.jump(0.4)
    assert rates.wait("ada") == pytest.approx(0.6)
    clock.jump(0.6)
    assert rates.wait("ada") == 0.0
    assert rates.wait("ada") > 0
    clock.jump(1_000)
    assert [rates.wait("ada") > 0 for _ in range(61)] == [False] * 60 + [True]


def test_what_is_refused_costs_nothing():
    """Who goes on asking is let in as soon as who waits."""
    clock = HandClock()
    rates = RateLimiter(Rate(1, 10), clock)
    rates.wait("ada")
    for _ in range(100):
        rates.wait("ada")
    clock.jump(10)

    assert rates.wait("ada") == 0.0


def test_callers_do_not_wait_for_each_other():
    """Each has the whole rate."""
    rates = RateLimiter(Rate(1, 60), HandClock())

    assert [rates.wait(who) for who in ("ada", "ben", "eve")] == [0.0] * 3


def test_memory_is_bounded_whatever_the_number_of_callers():
    """Who was away longest is forgotten, and who asks all the time is not."""
    rates = RateLimiter(Rate(1, 86_400), HandClock(), most=100)
    rates.wait("ada")
    for number in range(10_000):
        rates.wait(f"user{number}")
        assert rates.wait("ada") > 0

    assert len(rates) <= 100


def test_callers_that_went_away_are_forgotten():
    """What is kept shrinks as others come."""
    clock = HandClock()
    rates = RateLimiter(Rate(10, 60), clock)
    for number in range(1_000):
        rates.wait(f"user{number}")
    clock.jump(60)
    for _ in range(600):
        rates.wait("ada")

    assert len(rates) == 1
