"""`/memory/{actor_id}`, `/memories/{user_id}` and `/response/{actor_id}/count`."""

from typing import Any

import pytest

from tests.conftest import Serve
from tests.fakes import QuickModel
from tests.unit.routes.sidecar.lessons import HALF, becomes, got, replied, send

JUNAID = {
    "name": "Junaid",
    "preferred_style": "formal",
    "user_summary": "Junaid is a new user.",
}

WRONG: list[Any] = ["", None, 7, [], HALF]


async def test_memory_has_the_last_three_entries(serve: Serve):
    """Events of committed turns feed memory; the newest entry is last."""
    async with serve(model=QuickModel()) as served:
        assert await served.memory("ada") == []
        await served.reply("ada", "a")
        await served.reply("ada", "b")
        await served.remembered("ada", 2)

        assert await served.memory("ada") == [
            {"role": "assistant", "content": "reply to a"},
            {"role": "user", "content": "b"},
            {"role": "assistant", "content": "reply to b"},
        ]
        assert await served.memory("bob") == []


async def test_the_count_is_of_committed_turns(serve: Serve):
    """Each conversation has its own count; an unknown one has 0."""
    async with serve(model=QuickModel()) as served:
        await served.reply("ada", "a")

        assert (await served.http.get("/response/ada/count")).json() == {"count": 1}
        assert (await served.http.get("/response/bob/count")).json() == {"count": 0}


async def test_a_new_user_is_described_as_one(serve: Serve):
    """The name is the id, the style is casual, as in the lesson."""
    async with serve() as served:
        assert await got(served, "/memories/junaid") == {
            "name": "junaid",
            "preferred_style": "casual",
            "user_summary": "junaid is a new user.",
        }


async def test_a_user_is_initialized(serve: Serve):
    """The last description replaces the first one; other users do not change."""
    later = {"name": "J", "preferred_style": "brief", "user_summary": "J is known."}
    async with serve() as served:
        for given in (JUNAID, later):
            answer = await served.http.post("/memories/junaid/initialize", json=given)

            assert answer.status_code == 200
            assert answer.json() == {"status": "success", "user_id": "junaid", "metadata": given}
            assert await got(served, "/memories/junaid") == given
        assert (await got(served, "/memories/bob"))["name"] == "bob"


@pytest.mark.parametrize("said", ["10m", "2024-01-05 standup", "🦕 e\u0301", '"quotes" \\n'])
async def test_any_text_is_kept_as_it_is(serve: Serve, said: str):
    """Durations, dates, quotes and emoji stay unchanged."""
    metadata = dict.fromkeys(JUNAID, said)
    async with serve() as served:
        await served.http.post("/memories/junaid/initialize", json=metadata)

        assert await got(served, "/memories/junaid") == metadata


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        "x",
        *({name: text for name, text in JUNAID.items() if name != gone} for gone in JUNAID),
        *({**JUNAID, name: wrong} for name in JUNAID for wrong in WRONG),
        JUNAID | {"name": "x" * 201},
        JUNAID | {"preferred_style": "x" * 201},
        JUNAID | {"user_summary": "x" * 2_001},
    ],
)
async def test_a_wrong_description_is_refused(serve: Serve, body: Any):
    """The answer is 422, and the description does not change."""
    async with serve() as served:
        answer = await send(served, "POST", "/memories/junaid/initialize", body)

        assert answer.status_code == 422
        assert (await got(served, "/memories/junaid"))["name"] == "junaid"


async def test_messages_update_the_summary(serve: Serve):
    """Messages of any conversation update the summary; name and style stay."""
    async with serve(model=QuickModel(), summary_events=1) as served:
        await served.http.post("/memories/junaid/initialize", json=JUNAID)
        await replied(served, "junaid", "I like tea")
        first = JUNAID | {"user_summary": "Junaid lately said: 'I like tea'."}
        await becomes(served, "/memories/junaid", first)
        await served.reply("junaid", "I like cake")
        second = JUNAID | {"user_summary": "Junaid lately said: 'I like cake'."}
        await becomes(served, "/memories/junaid", second)
        assert (await got(served, "/memories/bob"))["user_summary"] == "bob is a new user."
