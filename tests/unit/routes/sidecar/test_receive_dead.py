"""Records that cannot be applied are kept as dead letters."""

import base64
import json

import pytest

from agent_actors.errors import Conflict, ModelFailed, Unavailable
from agent_actors.protocol import dead_letters
from agent_actors.routes.sidecar import callbacks, receive, subscriptions
from agent_actors.routes.sidecar.receive import read_letter, read_record
from tests.conftest import Serve, Served
from tests.fakes import FakeRuntime, HeldModel, QuickModel, eventually
from tests.unit.routes.sidecar.records import (
    PATH,
    Pairs,
    as_said,
    at,
    letter,
    post,
    raw,
    received,
    said,
)
from tests.unit.routes.sidecar.test_callbacks import TOKEN, beside_a_sidecar

UNUSABLE = [
    pytest.param(b"Hello?", "JSON", id="no JSON"),
    pytest.param(b"\xff\xfe", "JSON", id="no text"),
    pytest.param(b"[]", "body", id="no object"),
    pytest.param(b'{"actor_id": "ada"}', "message: Field required", id="no message"),
    pytest.param(said("x").replace(b'"user"', b'"assistant"'), "message.role", id="another role"),
    pytest.param(said("x").replace(b'"x"', b"1"), "message.content", id="no text in it"),
    pytest.param(said("x", "a/../b"), "An id is", id="a bad id"),
    pytest.param(said("x", "session:a"), "session:", id="a session's id"),
    pytest.param(said("x", message_id="a b"), "message_id", id="a bad message id"),
    pytest.param(said(" "), "no content", id="blank"),
    pytest.param(said("x" * 65_537), "65536 bytes", id="too long"),
    pytest.param(said("x").replace(b'"x"', b'"\\ud800"'), "Invalid JSON", id="half a character"),
]


@pytest.mark.parametrize(("body", "reason"), UNUSABLE)
async def test_what_can_never_work_is_a_dead_letter(
    serve: Serve, body: bytes, reason: str, caplog: pytest.LogCaptureFixture
):
    """Kept byte for byte, once, with the reason; requeued, it fails again."""
    async with serve() as served:
        told = await received(served, body, at(0))
        assert await received(served, body, at(0)) == told
        (kept,) = await served.services.dead_letters.list(10)

        assert told == {"status": "Message parked", "letter_id": kept.id}
        assert reason in kept.reason
        assert read_letter(await letter(served)).value == body
        with pytest.raises(Conflict, match="failed again"):
            await subscriptions.redeliver(served.services, kept.topic, await letter(served))
    assert [row.levelname for row in caplog.records if row.name == receive.__name__] == [
        "WARNING",
        "WARNING",
    ]
    assert "Hello?" not in caplog.text


async def test_each_record_has_a_letter(serve: Serve):
    """The same value elsewhere is another letter; both are found by whoever forgets the user."""
    async with serve() as served:
        await received(served, said(" "), at(0))
        await received(served, said(" "), at(1))
        kept = await served.services.dead_letters.list(10)

        assert len(kept) == 2
        assert all(dead_letters.is_about(each.event, "ada") for each in kept)


async def test_a_position_that_is_not_true_takes_no_letter_s_place(serve: Serve):
    """Two values at one position are two letters; each knows where its record is."""
    async with serve() as served:
        await received(served, b'{"forged": 1}', at(0))
        await received(served, said(" "), at(0))
        kept = [json.dumps(each.event) for each in await served.services.dead_letters.list(10)]
        records = [read_letter(event.encode()) for event in kept]

        assert {record.value for record in records} == {b'{"forged": 1}', said(" ")}
        assert {record.position for record in records} == {read_record(b"", raw(at(0))).position}


async def test_a_letter_is_the_same_message_as_its_record(serve: Serve):
    """If both are delivered, the message takes effect once."""
    model = QuickModel()
    model.error = ModelFailed("It failed.")
    async with serve(model=model) as served:
        await received(served, said("Hello"), at(0))
        kept = await letter(served)
        model.error = None
        since = await received(served, said("Hello"), at(0))
        requeued = await receive.requeue(served.services, kept)

        assert since["status"] == requeued.status == "Message processed"
        assert len(model.prompts) == 2


NO_POSITION = [
    pytest.param([], id="none at all"),
    pytest.param(at(0)[:3], id="no time"),
    pytest.param([*at(0), ("__OFFSET", "1")], id="two offsets"),
    pytest.param([*at(0)[:2], ("__offset", ""), at(0)[3]], id="an empty offset"),
    pytest.param([*at(0)[:3], ("__timestamp", "9" * 15)], id="a time that is none"),
    pytest.param([("__topic", "a/b"), *at(0)[1:]], id="a topic that is none"),
]


@pytest.mark.parametrize("headers", NO_POSITION)
async def test_without_a_position_a_message_is_a_dead_letter(serve: Serve, headers: Pairs):
    """It could be applied twice; requeued, it is applied once. A `message_id` would do as well."""
    model = QuickModel()
    async with serve(model=model) as served:
        parked = await received(served, said("Hello"), headers)
        kept = await letter(served)
        for _ in range(2):
            await subscriptions.redeliver(served.services, "kafka-binding", kept)
        named = await received(served, said("Hello", message_id="m"), headers)

        assert parked["status"] == "Message parked"
        assert len(model.prompts) == 2
        assert named["status"] == "Message processed"


async def test_a_model_that_fails_makes_a_dead_letter(serve: Serve):
    """Requeued, it is tried again; the letter stays until the turn succeeds."""
    model = QuickModel()
    model.error = ModelFailed("It failed.")
    async with serve(model=model) as served:
        told = await received(served, said("Hello"), at(0))
        kept = await letter(served)
        with pytest.raises(Conflict, match=r"It failed\."):
            await receive.requeue(served.services, kept)
        model.error = None
        first = await receive.requeue(served.services, kept)
        again = await receive.requeue(served.services, kept)

        assert told["status"] == "Message parked"
        assert first == again
        assert first.status == "Message processed"
        assert len(model.prompts) == 3


async def test_a_recorded_failure_can_be_tried_again(serve: Serve):
    """A turn that failed after it was accepted is final for its record, and not for its letter."""
    model = HeldModel()
    model.error = ModelFailed("It failed.")
    async with serve(model=model, parking_time=0.05) as served:
        turn_id = (await received(served, said("Hello"), at(0)))["turn_id"]
        model.free.set()
        await eventually(lambda: ended(served, turn_id))
        told = await received(served, said("Hello"), at(0))
        assert told["status"] == "Message parked"
        assert len(model.prompts) == 1
        model.error = None
        kept = await letter(served)
        first = await receive.requeue(served.services, kept)
        again = await receive.requeue(served.services, kept)

        assert first == again
        assert first.status == "Message processed"
        assert len(model.prompts) == 2


async def ended(served: Served, turn_id: str) -> bool:
    answer = await served.http.get(f"/chat/ada/turns/{turn_id}")
    return answer.json().get("status") == "failed"


async def test_a_letter_that_cannot_be_kept_is_503(serve: Serve, monkeypatch: pytest.MonkeyPatch):
    """A record is acknowledged only when it is saved."""
    async with serve() as served:

        async def fails(*_: object, **__: object) -> None:
            raise Unavailable("The disk is full.")

        monkeypatch.setattr(type(served.services.dead_letters), "keep", fails)

        assert (await post(served, b"Hello?", at(0))).status_code == 503


@pytest.mark.parametrize(
    "kept",
    [
        b"Hello?",
        b"[]",
        b'{"id": "x"}',
        b'{"id": "x", "data": {"actor_id": "ada"}}',
        b'{"id": "x", "data_base64": "?"}',
    ],
)
async def test_a_letter_without_its_record_stays(serve: Serve, kept: bytes):
    """Such as one that was too long to be kept whole."""
    async with serve() as served:
        with pytest.raises(Conflict, match="whole record"):
            await receive.requeue(served.services, kept)


async def test_a_letter_comes_as_a_cloud_event(serve: Serve):
    """In process; to daprd every record is `application/json`, whatever its own headers say."""
    model = QuickModel()
    value = base64.b64encode(said("Hello")).decode()
    event = {"id": "user-messages/0/0/1", "data_base64": value}
    async with serve(model=model) as served:
        headers = [("content-type", receive.LETTER.decode())]
        told = await received(served, json.dumps(event).encode(), headers)
        refused = await post(served, b"{}", headers)

        assert told["status"] == "Message processed"
        assert refused.status_code == 409


async def test_a_record_of_any_length_is_taken_care_of(monkeypatch: pytest.MonkeyPatch):
    """One that is too long becomes a dead letter without its end; refused, it would come again."""
    monkeypatch.setattr(callbacks, "LARGEST", 1_000)
    monkeypatch.setattr(receive, "LARGEST", 1_000)
    runtime = FakeRuntime(called_by_sidecar=True)
    async with beside_a_sidecar(runtime=runtime) as http:
        for offset, content in enumerate((said("x" * 5_000), parts())):
            headers = [*at(offset), *TOKEN.items()]
            answer = await http.post(PATH, content=content, headers=headers)
            assert (answer.status_code, answer.json()["status"]) == (200, "Message parked")

    assert all("more than 1000 bytes" in kept.reason for kept in runtime.letters.kept.values())
    assert [len(kept.event["data"]) for kept in runtime.letters.kept.values()] == [
        len(said("x" * 5_000)),
        1_100,
    ]


async def parts():
    for _ in range(50):
        yield b"x" * 100


def test_every_attempt_has_a_name_of_its_own():
    """A letter whose attempts have all failed stays a letter."""
    record = read_record(said("x"), raw(at(0)))
    names = {receive._turn(record, as_said("x"), n).turn_id for n in range(receive.ATTEMPTS)}

    assert len(names) == receive.ATTEMPTS
