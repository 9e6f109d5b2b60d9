import asyncio
from pathlib import Path

import pytest

from agent_actors.errors import StartupError, Unavailable
from agent_actors.runtime.embedded import EmbeddedRuntime
from tests.conformance.probe import Hold
from tests.hand_clock import HandClock, settle
from tests.unit.runtime.embedded.conftest import World


async def test_it_says_why_it_is_not_ready(unstarted: World):
    """Before the start, while it stops and without its store, actors cannot be called."""
    runtime = unstarted.open()

    assert await runtime.unready() == "The runtime has not been started."

    await unstarted.host()
    await runtime.start(unstarted.deliver)

    assert await runtime.unready() is None

    await runtime._store.close()

    assert await runtime.unready() == "The store is closed."

    await runtime.stop()

    assert await runtime.unready() == "The runtime is stopping."


async def test_a_failed_open_holds_nothing(unstarted: World, tmp_path: Path):
    """Where the database cannot be used, the folder is free for the next try."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "agent-actors.db").write_text("no database" * 1000)
    for _ in range(2):
        with pytest.raises(StartupError, match="not a database"):
            unstarted.open()


async def test_a_bad_component_file_stops_the_start(unstarted: World, tmp_path: Path):
    """The text names the file, and nothing was taken."""
    (tmp_path / "components" / "bad.yaml").write_text("kind: [")

    with pytest.raises(StartupError, match=r"bad\.yaml"):
        unstarted.open()
    assert not (tmp_path / "data").exists()


async def test_it_is_started_once(world: World):
    """A runtime that ran is not started again; another one is opened."""
    with pytest.raises(StartupError, match="started once"):
        await world.runtime.start(world.deliver)
    await world.runtime.stop()
    with pytest.raises(StartupError, match="started once"):
        await world.runtime.start(world.deliver)


async def test_reminders_that_cannot_be_read_stop_the_start(unstarted: World):
    """A database that breaks between open and start is a start that fails."""
    runtime = unstarted.open()
    await runtime._store.write(lambda connection: connection.execute("DROP TABLE reminders"))

    with pytest.raises(StartupError, match="reminders cannot be read"):
        await runtime.start(unstarted.deliver)


async def test_stopping_twice_is_stopping(world: World):
    """Both callers return when it has ended, and nothing that was started is left."""
    await asyncio.gather(world.runtime.stop(), world.runtime.stop())
    await world.runtime.stop()
    await settle()

    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert world.clock.waiting == 0


async def test_an_unstarted_runtime_stops(unstarted: World):
    """A runtime that was only opened gives everything back."""
    await unstarted.open().stop()
    await unstarted.open().stop()


async def test_a_running_turn_ends_within_the_drain_time(world: World):
    """At a stop a turn is let finish, while new calls are refused and waiting ones too."""
    turn = asyncio.create_task(world.call("a", "Hold", Hold("gate")))
    await settle()
    waiting = asyncio.create_task(world.call("a", "Echo", "x"))
    await settle()
    stop = asyncio.create_task(world.runtime.stop())
    await world.clock.advance(6)

    with pytest.raises(Unavailable, match="stopping"):
        await world.call("b", "Echo", "x")

    world.journal.gates["gate"].set()
    await stop
    await turn

    with pytest.raises(Unavailable, match="stopping"):
        await waiting
    assert world.journal.entries[-1] == ("deactivate", "a")


async def test_a_turn_that_takes_longer_is_cut(world: World):
    """After the drain time the turn is cancelled, and its caller told to try again."""
    turn = asyncio.create_task(world.call("a", "Hold", Hold("gate")))
    await settle()
    stop = asyncio.create_task(world.runtime.stop())
    await world.clock.advance(7)
    await stop

    with pytest.raises(Unavailable, match="cut off"):
        await turn
    assert ("deactivate", "a") in world.journal.entries


async def test_a_turn_that_heeds_nothing_does_not_keep_the_process(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    """A turn that swallows its cancellation is left behind after a last moment."""
    gate = world.journal.gates["gate"]
    wait = gate.wait

    async def stubborn() -> bool:
        try:
            return await wait()
        except asyncio.CancelledError:
            return await wait()

    monkeypatch.setattr(gate, "wait", stubborn)
    turn = asyncio.create_task(world.call("a", "Hold", Hold("gate")))
    await settle()
    stop = asyncio.create_task(world.runtime.stop())
    await world.clock.advance(20)
    await stop
    gate.set()
    with pytest.raises(Unavailable):
        await turn


async def test_after_the_stop_nothing_is_taken(world: World):
    """Calls, saves, reminders and events are refused, each with a sentence."""
    await world.call("a", "Echo", "x")
    client = world.runtime.actor_client
    await world.runtime.stop()

    with pytest.raises(Unavailable):
        await world.call("a", "Echo", "x")
    with pytest.raises(Unavailable):
        await client.save_state_transactionally("Probe", "a", b"[]")
    with pytest.raises(Unavailable):
        await client.get_state("Probe", "a", "k")
    with pytest.raises(Unavailable):
        await client.register_reminder("Probe", "a", "r", b'{"dueTime":"0s"}')
    with pytest.raises(Unavailable):
        await client.unregister_reminder("Probe", "a", "r")
    with pytest.raises(Unavailable):
        await world.publish(1)


def test_opening_needs_no_loop(tmp_path: Path):
    """A command opens the runtime before it runs a loop, and stops it in one."""
    world = World(tmp_path)
    runtime: EmbeddedRuntime = world.open()

    assert isinstance(world.clock, HandClock)

    asyncio.run(runtime.stop())
