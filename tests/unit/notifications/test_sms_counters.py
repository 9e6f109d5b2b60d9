"""SMS are counted by their status."""

from collections.abc import AsyncIterator

import pytest

from agent_actors.errors import BindingFailed, Conflict, Unavailable
from tests.readings import counted
from tests.unit.notifications.test_sender import Bench


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    yield bench
    await bench.sending.stop()


def sms(bench: Bench) -> dict[str, float]:
    """The SMS that were counted, by result."""
    readings = counted(bench.sending._counters)
    return {each: readings.of("sms_total", result=each) for each in ("sent", "failed", "unknown")}


def letters(bench: Bench) -> float:
    """The SMS that were counted as dead letters."""
    return counted(bench.sending._counters).of("dead_letters_total", topic="sms")


async def test_each_sms_is_counted_by_its_end(bench: Bench):
    """Sent, refused, or without an answer; what was refused is a dead letter, too."""
    bench.errors = [BindingFailed("refused"), Unavailable("away")]
    await bench.send(bench.sms(1), bench.sms(2), bench.sms(3))

    assert sms(bench) == {"sent": 1, "failed": 1, "unknown": 1}
    assert letters(bench) == 1


async def test_an_sms_that_is_sent_by_hand_is_counted(bench: Bench):
    """Each attempt, and no second letter."""
    bench.errors = [BindingFailed("refused")] * 2
    await bench.send(bench.sms(1))
    with pytest.raises(Conflict):
        await bench.requeue()
    await bench.requeue()

    assert sms(bench) == {"sent": 1, "failed": 2, "unknown": 0}
    assert letters(bench) == 1
