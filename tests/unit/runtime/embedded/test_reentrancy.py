import asyncio

import pytest
from dapr.actor import ActorRuntime
from dapr.common.reentrancy_context import reentrancy_ctx

from agent_actors.errors import Defect
from agent_actors.protocol.ids import ActorRef
from tests.conformance.probe import PROBE, Arm, Hold
from tests.hand_clock import settle
from tests.unit.runtime.embedded.conftest import World

DEPTH = 3


@pytest.fixture
async def reentrant(unstarted: World) -> World:
    """A world whose actors may be called back."""
    unstarted.settings["reentrancy_depth"] = DEPTH
    await unstarted.start()
    return unstarted


def hold(world: World, gate: str, chain: str | None = None) -> "asyncio.Task[object]":
    """A call of a chain, as another actor of it would make it."""

    async def call() -> object:
        reentrancy_ctx.set(chain)
        return await world.call("a", "Hold", Hold(gate))

    return asyncio.create_task(call())


def gates(world: World, what: str = "enter") -> list[str]:
    return [entry[2] for entry in world.journal.of(what)]


async def open_all(world: World, *tasks: "asyncio.Task[object]") -> None:
    for gate in [*world.journal.gates.values()]:
        gate.set()
    await asyncio.wait(tasks)


async def test_a_chain_holds_its_actor_to_the_end_of_its_last_turn(reentrant: World):
    """A nested turn that outlives the outer one still keeps others out."""
    tasks = [hold(reentrant, "outer", "chain")]
    await settle()
    tasks += [hold(reentrant, "nested", "chain"), hold(reentrant, "other")]
    await settle()
    reentrant.journal.gates["outer"].set()
    await tasks[0]
    await settle()

    assert gates(reentrant) == ["outer", "nested"]

    reentrant.journal.gates["nested"].set()
    await settle()

    assert gates(reentrant) == ["outer", "nested", "other"]

    await open_all(reentrant, *tasks)


async def test_a_chain_that_is_not_inside_waits_in_line(reentrant: World):
    """Two calls of a chain that find another one inside come one after the other."""
    tasks = [hold(reentrant, "first", "one")]
    await settle()
    tasks += [hold(reentrant, gate, "two") for gate in ("second", "third")]
    reentrant.journal.gates["first"].set()
    await settle()

    assert gates(reentrant) == ["first", "second"]

    reentrant.journal.gates["second"].set()
    await settle()

    assert gates(reentrant) == ["first", "second", "third"]

    await open_all(reentrant, *tasks)


async def test_a_chain_that_is_too_deep_is_refused(reentrant: World):
    """The call is an error that says so, those inside go on, and the actor answers afterwards."""
    inside = [hold(reentrant, str(number), "chain") for number in range(DEPTH)]
    await settle()
    refused = hold(reentrant, "refused", "chain")
    with pytest.raises(Defect, match=f"is in the actor Probe/a {DEPTH} times already"):
        await refused

    assert gates(reentrant) == ["0", "1", "2"]

    await open_all(reentrant, *inside)

    assert gates(reentrant, "leave") == ["0", "1", "2"]
    assert await reentrant.call("a", "Echo", "next") == "next"
    with pytest.raises(Defect):
        await reentrant.call("a", "Pass", ["a"] * DEPTH)
    assert await reentrant.call("a", "Pass", ["a"] * (DEPTH - 1)) == DEPTH


async def test_a_nested_caller_that_leaves_frees_its_place(reentrant: World):
    """What it began goes on, and the chain may come back once that has ended."""
    outer = hold(reentrant, "outer", "chain")
    await settle()
    nested = hold(reentrant, "nested", "chain")
    await settle()
    nested.cancel()
    await asyncio.wait({nested})
    await open_all(reentrant, outer)
    await settle()

    assert gates(reentrant, "leave").count("nested") == 1
    assert reentrant.runtime._turns._slots[ActorRef(PROBE, "a")].lock.users == 0
    assert await reentrant.call("a", "Echo", "next") == "next"


async def test_a_nested_turn_waits_for_a_save_that_is_undecided(
    reentrant: World, monkeypatch: pytest.MonkeyPatch
):
    """What the outer turn gave up may land after all; the nested one reads what became of it."""
    outer = hold(reentrant, "outer", "chain")
    await settle()
    decided: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    reentrant.runtime._turns.hold(ActorRef(PROBE, "a"), decided)
    nested = hold(reentrant, "nested", "chain")
    leaving = hold(reentrant, "leaving", "chain")
    await settle()
    leaving.cancel()
    await settle()

    assert gates(reentrant) == ["outer"]

    decided.set_result(None)
    await settle()

    assert gates(reentrant) == ["outer", "nested"]

    await open_all(reentrant, outer, nested)

    assert await reentrant.call("a", "Echo", "next") == "next"


async def test_a_reminder_is_no_call_of_the_chain_that_registered_it(
    reentrant: World, monkeypatch: pytest.MonkeyPatch
):
    """It carries no id, and waits for the turn that registered it."""
    seen: list[str | None] = []
    fire = ActorRuntime.fire_reminder.__func__  # type: ignore[attr-defined]

    async def noting(kind: type[ActorRuntime], *fired: object) -> None:
        seen.append(reentrancy_ctx.get())
        await fire(kind, *fired)

    monkeypatch.setattr(ActorRuntime, "fire_reminder", classmethod(noting))
    reentrancy_ctx.set("chain")
    outer = hold(reentrant, "outer", "chain")
    await settle()
    await reentrant.runtime._reminders.register((PROBE, "a", "r"), b'{"dueTime":"0s"}')
    await settle()

    assert seen == []

    await open_all(reentrant, outer)
    await reentrant.call("a", "Arm", Arm("again", due=0))
    await settle()

    assert seen == [None, None]
