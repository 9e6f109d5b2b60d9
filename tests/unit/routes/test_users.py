"""`/users/{user_id}`: a role, the last exchanges, the sessions, the preferences."""

from typing import Any

import pytest

from tests.conftest import Serve
from tests.fakes import QuickModel
from tests.unit.routes.sidecar.lessons import AT_ONCE, HALF, becomes, got, post, replied, send


def exchange(said: str) -> dict[str, str]:
    """An exchange in the form of the route."""
    return {"message": said, "reply": f"reply to {said}"}


async def test_a_user_comes_in_a_role(serve: Serve):
    """The role is the one of the request, by default guest; it has at most 64 characters."""
    async with serve() as served:
        assert await got(served, "/users/alice", role="admin") == {
            "user_id": "alice",
            "role": "admin",
        }
        assert await got(served, "/users/bob") == {"user_id": "bob", "role": "guest"}
        assert await got(served, "/users/bob", role="") == {"user_id": "bob", "role": "guest"}
        assert (await got(served, "/users/bob", role="x" * 64))["role"] == "x" * 64
        assert (await served.http.get(f"/users/bob?role={'x' * 65}")).status_code == 422


async def test_the_last_exchanges_are_those_of_all_conversations(serve: Serve):
    """Exchanges of sessions and of the own conversation, oldest first."""
    async with serve(model=QuickModel(), **AT_ONCE) as served:
        assert await got(served, "/users/bob/session") == {"history": []}
        await replied(served, "bob", "one")
        await becomes(served, "/users/bob/session", {"history": [exchange("one")]})
        await served.reply("bob", "two")

        both = [exchange("one"), exchange("two")]
        await becomes(served, "/users/bob/session", {"history": both})
        assert await got(served, "/users/eve/session") == {"history": []}


async def test_ten_exchanges_are_kept(serve: Serve):
    """Only the ten newest exchanges are stored."""
    async with serve(model=QuickModel(), **AT_ONCE) as served:
        for number in range(12):
            await served.reply("bob", f"m{number}")

        kept = [exchange(f"m{number}") for number in range(2, 12)]
        await becomes(served, "/users/bob/session", {"history": kept})


async def test_the_last_exchanges_can_be_dropped(serve: Serve):
    """The answer is 204 each time; conversations stay, and later exchanges are stored."""
    async with serve(model=QuickModel(), **AT_ONCE) as served:
        session = (await replied(served, "bob", "one"))["metadata"]["session_id"]
        await becomes(served, "/users/bob/session", {"history": [exchange("one")]})
        for _ in range(2):
            answer = await served.http.delete("/users/bob/session")

            assert (answer.status_code, answer.content) == (204, b"")
            assert await got(served, "/users/bob/session") == {"history": []}

        assert len((await got(served, f"/conversations/{session}"))["history"]) == 2
        await replied(served, "bob", "two", session)
        await becomes(served, "/users/bob/session", {"history": [exchange("two")]})


async def test_sessions_are_listed_in_the_order_they_were_begun(serve: Serve):
    """Each session is listed once, in the order in which it was opened."""
    async with serve(model=QuickModel()) as served:
        assert await got(served, "/users/ada/sessions") == {"sessions": [], "next": None}
        for session in ("s1", "s2", "s1", "s3", "s2"):
            await replied(served, "ada", "hi", session)

        told = {"sessions": ["s1", "s2", "s3"], "next": None}
        assert await got(served, "/users/ada/sessions") == told
        assert (await got(served, "/users/eve/sessions"))["sessions"] == []


async def test_sessions_are_listed_in_pages(serve: Serve):
    """Following `next` lists each session with a turn once, and ends with null."""
    begun = ["s0", "s1", "s7", "s8", "s62", "s63", "s64", "s69"]
    async with serve(model=QuickModel()) as served:
        for session in [f"s{number}" for number in range(70)]:
            await served.services.actors.sessions.open("ada", session)
            if session in begun:
                await replied(served, "ada", "hi", session)
        told: list[str] = []
        page: int | None = 0
        while page is not None:
            found = await got(served, "/users/ada/sessions", page=page)
            told, page = told + found["sessions"], found["next"]

        assert told == begun
        beyond = await got(served, "/users/ada/sessions", page=99)
        assert beyond == {"sessions": [], "next": None}
        assert (await served.http.get("/users/ada/sessions?page=-1")).status_code == 422


async def test_preferences_are_replaced(serve: Serve):
    """Later reads have exactly the last preferences; an empty set removes all."""
    async with serve() as served:
        path = "/users/ada/preferences"
        assert await got(served, path) == {}
        for preferences in ({"language": "en", "timezone": "UTC"}, {"language": "10m"}, {}):
            answer = await served.http.put(path, json=preferences)

            assert (answer.status_code, answer.json()) == (200, preferences)
            assert await got(served, path) == preferences
            assert await got(served, "/users/eve/preferences") == {}


async def test_messages_do_not_change_preferences(serve: Serve):
    """Messages and cleared exchanges do not change preferences."""
    async with serve(model=QuickModel(), **AT_ONCE) as served:
        await served.http.put("/users/ada/preferences", json={"language": "en"})
        await replied(served, "ada", "hi")
        await becomes(served, "/users/ada/session", {"history": [exchange("hi")]})
        await served.http.delete("/users/ada/session")

        assert await got(served, "/users/ada/preferences") == {"language": "en"}


@pytest.mark.parametrize(
    "body",
    [
        [],
        "x",
        None,
        {"Language": "en"},
        {"": "en"},
        {"1st": "en"},
        {"a-b": "en"},
        {"a b": "en"},
        {"x" * 65: "en"},
        {"language\n": "en"},
        {"language": 7},
        {"language": ["en"]},
        {"language": HALF},
        {"language": "x" * 1_025},
        {f"name{number}": "x" for number in range(33)},
    ],
)
async def test_wrong_preferences_are_refused(serve: Serve, body: Any):
    """The answer is 422, and the preferences do not change."""
    async with serve() as served:
        await served.http.put("/users/ada/preferences", json={"language": "en"})
        answer = await send(served, "PUT", "/users/ada/preferences", body)

        assert answer.status_code == 422
        assert await got(served, "/users/ada/preferences") == {"language": "en"}


async def test_as_many_preferences_as_may_be(serve: Serve):
    """32 preferences of the greatest length are stored."""
    most = {f"n{number:063}": "🦕" * 1_024 for number in range(32)}
    async with serve() as served:
        answer = await served.http.put("/users/ada/preferences", json=most)

        assert answer.status_code == 200, answer.text
        assert await got(served, "/users/ada/preferences") == most


async def test_a_session_belongs_to_the_user_of_its_first_turn(serve: Serve):
    """If two users open a session, it belongs to the one with the first turn."""
    async with serve(model=QuickModel()) as served:
        await served.services.actors.sessions.open("eve", "s1")
        await replied(served, "ada", "mine", "s1")

        assert (await post(served, "eve", "mine too", "s1")).status_code == 404
        assert (await got(served, "/users/ada/sessions"))["sessions"] == ["s1"]
