"""How late the event loop is."""

import asyncio

import pytest

from agent_actors.observability import loop_lag
from agent_actors.observability.counters import Counters
from agent_actors.observability.loop_lag import LoopLag
from tests.fakes import eventually
from tests.readings import counted


async def test_a_blocked_loop_is_late(monkeypatch: pytest.MonkeyPatch):
    """Code that blocks the loop shows in the histogram."""
    monkeypatch.setattr(loop_lag, "PERIOD", 0.01)
    counters = Counters()
    lag = LoopLag(counters)
    lag.start()
    end = asyncio.get_running_loop().time() + 0.15
    while asyncio.get_running_loop().time() < end:
        pass
    await eventually(lambda: counted(counters).of("loop_lag_seconds_sum") > 0.1)
    lag.stop()


async def test_it_measures_until_it_is_stopped(monkeypatch: pytest.MonkeyPatch):
    """`stop` may be called twice, and before `start`."""
    monkeypatch.setattr(loop_lag, "PERIOD", 0.001)
    counters = Counters()
    lag = LoopLag(counters)
    lag.stop()
    lag.start()
    await eventually(lambda: counted(counters).of("loop_lag_seconds_count") >= 3)
    lag.stop()
    lag.stop()
    before = counted(counters).of("loop_lag_seconds_count")
    reached = asyncio.Event()
    asyncio.get_running_loop().call_later(0.05, reached.set)
    await asyncio.wait_for(reached.wait(), 5.0)

    assert counted(counters).of("loop_lag_seconds_count") == before
