"""`GET /chat/{actor_id}/history`: the last entries, or any page."""

import pytest

from tests.conftest import Serve
from tests.fakes import QuickModel


async def test_the_last_whole_exchanges_are_shown(serve: Serve):
    """Without `limit`, there are two turns and no `next`."""
    async with serve(model=QuickModel()) as served:
        assert await served.history("ada") == {"history": []}
        for number in range(3):
            await served.reply("ada", f"m{number}")
        shown = await served.history("ada")

        assert shown == {
            "history": [
                {"role": "user", "content": "m1"},
                {"role": "assistant", "content": "reply to m1"},
                {"role": "user", "content": "m2"},
                {"role": "assistant", "content": "reply to m2"},
            ]
        }


@pytest.mark.parametrize(("limit", "pairs"), [(1, 1), (2, 1), (3, 1), (4, 2), (5, 2), (1000, 20)])
async def test_a_limit_is_in_entries_and_keeps_pairs_whole(serve: Serve, limit: int, pairs: int):
    """An odd limit is rounded down, and one entry is a whole turn."""
    async with serve(model=QuickModel()) as served:
        for number in range(20):
            await served.reply("ada", f"m{number}")
        page = await served.history("ada", limit=limit)

        assert len(page["history"]) == 2 * pairs
        assert page["history"][-2]["content"] == "m19"
        assert page["next"] == (None if pairs == 20 else 21 - pairs)


async def test_pages_are_the_whole_transcript(serve: Serve):
    """Following `next` shows each entry once; `before` without `limit` is two turns."""
    async with serve(model=QuickModel()) as served:
        for number in range(20):
            await served.reply("ada", f"m{number}")
        page = await served.history("ada", limit=6)
        entries = page["history"]
        while page["next"] is not None:
            page = await served.history("ada", limit=6, before=page["next"])
            entries = page["history"] + entries

        assert [entry["content"] for entry in entries[::2]] == [f"m{n}" for n in range(20)]
        alone = await served.history("ada", before=4)
        assert [entry["content"] for entry in alone["history"][::2]] == ["m1", "m2"]
        assert alone["next"] == 2


async def test_the_history_is_bounded_by_the_setting(serve: Serve):
    """Only the last `history_turns` turns are shown; the count continues."""
    async with serve(model=QuickModel(), history_turns=2) as served:
        first = (await served.say("ada", "m0")).json()["turn_id"]
        for number in range(1, 5):
            await served.reply("ada", f"m{number}")
        page = await served.history("ada", limit=1000)

        assert [entry["content"] for entry in page["history"][::2]] == ["m3", "m4"]
        assert page["next"] is None
        assert (await served.http.get("/response/ada/count")).json() == {"count": 5}
        assert (await served.http.get(f"/chat/ada/turns/{first}")).status_code == 410
