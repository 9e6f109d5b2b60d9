"""Calls that come back: a chain of calls enters an actor that it is in, where the rules say so."""

import asyncio
import json
from typing import Any

import pytest

from agent_actors.clock import SystemClock
from tests.conformance.harness import Harness
from tests.conformance.probe import Hold
from tests.conformance.teller import CALL_TIME, TELLER, Tour
from tests.fakes import eventually

SOON = 3 * CALL_TIME
DEPTH = 3
GIVEN_UP_OR_NOT = {1, 2}
"""A sidecar may let a call in whose caller has gone while it waited."""


@pytest.fixture
async def reentrant(stopped: Harness) -> Harness:
    """A runtime whose actors may be called back."""
    await stopped.start(depth=DEPTH)
    return stopped


async def tour(runtime: Harness, actor: str, *path: str, stale: bool = False) -> Any:
    """What a teller answers that has a path of others asked."""
    async with SystemClock().timeout(SOON):
        asked = Tour((path,) if path else (), stale=stale)
        return await runtime.call(actor, "Tour", asked, actor_type=TELLER)


async def count(runtime: Harness, actor: str) -> int:
    """How many turns of a teller were saved."""
    saved = await runtime.state(actor, "head", actor_type=TELLER)
    seq: int = json.loads(saved)["seq"] if saved else 0
    return seq


async def test_a_chain_of_calls_comes_back(reentrant: Harness):
    """A calls B, which calls A, which answers."""
    assert await reentrant.call("a", "Pass", ["b", "a"]) == 3
    assert await reentrant.call("a", "Pass", ["a", "a"]) == 3
    assert await reentrant.call("a", "Pass", ["b", "a", "b", "a"]) == 5


async def test_callers_of_no_chain_still_wait(reentrant: Harness):
    """Two calls that nobody made for another take their turns one after the other."""
    first = asyncio.create_task(reentrant.call("a", "Hold", Hold("first")))
    await eventually(lambda: len(reentrant.journal.of("enter")) == 1)
    second = asyncio.create_task(reentrant.call("a", "Hold", Hold("second")))
    reentrant.journal.gates["second"].set()
    await reentrant.call("b", "Pass", ["c"])

    assert len(reentrant.journal.of("enter")) == 1

    reentrant.journal.gates["first"].set()
    await asyncio.gather(first, second)

    assert len(reentrant.journal.of("leave")) == 2


async def test_the_chain_ends_with_its_first_call(reentrant: Harness):
    """After a chain has come back, others take their turns in the actor as ever."""
    await reentrant.call("a", "Pass", ["b", "a"])
    await reentrant.call("a", "Echo", "next")
    held = asyncio.create_task(reentrant.call("a", "Hold", Hold("gate")))
    await eventually(lambda: len(reentrant.journal.of("enter")) == 1)
    waiting = asyncio.create_task(reentrant.call("b", "Pass", ["a"]))
    await reentrant.call("c", "Echo", "time passes")

    assert not waiting.done()

    reentrant.journal.gates["gate"].set()
    await asyncio.gather(held, waiting)


async def test_without_reentrancy_a_call_back_ends(runtime: Harness):
    """A calls B, which calls A, which waits for itself: an error in time, and A answers again."""
    answer = await tour(runtime, "a", "b", "a")

    assert answer["error"]["status"] == 503
    assert await tour(runtime, "a") in GIVEN_UP_OR_NOT


async def test_a_teller_is_called_back(reentrant: Harness):
    """Our own lock lets a chain in as the runtime does, and each turn's effect is kept."""
    assert await tour(reentrant, "a", "b", "a") == 2
    assert await tour(reentrant, "a", "a", "a") == 5
    assert (await count(reentrant, "a"), await count(reentrant, "b")) == (5, 1)


async def test_a_chain_that_is_too_deep_is_refused(reentrant: Harness):
    """Three calls of a chain are in an actor, a fourth is not let in, and the actor goes on."""
    assert await tour(reentrant, "a", "a", "a") == 3

    answer = await tour(reentrant, "a", "a", "a", "a")

    assert "reentrancy depth" in answer["error"]["detail"]
    assert await count(reentrant, "a") == 3
    assert await tour(reentrant, "a") == 4


async def test_no_update_of_a_nested_turn_is_lost(reentrant: Harness):
    """What a nested turn saved is not overwritten by what the outer one had read before (B23)."""
    refused = await tour(reentrant, "a", "b", "a", stale=True)

    assert (refused["error"]["status"], refused["error"]["retry"]) == (503, "same-key")
    assert await count(reentrant, "a") == 1
    assert await tour(reentrant, "a", "b", stale=True) == 2


async def test_branches_of_a_chain_act_one_at_a_time(reentrant: Harness):
    """Two nested turns that were called at once lose no update of each other."""
    both = Tour((("b", "a"), ("c", "a")))
    for turn in range(1, 6):
        async with SystemClock().timeout(SOON):
            assert await reentrant.call("a", "Tour", both, actor_type=TELLER) == 3 * turn

    assert await count(reentrant, "a") == 15


@pytest.mark.parametrize("depth", [1, DEPTH])
@pytest.mark.parametrize("by", ["reminder", "timer"])
async def test_what_calls_its_own_actor_ends(stopped: Harness, by: str, depth: int):
    """Its call is no call back of a chain: it ends with an error in time, and the actor answers."""
    await stopped.start(depth=depth)
    turns = 0 if by == "reminder" else await tour(stopped, "a")  # Only an active one has timers.
    register = stopped.remind if by == "reminder" else stopped.time
    await register("a", "self", actor_type=TELLER, dueTime="0s")
    await eventually(lambda: stopped.journal.of("refused") == [("refused", "a", "503")], SOON)

    assert await tour(stopped, "a") - turns in GIVEN_UP_OR_NOT
