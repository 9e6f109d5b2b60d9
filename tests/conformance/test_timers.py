"""Timers: volatile, each fire a turn of the actor."""

import asyncio
from collections import Counter
from typing import Any

from tests.conformance.forms import DUE_TIMES, NO_TIMES, taken
from tests.conformance.harness import Harness
from tests.conformance.probe import Hold
from tests.fakes import eventually

TICK = "1s"


async def ticked(runtime: Harness, count: int) -> None:
    await eventually(lambda: len(runtime.journal.of("ticked")) >= count)


async def test_a_timer_ticks_with_what_it_was_given(runtime: Harness):
    """The callback gets its data, JSON of any kind, at the due time and then each period."""
    data: Any = {"text": "10m", "none": None, "list": [1, 2.5, "é"]}
    await runtime.call("a", "Echo", "here")
    await runtime.time("a", "nil", dueTime="0s", data=None)
    await eventually(lambda: runtime.journal.of("ticked") == [("ticked", "a", "None")], 5)
    runtime.journal.entries.clear()
    await runtime.time("a", "beat", dueTime="0s", period=TICK, data=data)
    await ticked(runtime, 3)

    assert runtime.journal.of("ticked")[:3] == [("ticked", "a", str(data))] * 3


async def test_a_timer_without_a_period_ticks_once(runtime: Harness):
    """No period, or one of nothing, is one tick."""
    await runtime.call("a", "Echo", "here")
    await runtime.time("a", "none", dueTime="0s")
    await runtime.time("a", "zero", dueTime="0s", period="0s")
    await runtime.passed(1.5)

    assert sorted(runtime.journal.of("ticked")) == [
        ("ticked", "a", "none"),
        ("ticked", "a", "zero"),
    ]


async def test_a_tick_is_a_turn(runtime: Harness):
    """A timer waits for the turn that runs, and the next turn for its callback."""
    held = asyncio.create_task(runtime.call("a", "Hold", Hold("gate")))
    await eventually(lambda: len(runtime.journal.of("enter")) == 1)
    await runtime.time("a", "tick", dueTime="0s", data="hold tick")
    await runtime.passed(0.5)

    assert not runtime.journal.of("ticked")

    runtime.journal.gates["gate"].set()
    await held
    await ticked(runtime, 1)
    waiting = asyncio.create_task(runtime.call("a", "Echo", "next"))
    await runtime.call("b", "Echo", "time passes")

    assert not waiting.done()

    runtime.journal.gates["tick"].set()

    assert await waiting == "next"


async def test_a_failing_tick_does_not_stop_a_timer(runtime: Harness):
    """It is not tried again, and the next one comes."""
    await runtime.call("a", "Echo", "here")
    await runtime.time("a", "beat", dueTime="0s", period=TICK, ttl="2500ms", data="fail")
    await ticked(runtime, 3)
    await runtime.passed(1.5)

    assert len(runtime.journal.of("ticked")) == 3


async def test_a_timer_is_stopped_from_outside(runtime: Harness):
    """After it is unregistered no tick begins; one that is not there is stopped already."""
    await runtime.call("a", "Echo", "here")
    await runtime.time("a", "beat", dueTime="0s", period=TICK)
    await ticked(runtime, 2)
    await runtime.call("a", "Echo", "the tick is over")  # Else it would stop itself: that differs.
    await runtime.untime("a", "beat")
    await runtime.untime("a", "never")
    count = len(runtime.journal.of("ticked"))
    await runtime.passed(2.5)

    under_way = 1  # A runtime that is another process may have sent a tick before it was told.
    assert len(runtime.journal.of("ticked")) <= count + under_way


async def test_the_later_timer_of_a_name_counts(runtime: Harness):
    """Registering again replaces the due time, the period and the data."""
    await runtime.call("a", "Echo", "here")
    await runtime.time("a", "name", dueTime="2s", data="first")
    await runtime.time("a", "name", dueTime="2500ms", data="second")
    await ticked(runtime, 1)

    assert runtime.journal.of("ticked") == [("ticked", "a", "second")]


async def test_a_timer_does_not_outlive_a_restart(runtime: Harness):
    """Nothing of a timer is saved."""
    await runtime.call("a", "Echo", "here")
    await runtime.time("a", "beat", dueTime="1s", period=TICK)
    await runtime.stop()
    await runtime.start()
    await runtime.call("a", "Echo", "here again")
    await runtime.passed(2)

    assert not runtime.journal.of("ticked")


TICKS: dict[str, tuple[dict[str, str], int]] = {
    "three": ({"dueTime": "0s", "period": "R3/PT1S"}, 3),
    "one": ({"dueTime": "0s", "period": "R1/PT1S"}, 1),
    "at once": ({"period": "R2/PT1S"}, 2),
    "its end": ({"dueTime": "PT1S", "period": "PT1S", "ttl": "PT2S"}, 2),
    "past": ({"dueTime": "2000-01-01T00:00:00Z"}, 1),
    "over": ({"dueTime": "1s", "period": "1s", "ttl": "0s"}, 0),
    "nothing": ({}, 1),
}
"""What a timer says, and how often it ticks."""


async def test_a_timer_ticks_as_often_as_it_says(runtime: Harness):
    """`Rn/` is n ticks in all; its life begins with the due time, and its last moment is none."""
    for name, (body, _) in TICKS.items():
        await runtime.call(name, "Echo", "here")
        await runtime.time(name, name, **body)
    await runtime.passed(4.5)

    came = Counter(name for _, name, _ in runtime.journal.of("ticked"))
    assert {name: came[name] for name in TICKS} == {name: each for name, (_, each) in TICKS.items()}


REFUSED: list[dict[str, Any]] = [*NO_TIMES, {"dueTime": "1h", "period": "R0/PT1H"}]


async def test_other_forms_are_refused(runtime: Harness):
    """What is no time and no duration is an error to whoever registers it, and nothing ticks."""
    await runtime.call("a", "Echo", "here")

    assert await taken(runtime, runtime.time, REFUSED) == []
    assert await runtime.call("a", "Echo", "well") == "well"


TAKEN: list[dict[str, Any]] = [
    *DUE_TIMES,
    {"dueTime": "1h", "period": "P1D"},
    {"dueTime": "1h", "period": "R3/P1W1D"},
    {"dueTime": "1h", "period": "R-1/PT1H1M1S"},
    {"dueTime": "1h", "period": "1ns", "ttl": "P1M"},
    {"dueTime": "1h", "ttl": "2099-01-01T00:00:00Z"},
]


async def test_every_form_of_dapr_is_taken(runtime: Harness):
    """Durations of Go and of ISO 8601 and times of RFC 3339 are forms of a timer's schedule."""
    await runtime.call("a", "Echo", "here")
    for number, body in enumerate(TAKEN):
        await runtime.time("a", str(number), **body)
    await runtime.passed(0.5)

    assert not runtime.journal.of("ticked")
