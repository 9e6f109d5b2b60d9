import json
from datetime import UTC, datetime, timedelta

import pytest
from dapr.actor.runtime._reminder_data import ActorReminderData

from agent_actors.errors import Invalid
from agent_actors.protocol.codec import ValueSerializer
from agent_actors.runtime.embedded.time.schedules import Recurrence, parse, parse_timer


def body(due: timedelta, period: timedelta | None = None, ttl: timedelta | None = None) -> bytes:
    """A registration in the SDK's form."""
    data = ActorReminderData("name", b"10m", due, period, ttl)
    return ValueSerializer().serialize(data.as_dict())


def test_the_sdks_own_form_is_read():
    """Durations in hours to microseconds and the data in base64, as the SDK writes them."""
    asked = parse(body(timedelta(seconds=1, milliseconds=500), timedelta(hours=2)), 100)

    assert asked.schedule == Recurrence(101.5, 7200)
    assert asked.data == b'"MTBt"'


@pytest.mark.parametrize("period", ["null", '""', '"0h0m0s0ms0\u03bcs"'])
def test_no_period_and_a_period_of_nothing_is_once(period: str):
    """A zero period, with which Dapr fires without end, is due once."""
    asked = parse(f'{{"dueTime":"5s","period":{period},"data":{{"a":null}}}}'.encode(), 0)

    assert asked.schedule == Recurrence(5, None)
    assert asked.data == b'{"a":null}'


def test_no_due_time_is_a_period_away():
    """Without a due time a reminder fires first after its period, and lives from now on."""
    assert parse(b'{"period":"5s"}', 7).schedule == Recurrence(12, 5)
    assert parse(b'{"dueTime":"","period":"R2/PT5S","ttl":"8s"}', 7).schedule == (
        Recurrence(12, 5, 15, 2)
    )


def test_a_timer_without_a_due_time_is_due_now():
    """A timer without times ticks once, now."""
    assert parse_timer(b"{}", 7, 1000).schedule == Recurrence(7)
    assert parse_timer(b'{"period":"R2/PT5S"}', 7, 1000).schedule == Recurrence(7, 5, None, 2)


def test_a_tick_of_a_timer_has_what_was_registered():
    """Each fire has Dapr's body: callback, data and the registered times."""
    asked = b'{"callback":"tick","data":{"n":null,"f":1.0},"dueTime":"5s","period":"PT1M"}'

    assert json.loads(parse_timer(asked, 0, 0).body) == json.loads(asked)
    assert json.loads(parse_timer(b"{}", 0, 0).body) == {
        "callback": "",
        "data": None,
        "dueTime": "",
        "period": "",
    }


def test_the_last_moment_of_a_timers_life_is_none():
    """At the very end of the time to live a reminder fires, and a timer does not."""
    asked = b'{"dueTime":"1s","period":"1s","ttl":"2s"}'
    timer, reminder = parse_timer(asked, 0, 0).schedule, parse(asked, 0).schedule

    assert timer is not None
    assert _dues(timer) == [1, 2]
    assert _dues(reminder) == [1, 2, 3]
    assert parse_timer(b'{"dueTime":"1s","ttl":"0s"}', 0, 0).schedule is None


def test_times_are_of_the_wall():
    """An RFC 3339 time is wall time, whatever clock the schedule uses."""
    at = b'{"dueTime":"2026-01-01T00:00:10Z","period":"5s","ttl":"2026-01-01T01:00:20+01:00"}'
    start = 1_767_225_600.0

    assert parse(at, start).schedule == Recurrence(start + 10, 5, start + 20)

    timer = parse_timer(at, 7, start).schedule

    assert timer is not None
    assert timer.due == 17
    assert timer.expires == pytest.approx(27)


def test_months_and_years_are_the_calendars():
    """A month after 31 January is 3 March, as on Dapr."""
    start = datetime(2026, 1, 31, tzinfo=UTC)

    def due(text: str) -> datetime:
        asked = f'{{"dueTime":"{text}"}}'.encode()
        return datetime.fromtimestamp(parse(asked, start.timestamp()).schedule.due, UTC)

    assert due("P1M") == datetime(2026, 3, 3, tzinfo=UTC)
    assert due("P1Y2M3W4DT5H6M7S") == datetime(2027, 4, 25, 5, 6, 7, tzinfo=UTC)
    assert due("P23M") == datetime(2027, 12, 31, tzinfo=UTC)


def _dues(schedule: Recurrence) -> list[float]:
    dues: list[float] = []
    following: Recurrence | None = schedule
    while following is not None:
        dues.append(following.due)
        following = following.next(following.due)
    return dues


@pytest.mark.parametrize(
    ("duration", "seconds"),
    [("1h", 3600), ("1.5s", 1.5), ("10ms", 0.01), ("3us", 3e-6), ("3\u00b5s", 3e-6), ("1m1s", 61)],
)
def test_go_durations_are_read(duration: str, seconds: float):
    """Go's durations are accepted."""
    assert parse(f'{{"dueTime":"{duration}"}}'.encode(), 0).schedule.due == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"{}",
        b'{"period":"P1D"}',
        b'{"dueTime":"0s","ttl":"3s"}',
        b'{"dueTime":"-1s"}',
        b'{"dueTime":"1s","period":"-1s"}',
        b'{"dueTime":"0001-01-01T00:00:00Z","period":"R2/PT0.001S"}',
        b'{"dueTime":"P9999Y"}',
        b'{"dueTime":"2026-13-01T00:00:00Z"}',
        b'{"dueTime":"%sh"}' % (b"9" * 400),
        b'{"dueTime":"1s","period":"R%s/PT1S"}' % (b"9" * 400),
    ],
)
def test_other_forms_are_refused(text: bytes):
    """Also what no number can hold; tests/conformance has more forms."""
    with pytest.raises(Invalid):
        parse(text, 0)


def test_a_period_too_short_is_a_millisecond():
    """No schedule can keep the process from everything else."""
    assert parse(b'{"period":"1ns"}', 0).schedule.period == 0.001


def test_repetitions_are_counted():
    """Each fire counts, and after the last one there is none."""
    assert _dues(Recurrence(10, 5, None, 3)) == [10, 15, 20]
    assert Recurrence(10, 5, None, 3).next(100) == Recurrence(105, 5, None, 2)
    assert Recurrence(10, 5, None, 1).next(10) is None


@pytest.mark.parametrize("times", ["0", "-1"])
def test_fewer_than_no_repetitions_are_no_limit(times: str):
    """A negative number is no limit, as on Dapr; a timer with zero is refused."""
    asked = f'{{"period":"R{times}/PT5S"}}'.encode()

    assert parse(asked, 0).schedule.left is None
    if times == "0":
        with pytest.raises(Invalid, match="repeats nothing"):
            parse_timer(asked, 0, 0)


@pytest.mark.parametrize(("now", "due"), [(10, 15), (14.9, 15), (15, 20), (31, 35)])
def test_the_next_tick_keeps_step(now: float, due: float):
    """The next tick is a whole number of periods later; missed ones are skipped."""
    assert Recurrence(10, 5).next(now) == Recurrence(due, 5)


def test_ticks_end():
    """A one-shot has no next tick; a reminder has none after its time to live."""
    assert Recurrence(10).next(10) is None
    assert Recurrence(10, 5, 20).next(16) == Recurrence(20, 5, 20)
    assert Recurrence(10, 5, 20).next(20) is None
