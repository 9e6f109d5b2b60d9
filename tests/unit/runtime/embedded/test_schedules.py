from datetime import timedelta

import pytest
from dapr.actor.runtime._reminder_data import ActorReminderData

from agent_actors.errors import Invalid
from agent_actors.runtime.embedded.schedules import Schedule, parse
from agent_actors.serializer import ValueSerializer


def body(due: timedelta, period: timedelta | None = None, ttl: timedelta | None = None) -> bytes:
    """As the SDK sends it."""
    data = ActorReminderData("name", b"10m", due, period, ttl)
    return ValueSerializer().serialize(data.as_dict())


def test_the_sdks_own_form_is_read():
    """Durations in hours to microseconds and the data in base64, as the SDK writes them."""
    asked = parse(body(timedelta(seconds=1, milliseconds=500), timedelta(hours=2)), 100)

    assert asked.schedule == Schedule(101.5, 7200)
    assert asked.data == b'"MTBt"'


@pytest.mark.parametrize("period", ["null", '""', '"0h0m0s0ms0\u03bcs"'])
def test_no_period_and_a_period_of_nothing_is_once(period: str):
    """Where real Dapr would fire without end (B22), it is due once."""
    asked = parse(f'{{"dueTime":"5s","period":{period},"data":{{"a":null}}}}'.encode(), 0)

    assert asked.schedule == Schedule(5, None)
    assert asked.data == b'{"a":null}'


def test_nothing_said_is_now():
    """A registration without due time and period is due once, now."""
    assert parse(b"{}", 7).schedule == Schedule(7)


@pytest.mark.parametrize(
    ("duration", "seconds"),
    [("1h", 3600), ("1.5s", 1.5), ("10ms", 0.01), ("3us", 3e-6), ("3\u00b5s", 3e-6), ("1m1s", 61)],
)
def test_go_durations_are_read(duration: str, seconds: float):
    """Any Go duration will do."""
    assert parse(f'{{"dueTime":"{duration}"}}'.encode(), 0).schedule.due == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b'{"dueTime":5}',
        b'{"dueTime":"soon"}',
        b'{"period":"P1D"}',
        b'{"dueTime":"-1s"}',
    ],
)
def test_other_forms_are_refused(text: bytes):
    """What is no duration, or no object, is refused."""
    with pytest.raises(Invalid):
        parse(text, 0)


def test_a_ttl_needs_a_period():
    """As with Dapr, a one-shot reminder has no time to live."""
    with pytest.raises(Invalid, match="ttl"):
        parse(body(timedelta(), None, timedelta(seconds=3)), 0)

    assert parse(body(timedelta(), timedelta(seconds=1), timedelta(seconds=3)), 0).schedule == (
        Schedule(0, 1, 3)
    )


@pytest.mark.parametrize(("now", "due"), [(10, 15), (14.9, 15), (15, 20), (31, 35)])
def test_the_next_tick_keeps_step(now: float, due: float):
    """The next tick is a whole number of periods after the last, and missed ones are left out."""
    assert Schedule(10, 5).next(now) == Schedule(due, 5)


def test_ticks_end():
    """A one-shot has no next tick, and a reminder with a time to live none after it."""
    assert Schedule(10).next(10) is None
    assert Schedule(10, 5, 20).next(16) == Schedule(20, 5, 20)
    assert Schedule(10, 5, 20).next(20) is None
