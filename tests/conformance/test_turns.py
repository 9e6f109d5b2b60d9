"""Turns: one at a time per actor, side by side for several."""

import asyncio

import pytest

from tests.conformance.harness import CallFailed, Harness
from tests.conformance.probe import Hold
from tests.fakes import eventually


def hold(runtime: Harness, actor: str, gate: str) -> "asyncio.Task[object]":
    """Begins a call; it arrives as soon as the loop lets it."""
    return asyncio.create_task(runtime.call(actor, "Hold", Hold(gate)))


async def entered(runtime: Harness, count: int) -> None:
    await eventually(lambda: len(runtime.journal.of("enter")) == count)


async def test_turns_of_one_actor_do_not_overlap(runtime: Harness):
    """A second turn enters only after the first has left."""
    first = hold(runtime, "a", "first")
    await entered(runtime, 1)
    second = hold(runtime, "a", "second")
    runtime.journal.gates["second"].set()
    await runtime.call("b", "Echo", "time passes")

    assert len(runtime.journal.of("enter")) == 1

    runtime.journal.gates["first"].set()
    await asyncio.gather(first, second)

    assert [entry for entry in runtime.journal.entries if entry[0] in ("enter", "leave")] == [
        ("enter", "a", "first"),
        ("leave", "a", "first"),
        ("enter", "a", "second"),
        ("leave", "a", "second"),
    ]


async def test_turns_of_several_actors_run_side_by_side(runtime: Harness):
    """An actor does not wait for another one's turn."""
    turns = [hold(runtime, actor, "gate") for actor in ("a", "b", "c")]
    await entered(runtime, 3)
    runtime.journal.gates["gate"].set()
    await asyncio.gather(*turns)

    assert len(runtime.journal.of("leave")) == 3


async def test_turns_come_in_the_order_of_the_calls(runtime: Harness):
    """Who called first is served first."""
    turns = [hold(runtime, "a", "0")]
    await entered(runtime, 1)
    for number in range(1, 6):
        runtime.journal.gates[str(number)].set()
        turns.append(hold(runtime, "a", str(number)))
        # On a network the order of sending is the order of arrival only with a pause between.
        await runtime.call("b", "Echo", "a round trip")
    runtime.journal.gates["0"].set()
    await asyncio.gather(*turns)

    assert [gate for _, _, gate in runtime.journal.of("enter")] == ["0", "1", "2", "3", "4", "5"]


async def test_a_caller_that_gives_up_does_not_undo_the_turn(runtime: Harness):
    """The turn goes on without its caller and its effect is saved."""
    turn = hold(runtime, "a", "gate")
    await entered(runtime, 1)
    turn.cancel()
    with pytest.raises(asyncio.CancelledError):
        await turn
    runtime.journal.gates["gate"].set()
    await eventually(lambda: len(runtime.journal.of("leave")) == 1)

    assert await runtime.state("a", "held") == b'"gate"'


async def test_a_failing_method_is_an_error_to_its_caller(runtime: Harness):
    """Which has nothing of the exception in it; an unknown method is one, too."""
    with pytest.raises(CallFailed) as failed:
        await runtime.call("a", "Fail", "a secret")

    assert "secret" not in f"{failed.value!r} {failed.value.__cause__!r}"
    assert await runtime.refuses(runtime.call("a", "Nothing"))
    assert await runtime.call("a", "Echo", "still there") == "still there"


async def test_a_caller_that_leaves_the_queue_has_no_turn(runtime: Harness):
    """A caller that gives up while it waits for another's turn never gets its own."""
    turns = [hold(runtime, "a", "first")]
    await entered(runtime, 1)
    leaving = hold(runtime, "a", "leaving")
    await runtime.call("b", "Echo", "it has arrived")
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    await runtime.call("b", "Echo", "it has left")
    turns.append(hold(runtime, "a", "last"))
    for gate in ("first", "leaving", "last"):
        runtime.journal.gates[gate].set()
    await asyncio.gather(*turns)

    assert [gate for _, _, gate in runtime.journal.of("enter")] == ["first", "last"]
