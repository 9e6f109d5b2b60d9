"""`DELETE /users/{user_id}`: all data of the user is deleted and does not come back."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

from agent_actors.conversation.outbox import turn_event
from agent_actors.protocol.codec import encode
from agent_actors.protocol.events import turn_payload
from agent_actors.state.documents.conversation import Pair
from tests.conftest import Serve, Served
from tests.fakes import QuickModel
from tests.unit.routes.sidecar.lessons import (
    AT_ONCE,
    LATER,
    applied,
    becomes,
    conversation,
    got,
    letters,
    message,
    post,
    replied,
    texts,
    wrapped,
)

MARKER = "xyzzy"
OTHER = "plugh"


def rows_with(folder: Path, word: str) -> list[str]:
    """Every row of the database that contains a word."""
    uri = f"{(folder / 'data' / 'agent-actors.db').as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True, timeout=5.0)) as connection:
        named = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        return [
            f"{table}: {row!r}"
            for (table,) in named
            for row in connection.execute(f"SELECT * FROM {table}")  # noqa: S608
            if any(_has(cell, word) for cell in row)
        ]


def _has(cell: Any, word: str) -> bool:
    return word.encode() in cell if isinstance(cell, bytes) else word in str(cell)


async def forget(served: Served, user: str = "ada") -> None:
    """Deletes a user."""
    answer = await served.http.delete(f"/users/{user}")
    assert (answer.status_code, answer.content) == (204, b""), answer.text


async def a_life(served: Served, user: str, word: str) -> None:
    """Stores data of a user in every place; each text contains the word."""
    for number in range(20):
        await served.say(user, f"{word} {number}", idempotency_key=f"{user}{number}")
    await replied(served, user, f"{word} in a session", f"{user}-1")
    told = conversation(user_id=user, session_id=f"{user}-2", user_message=word, event_id=user)
    assert await served.deliver(told, "/conversations") == "SUCCESS"
    person = {"name": word, "preferred_style": word, "user_summary": word}
    await served.http.post(f"/memories/{user}/initialize", json=person)
    await served.http.put(f"/users/{user}/preferences", json={"language": word})
    letter = wrapped(conversation(user_id=user, user_message=word, session_id=""), f"l-{user}")
    await served.deliver(letter, "/conversations/dead")
    for name, turns in ((user, 20), (f"session:{user}-1", 1), (f"session:{user}-2", 1)):
        await applied(served, user, name, turns)


@asynccontextmanager
async def two_lives(serve: Serve, **settings: Any) -> AsyncIterator[Served]:
    """A service that knows `ada` and `bob`."""
    async with serve(model=QuickModel(), **AT_ONCE, **settings) as served:
        await a_life(served, "ada", MARKER)
        await a_life(served, "bob", OTHER)
        yield served


async def test_no_text_stays_in_any_row(serve: Serve, tmp_path: Path):
    """The user's text is gone from every row; another user's is still there."""
    async with two_lives(serve) as served:
        bobs = rows_with(tmp_path, OTHER)
        assert len(rows_with(tmp_path, MARKER)) == len(bobs) > 8
        await forget(served)

        assert rows_with(tmp_path, MARKER) == []
        assert rows_with(tmp_path, OTHER) == bobs
        assert not [row for row in rows_with(tmp_path, "ada") if row.startswith("reminders")]
        # Not in the log of writes either, which outlives a process that is killed.
        files = [path.read_bytes() for path in (tmp_path / "data").iterdir() if path.is_file()]
        assert not [data for data in files if MARKER.encode() in data]
        assert [data for data in files if OTHER.encode() in data]
    assert rows_with(tmp_path, MARKER) == []


async def test_nothing_is_known_afterwards(serve: Serve):
    """Numbers and export are 404, the rest is as for a new user, also after a repetition."""
    async with two_lives(serve) as served:
        for _ in range(2):
            await forget(served)
            for path in (
                "/users/ada/export",
                "/analytics/ada",
                "/analytics/ada/usage",
                "/response/ada/count",
            ):
                assert (await served.http.get(path)).status_code == 404, path
            assert await served.history("ada") == {"history": []}
            assert await served.memory("ada") == []
            assert await texts(served, "ada-1") == await texts(served, "ada-2") == []
            assert await got(served, "/users/ada/session") == {"history": []}
            assert await got(served, "/users/ada/sessions") == {"sessions": [], "next": None}
            assert await got(served, "/users/ada/preferences") == {}
            assert (await got(served, "/memories/ada"))["user_summary"] == "ada is a new user."


async def test_another_users_data_stays_as_it_was(serve: Serve):
    """Another user's data does not change, nor do that user's dead letters."""
    async with two_lives(serve) as served:
        before = (await served.http.get("/users/bob/export")).json()
        await forget(served)
        after = (await served.http.get("/users/bob/export")).json()

        assert after | {"exported_at": ""} == before | {"exported_at": ""}
        assert len(await texts(served, "bob-1")) == 2
        assert [letter["event"]["id"] for letter in await letters(served)] == ["l-bob"]


async def test_an_old_event_of_ours_is_a_duplicate(serve: Serve, tmp_path: Path):
    """An old event that is delivered again is acknowledged and changes nothing."""
    async with two_lives(serve) as served:
        head = await served.services.reader.head("ada")
        pairs = await served.services.reader.pairs("ada", head, 1, 20)
        await forget(served)
        for pair in pairs:
            event = _event("ada", pair, await served.services.reader.head("ada"))
            assert await served.deliver(event) == "SUCCESS"
            assert await served.deliver(event, "/subscribe/dead") == "SUCCESS"

        assert rows_with(tmp_path, MARKER) == []
        assert (await served.http.get("/analytics/ada")).status_code == 404


def _event(name: str, pair: Pair, head: Any) -> bytes:
    payload = turn_payload(turn_event(name, head, pair))
    return encode({"id": payload["event_id"], "specversion": "1.0", "data": payload})


async def test_an_old_event_of_another_service_has_no_effect(serve: Serve, tmp_path: Path):
    """Another service's event has no effect if it was published before the deletion."""
    async with serve(**AT_ONCE) as served:
        await served.reply("junaid", "hi")
        await forget(served, "junaid")
        for session in ("s1", "s2"):
            old = wrapped(conversation(user_message=MARKER, session_id=session), session)
            assert await served.deliver(old, "/conversations") == "SUCCESS"
        assert await served.deliver(wrapped(message()), "/messages") == "SUCCESS"

        assert rows_with(tmp_path, MARKER) == []
        assert (await served.http.get("/analytics/junaid")).status_code == 404

        new = wrapped(conversation(), "new", time=LATER)
        assert await served.deliver(new, "/conversations") == "SUCCESS"
        assert await texts(served, "s1") == ["Hello", "Hi Junaid!"]
        await becomes(served, "/analytics/junaid", {"message_count": 1})


async def test_an_old_event_of_the_lessons_form_has_no_effect(serve: Serve, tmp_path: Path):
    """The same holds for events of the lessons on `user-chat`, by their time."""
    said = {"role": "user", "content": MARKER}
    data = {"actor_id": "ada", "input": said, "output": said | {"role": "assistant"}}
    async with serve(**AT_ONCE) as served:
        await forget(served)
        assert await served.deliver(wrapped(data)) == "SUCCESS"
        assert rows_with(tmp_path, MARKER) == []

        assert await served.deliver(wrapped(data, time=LATER)) == "SUCCESS"
        assert len(await served.memory("ada")) == 2


async def test_a_new_life_begins(serve: Serve):
    """If the user writes again, everything begins as for a new user."""
    model = QuickModel()
    async with serve(model=model, **AT_ONCE) as served:
        await served.say("ada", MARKER, idempotency_key="k")
        await served.remembered("ada", 1)
        await forget(served)
        assert (await served.say("ada", MARKER, idempotency_key="k")).status_code == 410
        await served.reply("ada", "hello again")
        await served.remembered("ada", 2)
        prompt = model.prompts[-1]

        assert (prompt.memory, prompt.window, prompt.earlier) == ((), (), "")
        assert prompt.person.user_summary == "ada is a new user."
        said = ["hello again", "reply to hello again"]
        history = (await served.history("ada"))["history"]
        assert [entry["content"] for entry in history] == said
        assert [entry["content"] for entry in await served.memory("ada")] == said
        await becomes(served, "/analytics/ada", {"message_count": 1})
        exported = (await served.http.get("/users/ada/export")).json()
        assert [len(each["turns"]) for each in exported["conversations"]] == [1]


async def test_an_old_session_stays_closed(serve: Serve):
    """An old session is 410 for its user and 404 for others; new sessions can be begun."""
    async with serve(model=QuickModel(), **AT_ONCE) as served:
        session = (await replied(served, "ada", "hi"))["metadata"]["session_id"]
        await forget(served)

        assert (await post(served, "ada", "hi", session)).status_code == 410
        assert (await post(served, "eve", "hi", session)).status_code == 404
        assert (await got(served, "/users/ada/sessions"))["sessions"] == []
        new = (await replied(served, "ada", "hi"))["metadata"]["session_id"]
        assert (await got(served, "/users/ada/sessions"))["sessions"] == [new]
        await becomes(served, "/analytics/ada", {"message_count": 1})


async def test_many_sessions_are_forgotten(serve: Serve, tmp_path: Path):
    """All sessions are closed, even those without a turn, and if they fill more than a page."""
    async with serve(model=QuickModel()) as served:
        for number in range(70):
            await served.services.actors.sessions.open("ada", f"s{number}")
        for number in (0, 63, 64, 69):
            await replied(served, "ada", MARKER, f"s{number}")
        await forget(served)

        assert rows_with(tmp_path, MARKER) == []
        assert (await got(served, "/users/ada/sessions"))["sessions"] == []
        for session in ("s68", "s69"):
            assert (await post(served, "ada", "x", session)).status_code == 410
