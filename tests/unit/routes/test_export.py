"""`GET /users/{user_id}/export`: everything that is stored about a user."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from agent_actors.errors import Unavailable
from agent_actors.protocol.messages import HighWaterMark
from agent_actors.routes.export import PAIRS, ExportDocument, export_of
from tests.conftest import Serve, Served
from tests.fakes import FakeRuntime, HeldModel, QuickModel, eventually
from tests.unit.routes.sidecar.lessons import (
    AT_ONCE,
    conversation,
    got,
    letters,
    post,
    replied,
    texts,
    wrapped,
)
from tests.unit.routes.test_forget import MARKER, OTHER, two_lives

MEMBERS = {
    "user_id",
    "exported_at",
    "profile",
    "memory",
    "preferences",
    "last_exchanges",
    "analytics",
    "schedules",
    "notifications",
    "conversations",
    "dead_letters",
}
TURN = {"turn_id", "occurred_at", "user", "assistant", "model", "usage", "items", "schedule"}


async def exported(served: Served, user: str = "ada") -> Any:
    """The exported document."""
    answer = await served.http.get(f"/users/{user}/export")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    return answer.json()


async def test_everything_is_in_one_document(serve: Serve):
    """Each place where data of the user is stored has its field, complete."""
    async with two_lives(serve) as served:
        document = await exported(served)
        own, *sessions = document["conversations"]

        assert document.keys() == MEMBERS
        assert ExportDocument.model_validate(document).model_dump(mode="json") == document
        assert document["user_id"] == "ada"
        assert document["profile"] == await got(served, "/memories/ada")
        assert document["memory"] == await served.memory("ada")
        assert document["preferences"] == {"language": MARKER}
        session = await got(served, "/users/ada/session")
        assert document["last_exchanges"] == session["history"]
        assert document["analytics"] == await got(served, "/analytics/ada/usage")
        assert document["dead_letters"] == [
            letter for letter in await letters(served) if letter["event"]["id"] == "l-ada"
        ]
        assert own.keys() == {"session_id", "summary", "waiting", "turns"}
        assert all(turn.keys() == TURN for turn in own["turns"])
        assert [turn["user"] for turn in own["turns"]] == [f"{MARKER} {n}" for n in range(20)]
        assert own["session_id"] == ""
        assert [each["session_id"] for each in sessions] == ["ada-1", "ada-2"]
        for each in sessions:
            (turn,) = each["turns"]
            assert [turn["user"], turn["assistant"]] == await texts(served, each["session_id"])


async def test_only_this_users_data_is_exported(serve: Serve):
    """The document has nothing of another user, nor of a session that another user owns."""
    async with two_lives(serve) as served:
        await served.services.actors.sessions.open("ada", "bob-1")
        text = json.dumps(await exported(served))

        assert MARKER in text
        assert OTHER not in text
        assert "bob" not in text


EXCHANGE = {
    "input": {"role": "user", "content": "x"},
    "output": {"role": "assistant", "content": "x"},
}
PERSON = {"name": "Ada", "preferred_style": "casual", "user_summary": "ada is a new user."}
KNOWN: dict[str, Callable[[Served], Awaitable[Any]]] = {
    "a session": lambda served: served.services.actors.sessions.open("ada", "s1"),
    "a waiting message": lambda served: served.say("ada", "slow", prefer="respond-async"),
    "a memory": lambda served: served.deliver(wrapped(EXCHANGE | {"actor_id": "ada"})),
    "preferences": lambda served: served.http.put(
        "/users/ada/preferences", json={"language": "en"}
    ),
    "numbers": lambda served: served.http.post(
        "/analytics/ada/initialize", json={"message_count": 0}
    ),
    "a description": lambda served: served.http.post("/memories/ada/initialize", json=PERSON),
    "a schedule": lambda served: served.http.post(
        "/chat/ada/schedules", json={"content": "x", "every": "1h"}
    ),
}


@pytest.mark.parametrize("known", KNOWN.values(), ids=KNOWN)
async def test_one_piece_of_data_is_enough(
    serve: Serve, known: Callable[[Served], Awaitable[None]]
):
    """Without any data the answer is 404; with one piece of data it is 200."""
    model = HeldModel()
    async with serve(model=model) as served:
        assert (await served.http.get("/users/ada/export")).status_code == 404
        await known(served)

        assert (await exported(served)).keys() == MEMBERS
        assert (await served.http.get("/users/eve/export")).status_code == 404


async def test_what_waits_for_its_answer_is_exported(serve: Serve):
    """Waiting messages are exported, even if the conversation has no turn yet."""
    model = HeldModel()
    async with serve(model=model) as served:
        for content in ("one", "two"):
            await post(served, "ada", content, "s1", prefer="respond-async")
        (session,) = (await exported(served))["conversations"]

        assert session["waiting"] == [
            {"role": "user", "content": "one"},
            {"role": "user", "content": "two"},
        ]
        assert session["turns"] == []


async def test_what_was_cleared_is_not_exported(serve: Serve):
    """Cleared turns are not exported; later turns are."""
    async with serve(model=QuickModel()) as served:
        await served.reply("ada", "old")
        await served.remembered("ada", 1)
        await served.http.delete("/chat/ada/history")

        assert (await exported(served))["conversations"] == []
        await served.reply("ada", "new")
        (own,) = (await exported(served))["conversations"]
        assert [turn["user"] for turn in own["turns"]] == ["new"]


async def parts_of(served: Served, user: str = "ada") -> AsyncIterator[bytes]:
    """The parts in which the document is sent."""
    parts = await export_of(served.services, user)
    assert parts is not None
    return parts


async def test_a_long_conversation_is_sent_in_bounded_parts(serve: Serve):
    """A part has at most 32 turns; together they are complete and in order."""
    turns = 3 * PAIRS + 5
    async with serve(model=QuickModel()) as served:
        for number in range(turns):
            await served.reply("ada", f"m{number}")
        parts = [part async for part in await parts_of(served)]
        (own,) = json.loads(b"".join(parts))["conversations"]

        assert [turn["user"] for turn in own["turns"]] == [f"m{n}" for n in range(turns)]
        assert max(part.count(b'"turn_id"') for part in parts) == PAIRS


async def test_a_document_is_whole_whatever_is_cleared_meanwhile(serve: Serve):
    """Turns that are erased meanwhile are left out, and the document is valid JSON."""
    async with serve(model=QuickModel(), **AT_ONCE) as served:
        for number in range(PAIRS + 4):
            await served.reply("ada", f"m{number}")
        await served.remembered("ada", PAIRS + 4)
        parts = await parts_of(served)
        document = b""
        while not document.endswith(b'"turns":['):
            document += await anext(parts)
        await served.http.delete("/chat/ada/history")

        async def erased() -> bool:
            return await served.services.actors.chat.settle(HighWaterMark("ada", PAIRS + 4))

        await eventually(erased)
        document += b"".join([part async for part in parts])
        (own,) = json.loads(document)["conversations"]

        assert len(own["turns"]) < PAIRS


async def test_a_document_that_breaks_off_has_no_end(serve: Serve):
    """If the store fails meanwhile, the document is not valid JSON."""
    runtime = FakeRuntime()
    async with serve(runtime=runtime, model=QuickModel()) as served:
        await served.reply("ada", "hi")
        parts = await parts_of(served)
        document = await anext(parts)
        runtime.client.fail("get", Unavailable("away"))

        with pytest.raises(Unavailable):
            document += b"".join([part async for part in parts])
        with pytest.raises(ValueError, match="Expecting"):
            json.loads(document)


async def test_any_text_is_exported_unchanged(serve: Serve):
    """Quotes, emoji and control characters are exported unchanged."""
    said = '“q” "q" \\ \n \u2028 🦕 \x01 10m'
    async with serve(model=QuickModel()) as served:
        await replied(served, "ada", said, "s1")
        await served.http.put("/users/ada/preferences", json={"language": said})
        told = conversation(user_id="ada", user_message=said, session_id=7)
        await served.deliver(wrapped(told), "/conversations/dead")
        document = await exported(served)

        assert document["conversations"][0]["turns"][0]["user"] == said
        assert document["preferences"] == {"language": said}
        assert document["dead_letters"][0]["event"]["data"]["user_message"] == said
