"""`/chat/{actor_id}/schedules`: scheduled messages."""

from datetime import timedelta
from typing import Any

import httpx2
import pytest

from agent_actors.errors import Unavailable
from tests.conftest import Serve, Served
from tests.fakes import FakeRuntime, HeldModel, QuickModel, eventually
from tests.hand_clock import HandClock
from tests.unit.routes.sidecar.lessons import HALF, got, send

PATH = "/chat/ada/schedules"


async def post(served: Served, content: str = "hi", **body: Any) -> httpx2.Response:
    """Posts a schedule; `key` is a header."""
    headers = {"Idempotency-Key": body.pop("key")} if "key" in body else {}
    return await served.http.post(PATH, json={"content": content} | body, headers=headers)


async def planned(served: Served, content: str = "hi", **body: Any) -> Any:
    """A schedule that was accepted."""
    answer = await post(served, content, **body)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def said(served: Served, entries: int) -> list[dict[str, Any]]:
    """The history, once it has that many entries."""

    async def there() -> bool:
        return len((await served.history("ada", limit=1000))["history"]) >= entries

    await eventually(there)
    history: list[dict[str, Any]] = (await served.history("ada", limit=1000))["history"]
    return history


async def test_a_schedule_has_one_document(serve: Serve):
    """The answer is 201 with an address; the address and the list have the same document."""
    async with serve(clock=HandClock()) as served:
        answer = await post(served, "How is my day?", every="24h", times=3)
        document = answer.json()

        assert answer.status_code == 201
        assert answer.headers["location"] == f"{PATH}/{document['schedule_id']}"
        assert document == {
            "schedule_id": document["schedule_id"],
            "content": "How is my day?",
            "next_due": "2026-01-02T00:00:00+00:00",
            "every": 86_400.0,
            "times_left": 3,
            "occurrences": 0,
            "created_at": "2026-01-01T00:00:00+00:00",
        }
        assert await got(served, answer.headers["location"]) == document
        assert await got(served, PATH) == {"schedules": [document]}
        assert await got(served, "/chat/eve/schedules") == {"schedules": []}
        other = await served.http.get(f"/chat/eve/schedules/{document['schedule_id']}")
        assert other.status_code == 404


@pytest.mark.parametrize(
    ("when", "due"),
    [
        ({"due_in": 90}, "2026-01-01T00:01:30+00:00"),
        ({"due_in": 0.5}, "2026-01-01T00:00:00.500000+00:00"),
        ({"due_in": 0}, "2026-01-01T00:00:00+00:00"),
        ({"due_in": "1h30m"}, "2026-01-01T01:30:00+00:00"),
        ({"due_in": "PT1H30M"}, "2026-01-01T01:30:00+00:00"),
        ({"due_in": 366 * 86_400}, "2027-01-02T00:00:00+00:00"),
        ({"due_at": "2026-02-03T04:05:06+01:00"}, "2026-02-03T03:05:06+00:00"),
        ({"due_at": "2026-02-03t04:05:06.5z"}, "2026-02-03T04:05:06.500000+00:00"),
        ({"due_at": "2026-01-01T00:00:00Z"}, "2026-01-01T00:00:00+00:00"),
        ({"every": 1}, "2026-01-01T00:00:01+00:00"),
        ({"every": "P1D", "due_in": None, "times": None}, "2026-01-02T00:00:00+00:00"),
    ],
)
async def test_a_time_has_many_forms(serve: Serve, when: dict[str, Any], due: str):
    """Seconds, Go's durations, ISO 8601's durations and RFC 3339 times are accepted."""
    async with serve(clock=HandClock(), model=HeldModel()) as served:
        assert (await planned(served, **when))["next_due"] == due


WRONG = [
    ({}, "every"),
    ({"due_in": 1, "every": 1}, "every"),
    ({"due_in": 1, "due_at": "2026-02-03T04:05:06Z"}, "every"),
    ({"due_in": "soon"}, "due_in"),
    ({"due_in": "-5s"}, "due_in"),
    ({"due_in": -1}, "due_in"),
    ({"due_in": True}, "due_in"),
    ({"due_in": []}, "due_in"),
    ({"due_in": float("nan")}, "due_in"),
    ({"due_in": "9" * 400 + "s"}, "due_in"),
    ({"due_in": "٣s"}, "due_in"),
    ({"due_in": 366 * 86_400 + 1}, "due_in"),
    ({"due_at": "2025-12-31T23:59:59Z"}, "due_at"),
    ({"due_at": "2027-01-02T00:00:01Z"}, "due_at"),
    ({"due_at": "2026-02-03T04:05:06"}, "due_at"),
    ({"due_at": "2026-02-03"}, "due_at"),
    ({"due_at": "2026-02-30T04:05:06Z"}, "due_at"),
    ({"due_at": "0001-01-01T00:00:00+23:59"}, "due_at"),
    ({"due_at": 1_800_000_000}, "due_at"),
    ({"every": "999ms"}, "every"),
    ({"every": 0}, "every"),
    ({"every": "24 h"}, "every"),
    ({"every": float("inf")}, "every"),
    ({"every": 366 * 86_400 + 1}, "every"),
    ({"every": "1m", "times": 0}, "times"),
    ({"every": "1m", "times": 1_001}, "times"),
    ({"every": "1m", "times": 1.5}, "times"),
    ({"due_in": 1, "times": 1}, "times"),
    ({"due_in": 1, "content": 7}, "content"),
    ({"every": "1m", "time": 4}, "time"),
]


@pytest.mark.parametrize(("body", "field"), WRONG)
async def test_a_wrong_field_is_named(serve: Serve, body: dict[str, Any], field: str):
    """The answer is 422 with the field and the reason, and no schedule is saved."""
    async with serve(clock=HandClock()) as served:
        answer = await send(served, "POST", PATH, {"content": "hi"} | body)

        assert answer.status_code == 422, answer.text
        assert [row["field"] for row in answer.json()["errors"]] == [field]
        assert answer.json()["detail"].startswith(f"{field}: ")
        assert await got(served, PATH) == {"schedules": []}


@pytest.mark.parametrize(
    ("content", "status"), [("  ", 400), (HALF, 422), ("x" * 65_537, 413), ("x" * 65_536, 201)]
)
async def test_the_content_is_that_of_a_message(serve: Serve, content: str, status: int):
    """Content that is not a valid message is refused."""
    async with serve() as served:
        answer = await send(served, "POST", PATH, {"content": content, "every": "1h"})

        assert answer.status_code == status


async def test_the_agent_speaks_up(serve: Serve):
    """The turn is in the history and marked; other entries are not marked."""
    clock = HandClock()
    async with serve(clock=clock, model=QuickModel()) as served:
        await served.reply("ada", "hello")
        document = await planned(served, "How is my day?", due_in=10)
        await clock.advance(10.0)
        history = await said(served, 4)

        assert history == [
            {"role": "user", "content": "hello"},
            {"role": "assistant", "content": "reply to hello"},
            {"role": "user", "content": "How is my day?", "scheduled": True},
            {"role": "assistant", "content": "reply to How is my day?", "scheduled": True},
        ]
        assert await served.history("ada") == {"history": history}
        await served.remembered("ada", 2)
        address = f"{PATH}/{document['schedule_id']}"
        assert (await served.http.get(address)).status_code == 404
        assert await got(served, PATH) == {"schedules": []}


async def test_the_list_is_in_the_order_of_what_is_due(serve: Serve):
    """The next schedule that is due is first, whichever was created first."""
    async with serve(clock=HandClock()) as served:
        for content, due_in in (("third", 30), ("first", 10), ("second", 20)):
            await planned(served, content, due_in=due_in)

        listed = (await got(served, PATH))["schedules"]
        assert [each["content"] for each in listed] == ["first", "second", "third"]


async def test_a_key_counts_once(serve: Serve):
    """A retry returns the same schedule, whatever the form of the time, even when it is past."""
    clock = HandClock()
    async with serve(clock=clock, model=HeldModel()) as served:
        first = await planned(served, due_in="1m", key="k")
        clock.jump(1.0)
        assert await planned(served, due_in=60, key="k") == first
        at = (clock.now() + timedelta(seconds=60)).isoformat()
        second = await planned(served, due_at=at, key="l")
        unkeyed = [(await planned(served, due_in="1m"))["schedule_id"] for _ in range(2)]
        other = await post(served, "other", due_in="1m", key="k")
        bad = await post(served, due_in="1m", key="a b")
        clock.jump(61.0)
        late = await post(served, due_at=at, key="l")
        fresh = await post(served, due_at=at, key="m")

        assert len({first["schedule_id"], second["schedule_id"], *unkeyed}) == 4
        assert [each.status_code for each in (other, bad, fresh)] == [422, 422, 422]
        assert "Idempotency-Key" in other.json()["detail"]
        assert late.json() == second


async def test_too_many_schedules_are_refused(serve: Serve):
    """The answer is 409 and says what to do."""
    async with serve(schedules=1) as served:
        await planned(served, every="1h")
        answer = await post(served, every="1h")

        assert (answer.status_code, answer.json()["retry"]) == (409, "no")
        assert "1 schedules; delete one" in answer.json()["detail"]


@pytest.mark.parametrize(("key", "retry"), [("k", "same-key"), (None, "no")])
async def test_the_advice_fits_the_key(serve: Serve, key: str | None, retry: str):
    """Without a key, a schedule that may be saved should not be sent again."""
    runtime = FakeRuntime()
    async with serve(runtime=runtime) as served:
        runtime.client.fail("save", Unavailable("away"), after=True)
        more = {} if key is None else {"key": key}
        answer = await post(served, every="1h", **more)

        assert (answer.status_code, answer.json()["retry"]) == (503, retry)
        assert len((await got(served, PATH))["schedules"]) == 1


async def test_schedules_are_exported(serve: Serve):
    """The export has running schedules, and the schedule of each turn."""
    clock = HandClock()
    async with serve(clock=clock, model=QuickModel()) as served:
        document = await planned(served, every=60, times=2)
        await served.reply("ada", "hello")
        await clock.advance(60.0)
        await said(served, 4)
        exported = await got(served, "/users/ada/export")
        (own,) = exported["conversations"]

        (listed,) = (await got(served, PATH))["schedules"]
        assert exported["schedules"] == [listed]
        assert [turn["schedule"] for turn in own["turns"]] == ["", document["schedule_id"]]
