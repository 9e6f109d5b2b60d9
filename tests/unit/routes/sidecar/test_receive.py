"""`/receive-message`, as a binding posts to it."""

import logging
import uuid

import pytest

from agent_actors.errors import Busy, Unavailable, Unreachable
from agent_actors.routes.sidecar import receive
from agent_actors.routes.sidecar.receive import read_record
from tests.conftest import Serve, Served
from tests.fakes import HeldModel, QuickModel, eventually
from tests.unit.routes.sidecar.records import (
    NOW,
    PATH,
    as_said,
    at,
    letter,
    post,
    raw,
    received,
    said,
)
from tests.unit.routes.sidecar.test_callbacks import TOKEN, beside_a_sidecar


async def test_a_message_is_answered(serve: Serve):
    """The reply comes back, and the turn is in the history."""
    async with serve(model=QuickModel()) as served:
        told = await received(served, said("Hello"), at(0))

        reply = {"role": "assistant", "content": "reply to Hello"}
        assert told == {"status": "Message processed", "response": reply}
        assert (await served.history("ada"))["history"][-1] == reply


async def test_a_slow_message_is_accepted(serve: Serve):
    """After the parking time the binding goes on, and the turn too; the next one is queued."""
    model = HeldModel()
    async with serve(model=model, parking_time=0.05) as served:
        first = await received(served, said("one"), at(0))
        second = await received(served, said("two"), at(1))
        again = await received(served, said("one"), at(0))
        assert (await served.history("ada"))["history"] == []
        model.free.set()

        assert first.keys() == {"status", "turn_id"}
        assert first["status"] == second["status"] == "Message accepted"
        assert first == again != second
        await eventually(lambda: both_are_said(served))


async def both_are_said(served: Served) -> bool:
    entries = (await served.history("ada"))["history"]
    return [each["content"] for each in entries][::2] == ["one", "two"]


async def test_a_record_takes_effect_once(serve: Serve):
    """However often it comes; the same text elsewhere is another message."""
    model = QuickModel()
    async with serve(model=model) as served:
        first = await received(served, said("Hello"), at(0))
        again = await received(served, said("Hello"), at(0))
        other = await received(served, said("Hello"), at(1))

        assert first == again == other
        assert len(model.prompts) == 2


async def test_a_false_position_takes_no_other_message_s_place(serve: Serve):
    """Another text, or another time, at the same offset is another message."""
    model = QuickModel()
    async with serve(model=model) as served:
        for body, headers in (
            (said("one"), at(7)),
            (said("two"), at(7)),
            (said("two"), at(7, NOW + 1)),
        ):
            assert (await received(served, body, headers))["status"] == "Message processed"

        assert len(model.prompts) == 3


async def test_no_caller_can_take_the_key_of_a_record(serve: Serve):
    """The key that a record has is not among those that callers can send, whatever they know."""
    record = read_record(said("Hello"), raw(at(0)))
    hashed = receive._turn(record, as_said("Hello"), 0).key_hash
    async with serve(model=QuickModel()) as served:
        for key in (record.id, hashed, str(uuid.UUID(hashed))):
            answer = await served.say("ada", "Stop", idempotency_key=key)
            assert answer.status_code == 200

        assert (await received(served, said("Hello"), at(0)))["status"] == "Message processed"


async def test_a_message_id_wins_over_the_position(serve: Serve):
    """A message that a producer sends twice is one; the same id with another text is a letter."""
    model = QuickModel()
    async with serve(model=model) as served:
        first = await received(served, said("Hello", message_id="m"), at(0))
        again = await received(served, said("Hello", message_id="m"), at(1))
        whose = await received(served, said("Hello", "bob", message_id="m"), at(2))
        other = await received(served, said("Bye", message_id="m"), at(3))

        assert first == again == whose
        assert len(model.prompts) == 2
        assert other["status"] == "Message parked"


@pytest.mark.parametrize("body", [b"", b"null"])
async def test_an_empty_record_is_ignored(serve: Serve, body: bytes):
    """A tombstone, as daprd posts it, or an empty value."""
    async with serve() as served:
        assert await received(served, body, at(0)) == {"status": "Message ignored"}
        assert not await served.services.dead_letters.list(10)


async def test_a_record_without_a_time_has_a_position():
    """A broker may have none of it: Kafka then says -1."""
    record = read_record(b"", raw(at(5, -1)))

    assert (record.position, record.at) == ("user-messages/0/5/-1", None)


@pytest.mark.parametrize(
    "error", [Unreachable("It is away."), Unavailable("It is away."), Busy("Too many wait.")]
)
async def test_what_may_work_later_is_503(
    serve: Serve, error: Exception, monkeypatch: pytest.MonkeyPatch
):
    """The binding sends it again; no letter is kept and no turn is started."""
    async with serve(model=QuickModel()) as served:

        async def fails(*_: object) -> None:
            raise error

        with monkeypatch.context() as broken:
            broken.setattr(type(served.services.actors.chat), "process", fails)
            answer = await post(served, said("Hello"), at(0))
        kept = await served.services.dead_letters.list(10)
        later = await received(served, said("Hello"), at(0))

        assert (answer.status_code, answer.json()["status"]) == (503, 503)
        assert not kept
        assert later["status"] == "Message processed"


async def test_a_service_that_stops_takes_nothing(serve: Serve):
    """As to every other caller, it is 503; the record comes again."""
    async with serve(model=QuickModel()) as served:
        served.app.state.stopping.begin()

        assert (await post(served, said("Hello"), at(0))).status_code == 503


async def test_a_cleared_message_does_not_come_back(serve: Serve):
    """It is not kept as a letter either, which could bring it back."""
    model = HeldModel()
    async with serve(model=model, parking_time=0.05) as served:
        await received(served, said("running"), at(0))
        await received(served, said("queued"), at(1))
        await served.http.delete("/chat/ada/history")
        model.free.set()
        cancelled = await received(served, said("queued"), at(1))
        done = await received(served, said("done"), at(2))
        await served.http.delete("/chat/ada/history")
        cleared = await received(served, said("done"), at(2))

        assert done["status"] == "Message processed"
        assert cleared == {"status": "Message ignored"}
        assert cancelled == {"status": "Message ignored"}
        assert not await served.services.dead_letters.list(10)


async def test_records_from_before_a_deletion_are_ignored(serve: Serve):
    """As records and as letters; later ones take effect."""
    model = QuickModel()
    async with serve(model=model) as served:
        await received(served, said(" "), at(0, 1_000))
        kept = await letter(served)
        assert (await served.http.delete("/users/ada")).status_code == 204
        early = await received(served, said("early"), at(1, 1_000))
        requeued = await receive.requeue(served.services, kept.replace(b'\\" \\"', b'\\"x\\"'))
        late = await received(served, said("late"), at(2))

        assert early == {"status": "Message ignored"}
        assert requeued.status == "Message ignored"
        assert late["status"] == "Message processed"
        assert [prompt.message.content for prompt in model.prompts] == ["late"]


async def test_a_sidecar_posts_beside_the_framework():
    """The same answers, and the same refusals, where a sidecar calls."""
    async with beside_a_sidecar() as http:
        headers = [*at(0), *TOKEN.items()]
        answer = await http.post(PATH, content=said("Hello"), headers=headers)
        refused = await http.post(PATH, content=said("Hello"), headers=at(0))

        assert answer.json()["status"] == "Message processed"
        assert answer.status_code == 200
        assert refused.status_code == 403
        assert (await http.get(PATH)).status_code == 405


def test_records_are_logged_without_content(caplog: pytest.LogCaptureFixture):
    """A record is identified by its position, or by a digest."""
    with caplog.at_level(logging.INFO):
        assert read_record(b"secret", []).id.isalnum()
        assert read_record(b"secret", raw(at(3))).id == f"user-messages/0/3/{NOW}"
