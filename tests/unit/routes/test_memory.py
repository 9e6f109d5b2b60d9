"""`/memory/{actor_id}` and `/response/{actor_id}/count`."""

from agent_actors.errors import Unavailable
from tests.conftest import Serve
from tests.fakes import FakeRuntime, QuickModel


async def test_memory_has_the_last_three_entries(serve: Serve):
    """Fed by the events of committed turns, newest last."""
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
    """Each conversation has its own, and one that is not there has none."""
    async with serve(model=QuickModel()) as served:
        await served.reply("ada", "a")

        assert (await served.http.get("/response/ada/count")).json() == {"count": 1}
        assert (await served.http.get("/response/bob/count")).json() == {"count": 0}


async def test_a_store_that_is_away_is_told(serve: Serve):
    """503 with Retry-After on each read, never an empty answer."""
    runtime = FakeRuntime()
    async with serve(runtime=runtime) as served:
        for path in (
            "/memory/ada",
            "/response/ada/count",
            "/chat/ada/history",
            "/chat/ada/turns/t",
        ):
            runtime.client.fail("get", Unavailable("The store is away."))
            answer = await served.http.get(path)

            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
            assert answer.json()["retry"] == "same-key"
