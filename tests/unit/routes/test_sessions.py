"""`POST /chat/` and `/conversations/{session_id}`, through the whole app."""

import asyncio
import uuid
from datetime import datetime, timedelta
from typing import Any

import pytest

from agent_actors.clock import SystemClock
from agent_actors.model.scripted import ScriptedModel
from tests.conftest import Serve
from tests.fakes import HeldModel, QuickModel, eventually
from tests.unit.routes.sidecar.lessons import HALF, got, post, remembered, replied, send, texts

SESSION = "90f6242e-7dae-494f-a919-e47b0bd8815e"


async def test_a_message_begins_a_session(serve: Serve):
    """The answer has the lesson's fields and a new session."""
    async with serve(model=QuickModel()) as served:
        body = await replied(served, "junaid", "Hello")
        other = await replied(served, "junaid", "Hello")

        assert body.keys() == {"user_id", "reply", "metadata", "turn_id"}
        assert (body["user_id"], body["reply"]) == ("junaid", "reply to Hello")
        assert body["metadata"].keys() == {"timestamp", "session_id"}
        assert datetime.fromisoformat(body["metadata"]["timestamp"]).utcoffset() == timedelta(0)
        session = body["metadata"]["session_id"]
        assert str(uuid.UUID(session)) == session
        assert other["metadata"]["session_id"] != session


async def test_a_session_goes_on(serve: Serve):
    """Its history has each message with role and time."""
    async with serve(model=QuickModel()) as served:
        first = await replied(served, "junaid", "Hello")
        session = first["metadata"]["session_id"]
        again = await replied(served, "junaid", "What time is it?", session)
        told = await got(served, f"/conversations/{session}")

        assert again["metadata"]["session_id"] == session
        assert told.keys() == {"history"}
        for entry in told["history"]:
            assert entry.keys() == {"role", "content", "timestamp"}
            assert datetime.fromisoformat(entry["timestamp"]).utcoffset() == timedelta(0)
        assert [(entry["role"], entry["content"]) for entry in told["history"]] == [
            ("user", "Hello"),
            ("assistant", "reply to Hello"),
            ("user", "What time is it?"),
            ("assistant", "reply to What time is it?"),
        ]


async def test_the_lessons_request_is_taken(serve: Serve):
    """A timestamp and tags are accepted and have no effect."""
    async with serve(model=QuickModel()) as served:
        body = {
            "user_id": "bob",
            "text": "Hi, how are you?",
            "metadata": {
                "timestamp": "2025-04-06T12:00:00Z",
                "session_id": "123e4567-e89b-12d3-a456-426614174001",
            },
            "tags": ["greeting"],
        }
        answer = await served.http.post("/chat/", json=body)

        assert answer.status_code == 200
        assert answer.json()["reply"] == "reply to Hi, how are you?"
        assert answer.json()["metadata"]["session_id"] == body["metadata"]["session_id"]  # type: ignore[index]


@pytest.mark.parametrize("text", ["", " ", "\n\t "])
async def test_a_message_without_text_is_refused(serve: Serve, text: str):
    """The answer is 400 with the lesson's text, and no session begins."""
    async with serve() as served:
        answer = await post(served, "bob", text, SESSION)

        assert answer.status_code == 400
        assert answer.json()["detail"] == "Message text cannot be empty"
        assert (await got(served, "/users/bob/sessions"))["sessions"] == []


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"user_id": None}, 422),
        ({"user_id": ""}, 422),
        ({"user_id": "a b"}, 422),
        ({"user_id": "session:1"}, 422),
        ({"user_id": 7}, 422),
        ({"text": None}, 422),
        ({"text": 7}, 422),
        ({"text": ["x"]}, 422),
        ({"text": HALF}, 422),
        ({"text": "x" * 65_537}, 413),
        ({"metadata": {"session_id": "session:1"}}, 422),
        ({"metadata": {"session_id": ""}}, 422),
        ({"metadata": {"session_id": "../x"}}, 422),
        ({"metadata": {"session_id": "x" * 129}}, 422),
        ({"metadata": {"session_id": 7}}, 422),
        ({"metadata": {"timestamp": "x" * 65}}, 422),
        ({"metadata": 7}, 422),
        ({"tags": "question"}, 422),
        ({"tags": [7]}, 422),
        ({"tags": ["x" * 257]}, 422),
        ({"tags": ["x"] * 65}, 422),
    ],
)
async def test_a_wrong_message_is_refused(serve: Serve, changes: dict[str, Any], status: int):
    """Each mistake has its status, and the conversation stays empty."""
    async with serve() as served:
        body = {"user_id": "bob", "text": "hi"} | changes
        answer = await send(served, "POST", "/chat/", body)

        assert (answer.status_code, answer.json()["status"]) == (status, status)
        assert (await got(served, "/users/bob/sessions"))["sessions"] == []


async def test_a_keyed_message_begins_one_session(serve: Serve):
    """A retry without a session gets the same session and the same answer."""
    model = QuickModel()
    async with serve(model=model) as served:
        first = await post(served, "ada", "hi", idempotency_key="k")
        again = await post(served, "ada", "hi", idempotency_key="k")
        session = first.json()["metadata"]["session_id"]

        assert again.status_code == 200
        assert again.json()["reply"] == first.json()["reply"]
        assert again.json()["metadata"]["session_id"] == session
        assert len(model.prompts) == 1
        assert (await got(served, "/users/ada/sessions"))["sessions"] == [session]
        assert len(await texts(served, session)) == 2


async def test_a_key_is_its_users(serve: Serve):
    """Another key, or another user with the same key, begins another session."""
    async with serve(model=QuickModel()) as served:
        answers = [
            await post(served, "ada", "hi", idempotency_key="k"),
            await post(served, "ada", "hi", idempotency_key="l"),
            await post(served, "bob", "hi", idempotency_key="k"),
        ]

        assert len({answer.json()["metadata"]["session_id"] for answer in answers}) == 3


async def test_a_key_is_for_one_message(serve: Serve):
    """Another text with the same key is refused, with or without the session."""
    async with serve(model=QuickModel()) as served:
        first = await post(served, "ada", "hi", idempotency_key="k")
        session = first.json()["metadata"]["session_id"]
        unnamed = await post(served, "ada", "ho", idempotency_key="k")
        named = await post(served, "ada", "ho", session, idempotency_key="k")
        wrong = await post(served, "ada", "ho", idempotency_key="a b")

        assert (unnamed.status_code, named.status_code, wrong.status_code) == (422, 422, 422)
        assert await texts(served, session) == ["hi", "reply to hi"]


async def test_a_session_is_its_users(serve: Serve):
    """Another user gets 404, changes nothing, and does not get it into a list."""
    async with serve(model=QuickModel()) as served:
        session = (await replied(served, "ada", "mine"))["metadata"]["session_id"]
        answer = await post(served, "eve", "injected", session)

        assert answer.status_code == 404
        assert "turn_id" not in answer.json()
        assert await texts(served, session) == ["mine", "reply to mine"]
        assert (await got(served, "/users/eve/sessions"))["sessions"] == []
        assert (await got(served, "/users/ada/sessions"))["sessions"] == [session]


async def test_a_session_is_stored_before_its_first_turn(serve: Serve):
    """A failed first turn leaves the session where a deletion finds it, and shows it to nobody."""
    async with serve(model=ScriptedModel(SystemClock())) as served:
        answer = await post(served, "ada", "/fail", SESSION)

        assert answer.status_code == 502
        assert (await served.services.reader.sessions("ada")).session_ids == (SESSION,)
        assert (await got(served, "/users/ada/sessions"))["sessions"] == []
        assert await got(served, f"/conversations/{SESSION}") == {"history": []}


async def test_a_caller_need_not_wait(serve: Serve):
    """The answer is 202 with the turn's address, which later has the reply."""
    model = HeldModel()
    async with serve(model=model) as served:
        answer = await post(served, "ada", "slow", prefer="respond-async")
        address = answer.headers["location"]
        _, conversations, session, turns, turn_id = address.split("/")

        assert answer.status_code == 202
        assert answer.headers["preference-applied"] == "respond-async"
        told = answer.json()
        assert told.pop("metadata")["session_id"] == session
        assert told == {"turn_id": turn_id, "status": "running"}
        assert (conversations, turns) == ("conversations", "turns")
        assert await got(served, address) == told
        assert (await got(served, "/users/ada/sessions"))["sessions"] == [session]
        assert await got(served, f"/conversations/{session}") == {"history": []}

        model.free.set()

        async def done() -> bool:
            return bool((await got(served, address))["status"] == "done")

        await eventually(done)

        said = {"role": "assistant", "content": "reply to slow"}
        assert await got(served, address) == {
            "turn_id": turn_id,
            "status": "done",
            "response": said,
        }


async def test_an_unknown_session_is_an_empty_one(serve: Serve):
    """The history of an unknown session is empty, as in the lesson."""
    async with serve() as served:
        assert await got(served, f"/conversations/{SESSION}") == {"history": []}


async def test_a_session_is_no_conversation_of_a_user(serve: Serve):
    """The routes of a user's conversation do not reach sessions."""
    async with serve(model=QuickModel()) as served:
        await replied(served, "ada", "mine", SESSION)

        assert (await served.say(f"session:{SESSION}", "x")).status_code == 422
        assert await served.history(SESSION) == {"history": []}
        assert (await served.http.get(f"/response/session:{SESSION}/count")).status_code == 422
        assert (await served.http.get(f"/memory/session:{SESSION}")).status_code == 422


async def test_one_session_remembers_another(serve: Serve):
    """A user's next session knows the last one; another user's session does not."""
    async with serve() as served:
        first = await replied(served, "junaid", "Tomorrow we will pack for SF?")
        await remembered(served, "junaid", first["metadata"]["session_id"], 1)
        second = await replied(served, "junaid", "Where was I planning to go tomorrow?")
        stranger = await replied(served, "bob", "Where was I planning to go tomorrow?")

        assert "user: Tomorrow we will pack for SF?" in second["reply"]
        assert "SF" not in stranger["reply"]


async def test_a_history_has_pages(serve: Serve):
    """`limit` is in entries of whole turns, `before` a turn's number; `Link` has the older page."""
    async with serve(model=QuickModel()) as served:
        for number in range(1, 6):
            await replied(served, "ada", f"m{number}", SESSION)
        path = f"/conversations/{SESSION}"

        assert len((await got(served, path))["history"]) == 10
        last = (await got(served, path, limit=3))["history"]
        assert [entry["content"] for entry in last] == ["m5", "reply to m5"]
        page = (await got(served, path, limit=4, before=4))["history"]
        assert [entry["content"] for entry in page[::2]] == ["m2", "m3"]
        newest = await served.http.get(f"{path}?limit=8")
        oldest = await served.http.get(newest.links["next"]["url"])
        assert [entry["content"] for entry in oldest.json()["history"][::2]] == ["m1"]
        assert "link" not in oldest.headers


async def test_a_full_queue_is_429(serve: Serve):
    """The answer is 429 with Retry-After; another session of the user still works."""
    model = HeldModel()
    async with serve(model=model, queue_length=1) as served:
        waiting = asyncio.create_task(post(served, "ada", "slow", SESSION))
        await eventually(lambda: model.prompts)
        answer = await post(served, "ada", "one more", SESSION)
        other = asyncio.create_task(post(served, "ada", "elsewhere"))
        await eventually(lambda: len(model.prompts) == 2)

        assert answer.status_code == 429
        assert answer.headers["retry-after"] == "1"
        model.free.set()
        assert [each.status_code for each in await asyncio.gather(waiting, other)] == [200, 200]
