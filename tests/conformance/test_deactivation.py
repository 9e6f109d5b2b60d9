"""Actors that nobody calls are deactivated, and come back."""

import asyncio

from tests.conformance.harness import Harness
from tests.conformance.probe import Hold
from tests.fakes import eventually


async def test_an_idle_actor_is_deactivated_and_comes_back(stopped: Harness):
    """After the idle timeout an actor is deactivated; the next call finds its state."""
    await stopped.start(idle_timeout=1)
    stopped.journal.gates["gate"].set()
    await stopped.call("a", "Hold", Hold("gate"))
    await eventually(lambda: stopped.journal.of("deactivate") == [("deactivate", "a")])

    assert await stopped.state("a", "held") == b'"gate"'
    assert await stopped.call("a", "Echo", "back") == "back"
    assert stopped.journal.of("activate") == [("activate", "a")] * 2


async def test_a_stop_puts_actors_away(runtime: Harness):
    """Actors hear that the runtime stops."""
    await runtime.call("a", "Echo", "here")
    await runtime.stop()

    assert runtime.journal.entries == [("activate", "a"), ("deactivate", "a")]


async def test_a_running_turn_is_not_cut(stopped: Harness):
    """A turn within the idle timeout ends as it would without one.

    Real Dapr counts the idle time from the start of a turn, so the turn here is the shorter one.
    """
    await stopped.start(idle_timeout=2)
    turn = asyncio.create_task(stopped.call("a", "Hold", Hold("gate")))
    await eventually(lambda: len(stopped.journal.of("enter")) == 1)
    stopped.journal.gates["gate"].set()
    await turn
    await eventually(lambda: len(stopped.journal.of("deactivate")) == 1)

    assert [entry[0] for entry in stopped.journal.entries] == [
        "activate",
        "enter",
        "leave",
        "deactivate",
    ]
