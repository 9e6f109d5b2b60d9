"""SMS are counted by what became of them."""

from collections.abc import AsyncIterator

import pytest

from agent_actors.errors import BindingFailed, Conflict, Unavailable
from tests.unit.notifications.test_sender import Bench


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    yield bench
    await bench.sending.stop()


async def test_each_sms_is_counted_by_its_end(bench: Bench):
    """Sent, refused, or without an answer; what was refused is a dead letter, too."""
    counters = bench.sending._counters
    bench.errors = [BindingFailed("refused"), Unavailable("away")]
    await bench.send(bench.sms(1), bench.sms(2), bench.sms(3))

    assert counters.sms == {("sent",): 1, ("failed",): 1, ("unknown",): 1}
    assert counters.letters[("sms",)] == 1


async def test_an_sms_that_is_sent_by_hand_is_counted(bench: Bench):
    """Each attempt, and no second letter."""
    counters = bench.sending._counters
    bench.errors = [BindingFailed("refused")] * 2
    await bench.send(bench.sms(1))
    with pytest.raises(Conflict):
        await bench.requeue()
    await bench.requeue()

    assert counters.sms == {("sent",): 1, ("failed",): 2, ("unknown",): 0}
    assert counters.letters[("sms",)] == 1
