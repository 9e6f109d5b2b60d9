import asyncio
import logging

import pytest

from agent_actors.errors import Invalid, Unavailable
from tests.conformance.probe import PROBE, Arm
from tests.fakes import eventually
from tests.hand_clock import settle
from tests.unit.runtime.embedded.conftest import World


def fires(world: World) -> list[str]:
    return [f"{name}@{actor}" for _, actor, name, _ in world.journal.of("fired")]


def saved(world: World) -> list[str]:
    return [row[0] for row in world.runtime._store.rows("SELECT name FROM reminders")]


async def test_it_is_saved_before_it_is_promised(world: World):
    """When the registration returns, a crash cannot lose the reminder."""
    await world.call("a", "Arm", Arm("r", 5))

    assert saved(world) == ["r"]


async def test_a_one_shot_fires_once_and_is_forgotten(world: World):
    """After its only tick the reminder is deleted."""
    await world.call("a", "Arm", Arm("r", 5, data="hello"))
    await world.clock.advance(4.9)

    assert fires(world) == []

    await world.clock.advance(0.2)

    assert world.journal.of("fired") == [("fired", "a", "r", "hello")]
    assert saved(world) == []

    await world.clock.advance(1000)

    assert fires(world) == ["r@a"]


async def test_a_repeating_one_fires_each_period(world: World):
    """The first tick comes at the due time, the others a period apart."""
    await world.call("a", "Arm", Arm("r", 1, period=10))
    await world.clock.advance(31.5)

    assert fires(world) == ["r@a"] * 4
    assert saved(world) == ["r"]


async def test_an_earlier_one_wakes_the_scheduler(world: World):
    """A reminder that is due before all others does not wait for them."""
    await world.call("a", "Arm", Arm("late", 20))
    await world.clock.advance(1)
    await world.call("b", "Arm", Arm("early", 2))
    await world.clock.advance(2)

    assert fires(world) == ["early@b"]


async def test_registering_again_moves_it(world: World):
    """The due time is pushed back and the tick comes once."""
    await world.call("a", "Arm", Arm("r", 5))
    await world.clock.advance(4)
    await world.call("a", "Arm", Arm("r", 5))
    await world.clock.advance(4)

    assert fires(world) == []

    await world.clock.advance(100)

    assert fires(world) == ["r@a"]


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


async def test_a_repeating_one_goes_on_after_a_failed_tick(world: World):
    """Only the tick is dropped; the next comes in its time."""
    world.journal.failures = 4
    await world.call("a", "Arm", Arm("r", 10, period=10))
    await world.clock.advance(20)

    assert fires(world) == ["r@a"] * 5
    assert world.journal.failures == 0


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


async def test_unregistering_ends_it(world: World):
    """After the unregistration nothing fires and nothing is saved, within the callback too."""
    await world.call("a", "Arm", Arm("outside", 5, period=5))
    await world.call("b", "Arm", Arm("inside", 5, period=5, data="unregister"))
    await world.call("a", "Disarm", "outside")
    await world.call("a", "Disarm", "never")
    await world.clock.advance(100)

    assert fires(world) == ["inside@b"]
    assert saved(world) == []


async def test_unregistering_during_the_retries_ends_them(world: World):
    """A reminder that is unregistered while it fails is not tried again."""
    world.journal.failures = 99
    await world.call("a", "Arm", Arm("r", 1))
    await world.clock.advance(1.5)
    await world.call("a", "Disarm", "r")
    await world.clock.advance(100)

    assert fires(world) == ["r@a"]


async def test_an_overdue_one_fires_once_at_the_start(world: World):
    """Ticks missed while the process was away are made up for once, in step afterwards."""
    await world.call("a", "Arm", Arm("one", 5))
    await world.call("b", "Arm", Arm("many", 5, period=10))
    await world.runtime.stop()
    world.clock.jump(62)
    await world.start()
    await eventually(lambda: sorted(fires(world)) == ["many@b", "one@a"])
    await settle()

    await world.clock.advance(2.5)

    assert fires(world).count("many@b") == 1

    await world.clock.advance(1)

    assert fires(world).count("many@b") == 2


async def test_a_restart_keeps_the_due_time(world: World):
    """What is not due yet when the process comes back waits for its time."""
    await world.call("a", "Arm", Arm("r", 50))
    await world.clock.advance(20)
    await world.restart()
    await world.clock.advance(29)

    assert fires(world) == []

    await world.clock.advance(1)

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


async def test_a_time_to_live_ends_it(world: World):
    """A reminder with a time to live fires for so long, from its first due time on, as on Dapr."""
    body = b'{"dueTime":"1s","period":"1s","ttl":"4s"}'
    await world.runtime.actor_client.register_reminder(PROBE, "a", "r", body)
    await world.clock.advance(20)

    assert fires(world) == ["r@a"] * 5
    assert saved(world) == []


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


async def test_a_malformed_registration_is_refused(world: World):
    """A body that is none of Dapr's forms registers nothing."""
    with pytest.raises(Invalid, match="not a duration"):
        await world.runtime.actor_client.register_reminder(PROBE, "a", "r", b'{"dueTime":"soon"}')

    assert saved(world) == []


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


async def test_a_time_long_past_is_now(world: World):
    """A due time in another century is due at once."""
    client = world.runtime.actor_client
    past = b'{"dueTime":"0001-01-01T00:00:00Z","period":"R2/PT0.001S"}'
    with pytest.raises(Invalid, match="period"):
        await client.register_reminder(PROBE, "a", "r", past)
    await client.register_reminder(PROBE, "a", "r", past.replace(b"PT0.001S", b"PT1S"))
    await world.clock.advance(5)

    assert fires(world) == ["r@a"] * 2
