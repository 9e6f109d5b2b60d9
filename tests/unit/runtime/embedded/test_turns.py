import asyncio
import gc
import logging

import pytest
from dapr.actor import ActorRuntime

from agent_actors.errors import Defect, Unavailable
from agent_actors.protocol.ids import ActorRef
from tests.conformance.probe import PROBE, Hold
from tests.hand_clock import settle
from tests.unit.runtime.embedded.conftest import World


def held(world: World, actor: str, gate: str) -> "asyncio.Task[object]":
    return asyncio.create_task(world.call(actor, "Hold", Hold(gate)))


def gates(world: World, what: str = "enter") -> list[str]:
    return [entry[2] for entry in world.journal.of(what)]


async def test_three_calls_at_once_find_one_activation(world: World):
    """A cold actor that is called three times at once is activated once (I1)."""
    await asyncio.gather(*(world.call("cold", "Echo", str(number)) for number in range(3)))

    assert world.journal.of("activate") == [("activate", "cold")]


async def test_a_caller_that_leaves_as_its_turn_comes_hands_it_on(world: World):
    """A call that is given up in the moment it is let in does not keep the actor."""
    tasks = [held(world, "a", gate) for gate in "012"]
    await settle()
    lock = world.runtime._turns._slots[ActorRef(PROBE, "a")].lock
    assert lock._waiting
    lock._waiting[0].add_done_callback(lambda _: tasks[1].cancel())
    for gate in "012":
        world.journal.gates[gate].set()
    await asyncio.wait(tasks)

    assert tasks[1].cancelled()
    assert gates(world)[-1] == "2"


async def test_a_failure_is_a_defect_without_its_text(
    world: World, caplog: pytest.LogCaptureFixture
):
    """Neither the caller nor the log hears what an exception says (I13)."""
    with caplog.at_level(logging.DEBUG), pytest.raises(Defect) as error:
        await world.call("a", "Fail", "my secret")

    assert "'Fail' of the actor Probe/a failed" in error.value.detail
    assert "secret" not in error.value.detail
    assert "Fail of Probe/a failed: ValueError at " in caplog.text
    assert "secret" not in caplog.text


async def test_a_store_that_is_away_is_unavailable(world: World, monkeypatch: pytest.MonkeyPatch):
    """Where an actor's save finds the store away, its caller is told to try again."""

    def away(*_: object) -> None:
        raise Unavailable("The store is away.")

    monkeypatch.setattr(world.runtime._store, "submit", away)

    with pytest.raises(Unavailable, match="The store is away"):
        await world.call("a", "Save", "[]")


async def test_what_is_not_there_is_a_defect(world: World):
    """An unknown type is named; an unknown method fails like any other."""
    with pytest.raises(Defect, match="no actor type 'Nobody'"):
        await world.runtime.actor_client.invoke_method("Nobody", "a", "Echo", b'""')
    with pytest.raises(Defect, match="'Nothing' of the actor Probe/a"):
        await world.call("a", "Nothing")


async def test_an_idle_actor_is_deactivated(world: World):
    """It goes after the idle timeout, counted from the end of its last turn."""
    task = held(world, "a", "gate")
    await world.clock.advance(1000)
    world.journal.gates["gate"].set()
    await task
    await world.clock.advance(59)

    assert not world.journal.of("deactivate")

    await world.clock.advance(1)

    assert world.journal.of("deactivate") == [("deactivate", "a")]
    assert world.runtime._turns.resident == 0


async def test_a_call_keeps_an_actor(world: World):
    """Each turn begins the idle time anew."""
    for _ in range(5):
        await world.call("a", "Echo", "x")
        await world.clock.advance(40)

    assert not world.journal.of("deactivate")


async def test_a_waiting_turn_keeps_an_actor(world: World):
    """An actor is not deactivated between a turn and the one that waits for it."""
    first, second = held(world, "a", "0"), held(world, "a", "1")
    await world.clock.advance(500)
    world.journal.gates["0"].set()
    await world.clock.advance(500)

    assert gates(world) == ["0", "1"]
    assert not world.journal.of("deactivate")

    world.journal.gates["1"].set()
    await asyncio.gather(first, second)


async def test_a_call_during_deactivation_finds_a_new_activation(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    """A turn waits until the actor is deactivated, and is the first of the next activation."""
    deactivate, gate = ActorRuntime.deactivate, asyncio.Event()

    async def slow(actor_type: str, actor_id: str) -> None:
        await gate.wait()
        await deactivate(actor_type, actor_id)

    monkeypatch.setattr(ActorRuntime, "deactivate", slow)
    await world.call("a", "Echo", "x")
    await world.clock.advance(60)
    task = asyncio.create_task(world.call("a", "Echo", "y"))
    await settle()

    assert not task.done()

    gate.set()
    await task

    assert [entry[0] for entry in world.journal.entries] == ["activate", "deactivate", "activate"]


async def test_ten_thousand_idle_actors_do_not_stay(world: World):
    """Nothing of an idle actor is kept, however many there were."""
    client = world.runtime.actor_client
    for number in range(10_000):
        await client.invoke_method(PROBE, str(number), "Echo", b'"x"')

    assert world.runtime._turns.resident == 10_000

    await world.clock.advance(60)
    async with asyncio.timeout(30):
        while world.runtime._turns.resident:
            await settle()

    assert len(world.journal.of("deactivate")) == 10_000
    assert not ActorRuntime._actor_managers[PROBE]._active_actors


async def test_an_unstarted_runtime_takes_no_turn(unstarted: World):
    """Before the start a call is refused, not queued."""
    unstarted.open()
    await unstarted.host()

    with pytest.raises(Unavailable, match="not been started"):
        await unstarted.call("a", "Echo", "x")


async def test_no_turn_begins_while_a_save_is_undecided(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    """A turn that gave a slow save up has ended; the save may land after all, and must be read."""
    decided: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    monkeypatch.setattr(world.runtime._store, "submit", lambda _: decided)
    save = '[{"operation":"upsert","request":{"key":"k","value":1}}]'
    first = asyncio.create_task(world.call("a", "Save", save))
    await settle()
    for task in list(world.runtime._turns._running):
        task.cancel()
    await asyncio.wait({first})
    second = asyncio.create_task(world.call("a", "Echo", "next"))
    await settle()

    assert not second.done()

    decided.set_result(None)

    assert await second == "next"


async def test_a_turn_leaves_no_task_for_the_collector(world: World):
    """What a turn made is given back with it."""
    gc.collect()
    gc.disable()
    try:
        for _ in range(20):
            await world.call("a", "Echo", "x")
        tasks = [each for each in gc.get_objects() if isinstance(each, asyncio.Task)]
        dead = [each for each in tasks if each.done() and "_as_work" in repr(each.get_coro())]
    finally:
        gc.enable()

    assert len(dead) < 5
