import asyncio
import json
import logging
from typing import Any

import pytest

from agent_actors.errors import Unavailable
from tests.conformance.probe import PROBE, Hold
from tests.fakes import eventually
from tests.hand_clock import settle
from tests.unit.runtime.embedded.conftest import World


async def time(world: World, name: str, **body: Any) -> None:
    told = json.dumps({"callback": "ticked", "data": name} | body).encode()
    await world.runtime.actor_client.register_timer(PROBE, "a", name, told)


@pytest.fixture
async def active(world: World) -> World:
    """A world in which the actor `a` is active."""
    await world.call("a", "Echo", "here")
    return world


def ticks(world: World) -> list[str]:
    return [entry[2] for entry in world.journal.of("ticked")]


async def test_a_timer_does_not_overlap_with_itself(active: World):
    """The next tick is set when the callback has returned; missed ticks are skipped."""
    await time(active, "slow", dueTime="0s", period="2s", data="hold gate")
    await active.clock.advance(9)

    assert len(ticks(active)) == 1

    active.journal.gates["gate"].set()
    await active.clock.advance(0.9)

    assert len(ticks(active)) == 1

    await active.clock.advance(0.1)

    assert len(ticks(active)) == 2


async def test_a_failing_tick_is_logged_and_ticking_goes_on(
    active: World, caplog: pytest.LogCaptureFixture
):
    """The log names the timer and the actor, and not what the exception says."""
    await time(active, "beat", dueTime="1s", period="1s", data="fail")
    with caplog.at_level(logging.WARNING):
        await active.clock.advance(3)

    assert ticks(active) == ["fail"] * 3
    assert "timer beat of Probe/a failed" in caplog.text
    assert "fail'" not in caplog.text


async def test_a_timer_is_replaced_and_ended_by_its_name(active: World):
    """The later registration counts, and the callback of another timer may end it."""
    await time(active, "one", dueTime="1s", data="unregister two")
    await time(active, "two", dueTime="2s")
    await time(active, "name", dueTime="1s", data="first")
    await time(active, "name", dueTime="3s", data="second")
    await active.clock.advance(10)

    assert ticks(active) == ["unregister two", "second"]
    assert len(active.runtime._timers) == 0


async def test_a_refused_registration_leaves_the_timer(active: World):
    """A body of another form replaces nothing."""
    await time(active, "name", dueTime="1s")
    with pytest.raises(Exception, match="soon"):
        await time(active, "name", dueTime="soon")
    await active.clock.advance(10)

    assert ticks(active) == ["name"]


async def test_an_actor_is_not_deactivated_while_its_timer_ticks(active: World):
    """The actor is deactivated only after the running callback."""
    await time(active, "long", dueTime="50s", period="5s", data="hold gate")
    await active.clock.advance(500)

    assert not active.journal.of("deactivate")

    active.journal.gates["gate"].set()
    await eventually(lambda: active.journal.of("deactivate"))

    assert len(ticks(active)) == 1
    assert len(active.runtime._timers) == 0


async def test_a_call_keeps_an_actor_whose_idle_time_ended_in_a_tick(active: World):
    """A call that waits for the callback is use, and restarts the idle time."""
    await time(active, "long", dueTime="50s", data="hold gate")
    await active.clock.advance(500)
    call = asyncio.create_task(active.call("a", "Echo", "still there"))
    await settle()
    active.journal.gates["gate"].set()
    await call
    await active.clock.advance(59)

    assert not active.journal.of("deactivate")

    await active.clock.advance(1)

    await eventually(lambda: active.journal.of("deactivate") == [("deactivate", "a")])


async def test_a_tick_is_no_call_of_the_chain_that_registered_it(unstarted: World):
    """A tick waits for the turn that registered it, even if that admits reentrant calls."""
    unstarted.settings["reentrancy_depth"] = 3
    await unstarted.start()
    turn = asyncio.create_task(unstarted.call("a", "Hold", Hold("gate")))
    await settle()
    await time(unstarted, "tick", dueTime="0s")
    await settle()

    assert ticks(unstarted) == []

    unstarted.journal.gates["gate"].set()
    await turn
    await eventually(lambda: ticks(unstarted) == ["tick"])


async def test_nothing_is_left_at_a_stop(active: World):
    """Timers end with the runtime, and a stopping runtime accepts none."""
    await time(active, "beat", dueTime="1s", period="1s")
    turn = asyncio.create_task(active.call("a", "Hold", Hold("gate")))
    await settle()
    stop = asyncio.create_task(active.runtime.stop())
    await settle()
    with pytest.raises(Unavailable, match="stopping"):
        await time(active, "late", dueTime="1s")
    active.journal.gates["gate"].set()
    await asyncio.gather(turn, stop)

    assert not active.runtime._timers._background

    await active.start()
    await active.call("a", "Echo", "again")
    await active.clock.advance(10)

    assert ticks(active) == []


async def test_a_timer_without_a_pause_leaves_time_for_others(active: World):
    """However short its period, other turns come between its ticks."""
    await time(active, "hot", dueTime="0s", period="1ns")
    await active.clock.advance(0.02)

    assert 10 <= len(ticks(active)) <= 25
    assert await active.call("a", "Echo", "well") == "well"
