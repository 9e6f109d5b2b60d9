"""Reminders: durable, one-shot or repeating."""

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest

from agent_actors.clock import SystemClock
from tests.conformance.forms import DUE_TIMES, NO_TIMES, taken
from tests.conformance.harness import Harness
from tests.conformance.probe import Arm
from tests.fakes import eventually


async def test_a_one_shot_reminder_fires_once(runtime: Harness):
    """A reminder without a period fires once, with what was registered."""
    await runtime.call("a", "Arm", Arm("once", due=0.2, data="10m"))
    await runtime.passed(1.5)

    assert runtime.journal.of("fired")[0] == ("fired", "a", "once", "10m")
    assert len(runtime.journal.of("fired")) == 2


async def test_a_reminder_that_is_due_at_once_fires_at_once(runtime: Harness):
    """A due time of nothing is now."""
    await runtime.call("a", "Arm", Arm("now", due=0))
    await runtime.fired(1)


async def test_a_repeating_reminder_goes_on(runtime: Harness):
    """A reminder with a period fires again until it is unregistered from outside."""
    await runtime.call("a", "Arm", Arm("beat", due=0.2, period=1))
    await runtime.fired(3)
    await runtime.call("a", "Disarm", "beat")
    count = len(runtime.journal.of("fired"))
    await runtime.passed(2.5)

    under_way = 1  # A runtime that is another process may have sent a fire before it was told.
    assert len(runtime.journal.of("fired")) <= count + 1 + under_way


async def test_a_reminder_unregisters_itself(runtime: Harness):
    """Unregistering within the callback ends a repeating reminder."""
    await runtime.call("a", "Arm", Arm("self", due=0, period=1, data="unregister"))
    await runtime.passed(2.5)

    assert [entry[1] for entry in runtime.journal.of("fired")] == ["a", "later"]


async def test_unregistering_what_is_not_there_is_fine(runtime: Harness):
    """An unknown reminder is unregistered without an error."""
    await runtime.call("a", "Disarm", "never")


async def test_registering_again_replaces(runtime: Harness):
    """The later registration of a name counts: its due time and its data."""
    await runtime.call("a", "Arm", Arm("name", due=2, data="first"))
    await runtime.call("a", "Arm", Arm("name", due=2.5, data="second"))
    await runtime.fired(1)

    assert [entry[3] for entry in runtime.journal.of("fired")] == ["second"]


async def test_a_reminder_outlives_a_restart(runtime: Harness):
    """A reminder that is not yet due when the runtime stops fires after the next start."""
    await runtime.call("a", "Arm", Arm("kept", due=2, data="kept"))
    await runtime.stop()

    assert not runtime.journal.of("fired")

    await runtime.start()
    await runtime.fired(1)

    assert runtime.journal.of("fired") == [("fired", "a", "kept", "kept")]


async def test_an_overdue_reminder_fires_at_the_start(runtime: Harness):
    """A one-shot reminder that fell due while everything was away fires once after the start."""
    await runtime.call("a", "Arm", Arm("overdue", due=0.5))
    await runtime.stop()
    await SystemClock().sleep(0.7)  # Everything is away: there is no condition to wait for.

    assert not runtime.journal.of("fired")

    await runtime.start()
    await runtime.fired(1)
    await runtime.call("b", "Arm", Arm("later", due=1))
    await runtime.fired(2)

    assert [entry[2] for entry in runtime.journal.of("fired")] == ["overdue", "later"]


async def test_a_failing_fire_is_tried_again(runtime: Harness):
    """A one-shot reminder whose callback fails twice is delivered three times."""
    runtime.journal.failures = 2
    await runtime.call("a", "Arm", Arm("flaky", due=0))
    await runtime.fired(3)
    await runtime.passed(1.5)

    assert len(runtime.journal.of("fired")) == 4


async def test_a_reminder_that_always_fails_is_gone(runtime: Harness):
    """A one-shot reminder is delivered four times, and never again."""
    runtime.journal.failures = 100
    await runtime.call("a", "Arm", Arm("hopeless", due=0))
    await runtime.fired(4)
    await runtime.passed(2)

    assert [entry[1] for entry in runtime.journal.of("fired")] == ["a"] * 4 + ["later"]


async def test_a_failing_tick_does_not_stop_the_next(runtime: Harness):
    """A repeating reminder goes on after a tick whose four deliveries failed."""
    runtime.journal.failures = 4
    await runtime.call("a", "Arm", Arm("beat", due=0, period=4.5, data="unregister"))
    await runtime.fired(5)
    await runtime.passed(1.5)

    assert [entry[1] for entry in runtime.journal.of("fired")] == ["a"] * 5 + ["later"]


async def test_a_reminder_wakes_a_deactivated_actor(stopped: Harness):
    """A reminder outlives its actor's activation, and fires in the next one."""
    await stopped.start(idle_timeout=1)
    await stopped.call("a", "Arm", Arm("wake", due=2.5))
    await stopped.fired(1)

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
    await runtime.fired(1)

    assert runtime.journal.of("fired") == [("fired", "a", "long", text)]


async def test_a_time_to_live_begins_with_the_first_due_time(runtime: Harness):
    """Ticks after the time to live do not come: due after 1 s, each second, for 2.5 s is three."""
    await runtime.call("a", "Arm", Arm("short", due=1, period=1, ttl=2.5))
    await eventually(lambda: len(runtime.journal.of("fired")) == 3)
    with pytest.raises(TimeoutError):
        await eventually(lambda: len(runtime.journal.of("fired")) > 3, within=2.0)


FIRES: dict[str, tuple[dict[str, str], int]] = {
    "three": ({"dueTime": "0s", "period": "R3/PT1S"}, 3),
    "one": ({"dueTime": "0s", "period": "R1/PT1S"}, 1),
    "a period away": ({"period": "R2/PT1S"}, 2),
    "its end": ({"dueTime": "PT1S", "period": "PT1S", "ttl": "PT2S"}, 3),
    "from now": ({"period": "1s", "ttl": "2500ms"}, 2),
    "past": ({"dueTime": "2000-01-01T00:00:00Z"}, 1),
}
"""What a reminder says, and how often it fires."""


async def test_a_reminder_fires_as_often_as_it_says(runtime: Harness):
    """`Rn/` is n fires in all; without a due time the first is a period away."""
    for name, (body, _) in FIRES.items():
        await runtime.remind(name, name, **body)
    await runtime.passed(4.5)

    came = Counter(entry[1] for entry in runtime.journal.of("fired"))
    assert {name: came[name] for name in FIRES} == {name: each for name, (_, each) in FIRES.items()}


async def test_a_reminder_is_due_at_a_time(runtime: Harness):
    """A due time and the end of its life may be times of RFC 3339."""
    now = SystemClock().now().replace(microsecond=0)
    due, end = (now + timedelta(seconds=seconds) for seconds in (2, 4))
    await runtime.remind("a", "some", dueTime=_rfc(due), period="1500ms", ttl=_rfc(end))
    await runtime.fired(1)

    assert SystemClock().now() >= due

    await runtime.fired(2)
    with pytest.raises(TimeoutError):
        await eventually(lambda: len(runtime.journal.of("fired")) > 2, within=2.0)


async def test_what_is_left_of_the_repetitions_outlives_a_restart(runtime: Harness):
    """A reminder of three fires that has fired once before a stop fires twice after it."""
    await runtime.remind("a", "some", dueTime="0s", period="R3/PT3S")
    await runtime.fired(1)
    # A fire that the runtime has not counted yet when it stops is repeated.
    await runtime.passed(0.5)
    await runtime.stop()
    await runtime.start()
    await runtime.fired(4)
    with pytest.raises(TimeoutError):
        await eventually(lambda: len(runtime.journal.of("fired")) > 4, within=4.0)


REFUSED: list[dict[str, Any]] = [
    *NO_TIMES,
    {},
    {"dueTime": "1h", "period": "P1D"},
    {"dueTime": "1h", "period": "P1W"},
    {"dueTime": "1h", "period": "P1M"},
    {"dueTime": "1h", "period": "P1Y"},
    {"dueTime": "1h", "period": "P1DT1H"},
    {"dueTime": "1h", "period": "R3/P1D"},
    {"dueTime": "1h", "period": "0 0 * * * *"},
    {"dueTime": "1h", "ttl": "2h"},
]


async def test_other_forms_are_refused(runtime: Harness):
    """What is no time and no duration is an error to whoever registers it, and nothing fires."""
    assert await taken(runtime, runtime.remind, REFUSED) == []
    assert await runtime.call("a", "Echo", "well") == "well"


TAKEN: list[dict[str, Any]] = [
    *DUE_TIMES,
    {"dueTime": "1h", "period": "PT1H1M1S"},
    {"dueTime": "1h", "period": "R0/PT1H"},
    {"dueTime": "1h", "period": "R-1/PT1H"},
    {"dueTime": "1h", "period": "1h", "ttl": "P1Y"},
    {"dueTime": "1h", "period": "1h", "ttl": "2099-01-01T00:00:00Z"},
]


async def test_every_form_of_dapr_is_taken(runtime: Harness):
    """Durations of Go and of ISO 8601 and times of RFC 3339 are forms of a reminder's schedule."""
    for number, body in enumerate(TAKEN):
        await runtime.remind("a", str(number), **body)
    await runtime.call("b", "Arm", Arm("later", due=0.5))
    await runtime.fired(1)

    assert [entry[1] for entry in runtime.journal.of("fired")] == ["b"]


def _rfc(time: datetime) -> str:
    return time.isoformat().replace("+00:00", "Z")
