"""How late the event loop is."""

import asyncio

import pytest

from agent_actors.observability import loop_lag
from agent_actors.observability.counters import Counters
from agent_actors.observability.loop_lag import LoopLag
from tests.fakes import eventually


async def test_a_loop_that_is_held_up_is_late(monkeypatch: pytest.MonkeyPatch):
    """What blocks it shows in the numbers."""
    monkeypatch.setattr(loop_lag, "PERIOD", 0.01)
    counters = Counters()
    lag = LoopLag(counters)
    lag.start()
    end = asyncio.get_running_loop().time() + 0.15
    while asyncio.get_running_loop().time() < end:
        pass
    await eventually(lambda: counters.loop_lag.sum > 0.1)
    lag.stop()


async def test_it_looks_until_it_is_stopped(monkeypatch: pytest.MonkeyPatch):
    """Stopped twice, too, or before it began."""
    monkeypatch.setattr(loop_lag, "PERIOD", 0.001)
    counters = Counters()
    lag = LoopLag(counters)
    lag.stop()
    lag.start()
    await eventually(lambda: sum(counters.loop_lag.counts) >= 3)
    lag.stop()
    lag.stop()
    before = sum(counters.loop_lag.counts)
    reached = asyncio.Event()
    asyncio.get_running_loop().call_later(0.05, reached.set)
    await asyncio.wait_for(reached.wait(), 5.0)

    assert sum(counters.loop_lag.counts) == before
