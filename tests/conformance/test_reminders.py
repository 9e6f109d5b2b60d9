"""Reminders: durable, one-shot or repeating."""

import pytest

from agent_actors.clock import SystemClock
from tests.conformance.harness import Harness, eventually
from tests.conformance.probe import Arm


async def fired(runtime: Harness, count: int) -> None:
    await eventually(lambda: len(runtime.journal.of("fired")) >= count)


async def test_a_one_shot_reminder_fires_once(runtime: Harness):
    """A reminder without a period fires once, with what was registered."""
    await runtime.call("a", "Arm", Arm("once", due=0.2, data="10m"))
    await runtime.call("b", "Arm", Arm("later", due=1.5))
    await eventually(lambda: ("fired", "b", "later", "nothing") in runtime.journal.entries)

    assert runtime.journal.of("fired")[0] == ("fired", "a", "once", "10m")
    assert len(runtime.journal.of("fired")) == 2


async def test_a_reminder_that_is_due_at_once_fires_at_once(runtime: Harness):
    """A due time of nothing is now."""
    await runtime.call("a", "Arm", Arm("now", due=0))
    await fired(runtime, 1)


async def test_a_repeating_reminder_goes_on(runtime: Harness):
    """A reminder with a period fires again until it is unregistered from outside."""
    await runtime.call("a", "Arm", Arm("beat", due=0.2, period=1))
    await fired(runtime, 3)
    await runtime.call("a", "Disarm", "beat")
    count = len(runtime.journal.of("fired"))
    await runtime.call("b", "Arm", Arm("later", due=1.5))
    await eventually(lambda: ("fired", "b", "later", "nothing") in runtime.journal.entries)

    assert len(runtime.journal.of("fired")) == count + 1


async def test_a_reminder_unregisters_itself(runtime: Harness):
    """Unregistering within the callback ends a repeating reminder."""
    await runtime.call("a", "Arm", Arm("self", due=0, period=1, data="unregister"))
    await runtime.call("b", "Arm", Arm("later", due=2.5))
    await eventually(lambda: ("fired", "b", "later", "nothing") in runtime.journal.entries)

    assert [entry[1] for entry in runtime.journal.of("fired")] == ["a", "b"]


async def test_unregistering_what_is_not_there_is_fine(runtime: Harness):
    """An unknown reminder is unregistered without an error."""
    await runtime.call("a", "Disarm", "never")


async def test_registering_again_replaces(runtime: Harness):
    """The later registration of a name counts: its due time and its data."""
    await runtime.call("a", "Arm", Arm("name", due=0.7, data="first"))
    await runtime.call("a", "Arm", Arm("name", due=2, data="second"))
    await runtime.call("b", "Arm", Arm("between", due=1.3))
    await fired(runtime, 2)

    assert [entry[3] for entry in runtime.journal.of("fired")] == ["nothing", "second"]


async def test_a_reminder_outlives_a_restart(runtime: Harness):
    """A reminder that is not yet due when the runtime stops fires after the next start."""
    await runtime.call("a", "Arm", Arm("kept", due=2, data="kept"))
    await runtime.stop()

    assert not runtime.journal.of("fired")

    await runtime.start()
    await fired(runtime, 1)

    assert runtime.journal.of("fired") == [("fired", "a", "kept", "kept")]


async def test_an_overdue_reminder_fires_at_the_start(runtime: Harness):
    """A one-shot reminder that fell due while everything was away fires once after the start."""
    await runtime.call("a", "Arm", Arm("overdue", due=0.5))
    await runtime.stop()
    await SystemClock().sleep(0.7)  # Everything is away: there is no condition to wait for.

    assert not runtime.journal.of("fired")

    await runtime.start()
    await fired(runtime, 1)
    await runtime.call("b", "Arm", Arm("later", due=1))
    await fired(runtime, 2)

    assert [entry[2] for entry in runtime.journal.of("fired")] == ["overdue", "later"]


async def test_a_failing_fire_is_tried_again(runtime: Harness):
    """A one-shot reminder whose callback fails twice is delivered three times."""
    runtime.journal.failures = 2
    await runtime.call("a", "Arm", Arm("flaky", due=0))
    await fired(runtime, 3)
    await runtime.call("b", "Arm", Arm("later", due=1.5))
    await eventually(lambda: ("fired", "b", "later", "nothing") in runtime.journal.entries)

    assert len(runtime.journal.of("fired")) == 4


async def test_a_reminder_that_always_fails_is_gone(runtime: Harness):
    """A one-shot reminder is delivered four times, and never again."""
    runtime.journal.failures = 100
    await runtime.call("a", "Arm", Arm("hopeless", due=0))
    await fired(runtime, 4)
    await runtime.call("b", "Arm", Arm("later", due=2))
    await eventually(lambda: ("fired", "b", "later", "nothing") in runtime.journal.entries)

    assert [entry[1] for entry in runtime.journal.of("fired")] == ["a"] * 4 + ["b"]


async def test_a_failing_tick_does_not_stop_the_next(runtime: Harness):
    """A repeating reminder goes on after a tick whose four deliveries failed."""
    runtime.journal.failures = 4
    await runtime.call("a", "Arm", Arm("beat", due=0, period=4.5, data="unregister"))
    await fired(runtime, 5)
    await runtime.call("b", "Arm", Arm("later", due=1.5))
    await eventually(lambda: ("fired", "b", "later", "nothing") in runtime.journal.entries)

    assert [entry[1] for entry in runtime.journal.of("fired")] == ["a"] * 5 + ["b"]


async def test_a_reminder_wakes_an_actor_that_was_put_away(stopped: Harness):
    """A reminder outlives its actor's activation, and fires in the next one."""
    await stopped.start(idle_timeout=1)
    await stopped.call("a", "Arm", Arm("wake", due=2.5))
    await fired(stopped, 1)

    assert [entry[0] for entry in stopped.journal.entries] == [
        "activate",
        "deactivate",
        "activate",
        "fired",
    ]


async def test_a_reminder_brings_what_it_was_given(runtime: Harness):
    """64 KiB of any text come back exactly."""
    text = '10m é "quote" \\ 👩‍👧\n' * 2_000
    await runtime.call("a", "Arm", Arm("long", due=0, data=text))
    await fired(runtime, 1)

    assert runtime.journal.of("fired") == [("fired", "a", "long", text)]


async def test_a_time_to_live_begins_with_the_first_due_time(runtime: Harness):
    """Ticks after the time to live do not come: due after 1 s, each second, for 2.5 s is three."""
    await runtime.call("a", "Arm", Arm("short", due=1, period=1, ttl=2.5))
    await eventually(lambda: len(runtime.journal.of("fired")) == 3)
    with pytest.raises(TimeoutError):
        await eventually(lambda: len(runtime.journal.of("fired")) > 3, within=2.0)
