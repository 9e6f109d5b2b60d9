import asyncio
import logging

import pytest

from agent_actors.errors import Unavailable
from tests.conformance.probe import PROBE, Arm
from tests.fakes import eventually
from tests.hand_clock import settle
from tests.unit.runtime.embedded.conftest import World


def fires(world: World) -> list[str]:
    return [f"{name}@{actor}" for _, actor, name, _ in world.journal.of("fired")]


def saved(world: World) -> list[str]:
    return [row[0] for row in world.runtime._store.rows("SELECT name FROM reminders")]


async def test_a_one_shot_is_saved_until_it_has_fired(world: World):
    """When the registration returns, a crash cannot lose the reminder."""
    await world.call("a", "Arm", Arm("r", 5, data="hello"))
    await world.clock.advance(4.9)

    assert (saved(world), fires(world)) == (["r"], [])

    await world.clock.advance(0.2)

    assert world.journal.of("fired") == [("fired", "a", "r", "hello")]
    assert saved(world) == []


async def test_an_earlier_one_wakes_the_scheduler(world: World):
    """A reminder that is due before all others does not wait for them."""
    await world.call("a", "Arm", Arm("late", 20))
    await world.clock.advance(1)
    await world.call("b", "Arm", Arm("early", 2))
    await world.clock.advance(2)

    assert fires(world) == ["early@b"]


async def test_registering_often_leaves_no_litter(world: World):
    """A reminder that is moved on every turn takes a bounded amount of memory."""
    for _ in range(3000):
        await world.runtime._reminders.register((PROBE, "a", "r"), b'{"dueTime":"24h"}')

    assert len(world.runtime._reminders._agenda) < 2000


async def test_a_failing_tick_is_tried_four_times(world: World, caplog: pytest.LogCaptureFixture):
    """A one-shot fails after three retries a second apart, and the log names it."""
    world.journal.failures = 99
    await world.call("a", "Arm", Arm("r", 5))
    await world.clock.advance(7.9)

    assert fires(world) == ["r@a"] * 3

    with caplog.at_level(logging.ERROR):
        await world.clock.advance(100)

    assert fires(world) == ["r@a"] * 4
    assert saved(world) == []
    assert "reminder r of Probe/a: the retries failed, too" in caplog.text


async def test_it_never_runs_beside_itself(world: World):
    """While a tick runs, later ticks are skipped, even after a new registration."""
    await world.call("a", "Arm", Arm("r", 1, period=1, data="hold gate"))
    await world.clock.advance(10)

    assert fires(world) == ["r@a"]

    world.journal.gates["gate"].set()
    await world.clock.advance(2)

    assert len(fires(world)) in (2, 3)


async def test_registering_again_while_it_runs_counts(world: World):
    """A registration made during a tick is neither forgotten nor overtaken by its end."""
    await world.call("a", "Arm", Arm("r", 1, data="hold gate"))
    await world.clock.advance(1)
    await world.runtime._reminders.register(
        (PROBE, "a", "r"), b'{"dueTime":"2s","data":"YWdhaW4="}'
    )
    await world.clock.advance(5)

    assert fires(world) == ["r@a"]

    world.journal.gates["gate"].set()
    await world.clock.advance(1)

    assert world.journal.of("fired")[1:] == [("fired", "a", "r", "again")]
    assert saved(world) == []


async def test_unregistering_during_the_retries_ends_them(world: World):
    """A reminder that is unregistered while it fails is not tried again."""
    world.journal.failures = 99
    await world.call("a", "Arm", Arm("r", 1))
    await world.clock.advance(1.5)
    await world.call("a", "Disarm", "r")
    await world.clock.advance(100)

    assert fires(world) == ["r@a"]


async def test_recovery_fires_at_the_start(world: World):
    """Reminders of a named kind fire at once at a start, sixteen at a time, then in step."""
    for number in range(40):
        arm = Arm("settle", 30, period=30, data="hold gate")
        await world.call(f"a{number}", "Arm", arm)
    await world.call("b", "Arm", Arm("other", 30))
    await world.restart(recover=frozenset({"settle"}))
    await eventually(lambda: len(fires(world)) >= 16)
    await settle()

    assert len(fires(world)) == 16

    world.journal.gates["gate"].set()
    await eventually(lambda: len(fires(world)) >= 40)
    await settle(30)

    assert len(fires(world)) == len(set(fires(world))) == 40

    await world.clock.advance(29)

    assert len(fires(world)) == 40

    await world.clock.advance(1.5)
    await settle(30)

    assert len(fires(world)) == 81


async def test_a_type_that_is_not_hosted_loses_nothing(world: World):
    """A reminder of an actor type that this process does not have waits until it has."""
    await world.call("a", "Arm", Arm("r", 5))
    await world.restart(hosted=False)
    await world.clock.advance(30)

    assert saved(world) == ["r"]

    await world.host()
    await world.clock.advance(60)

    assert fires(world) == ["r@a"]


async def test_a_stop_leaves_what_has_not_fired(world: World):
    """A tick that a stop has cancelled is repeated at the next start."""
    await world.call("a", "Arm", Arm("r", 1, data="hold gate"))
    await world.clock.advance(1)
    stop = asyncio.create_task(world.runtime.stop())
    await world.clock.advance(8)
    await stop

    assert fires(world) == ["r@a"]

    world.journal.gates["gate"].set()
    await world.start()
    await eventually(lambda: saved(world) == [])

    assert fires(world) == ["r@a"] * 2


async def test_a_tick_that_ends_within_the_drain_is_settled(world: World):
    """A tick that ends while the runtime drains is not repeated."""
    await world.call("a", "Arm", Arm("r", 1, data="hold gate"))
    await world.clock.advance(1)
    stop = asyncio.create_task(world.runtime.stop())
    await settle()
    world.journal.gates["gate"].set()
    await stop
    await world.start()
    await world.clock.advance(5)

    assert fires(world) == ["r@a"]


async def test_a_store_that_is_away_does_not_stop_the_ticks(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    """If a tick cannot be saved, the reminder continues; registering is refused."""
    await world.call("a", "Arm", Arm("r", 1, period=1))

    async def away(*_: object) -> None:
        raise Unavailable("The store is away.")

    monkeypatch.setattr(world.runtime._store, "write", away)
    await world.clock.advance(3)

    assert fires(world) == ["r@a"] * 3
    with pytest.raises(Unavailable):
        await world.call("b", "Arm", Arm("r", 1))
    await world.clock.advance(0.5)

    assert "r@b" not in fires(world)


async def test_repetitions_are_counted_over_restarts(world: World):
    """Three repetitions are three fires, in spite of failed and missed ticks and a restart."""
    client = world.runtime.actor_client
    await client.register_reminder(PROBE, "a", "r", b'{"dueTime":"1s","period":"R3/PT10S"}')
    world.journal.failures = 4
    await world.clock.advance(6)

    assert fires(world) == ["r@a"] * 4

    await world.runtime.stop()
    world.clock.jump(30)
    await world.start()
    await world.clock.advance(1)

    assert fires(world) == ["r@a"] * 5

    await world.restart()
    await world.clock.advance(100)

    assert fires(world) == ["r@a"] * 6
    await eventually(lambda: saved(world) == [])
