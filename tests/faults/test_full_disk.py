"""A disk that is full: told as 503, nothing is lost, and all goes on when there is room again."""

import asyncio
import sqlite3
from typing import Any, cast

import pytest

from agent_actors.errors import Unavailable
from agent_actors.runtime.embedded import EmbeddedRuntime
from tests.conftest import Serve, Served
from tests.fakes import HeldModel, QuickModel, eventually

MUCH = "CREATE TABLE x AS SELECT zeroblob(1000000)"
ROOM = 40
"""Pages of 4 KiB that are left."""


async def limit(served: Served, pages: int | None) -> None:
    """Makes the disk full but for that many pages, or as large as it was."""

    def set_limit(connection: sqlite3.Connection) -> None:
        (used,) = connection.execute("PRAGMA page_count").fetchone()
        most = 2**30 if pages is None else used + pages
        connection.execute(f"PRAGMA max_page_count = {most}")

    await cast(EmbeddedRuntime, served.services.runtime)._store.write(set_limit)


async def fill(served: Served, user: str) -> tuple[list[str], Any]:
    """Says things until one is refused: what was answered, and the refusal."""
    said: list[str] = []
    for number in range(100):
        content = f"{number} " + "x" * 20_000
        answer = await served.say(user, content, idempotency_key=f"k{number}")
        if answer.status_code != 200:
            return said, answer
        said.append(content)
    raise AssertionError("the disk was never full")


async def contents(served: Served, user: str) -> list[str]:
    page = await served.history(user, limit=1000)
    assert page["next"] is None
    return [entry["content"] for entry in page["history"][::2]]


async def test_a_full_disk_loses_nothing(serve: Serve):
    """503 with advice; reads go on; what was answered is there; the retry counts once."""
    async with serve(model=QuickModel()) as served:
        await served.reply("ada", "first")
        await limit(served, ROOM)
        said, refused = await fill(served, "ada")

        assert refused.status_code == 503
        assert refused.headers["retry-after"]
        assert refused.json()["retry"] == "same-key"
        assert "disk is full" in refused.json()["detail"]
        assert await contents(served, "ada") == ["first", *said]
        assert (await served.http.get("/livez")).status_code == 200

        await limit(served, None)
        content = f"{len(said)} " + "x" * 20_000
        for _ in range(2):
            again = await served.say("ada", content, idempotency_key=f"k{len(said)}")
            assert again.status_code == 200

        assert await contents(served, "ada") == ["first", *said, content]
        assert await served.services.reader.count("ada") == len(said) + 2


async def test_a_full_disk_is_noticed_by_every_conversation(serve: Serve):
    """A new one is refused as well, and leaves nothing behind."""
    async with serve(model=QuickModel()) as served:
        await limit(served, ROOM)
        await fill(served, "ada")
        refused = await served.say("bob", "y" * 30_000)

        assert refused.status_code == 503
        assert await contents(served, "bob") == []

        await limit(served, None)

        assert (await served.say("bob", "again")).status_code == 200


async def test_a_parked_turn_survives_a_full_disk(serve: Serve):
    """Its end cannot be saved for a while; it is saved when there is room, without being asked."""
    model = HeldModel()
    async with serve(model=model, recovery_period=0.5) as served:
        accepted = await served.say("ada", "x" * 30_000, prefer="respond-async")
        await eventually(lambda: model.prompts)
        await limit(served, 0)
        model.free.set()
        await _a_while(served)
        state = (await served.http.get(accepted.headers["location"])).json()

        assert state["status"] == "running"

        await limit(served, None)
        await served.remembered("ada", 1)
        assert await served.services.reader.count("ada") == 1
        assert len(model.prompts) == 1


async def _a_while(served: Served) -> None:
    """Long enough for an end that could be saved."""
    await asyncio.wait({asyncio.create_task(asyncio.Event().wait())}, timeout=0.3)


async def test_memory_gets_what_it_missed_while_the_disk_was_full(serve: Serve):
    """An event that could not be applied is applied when there is room, in order."""
    async with serve(model=QuickModel(), recovery_period=0.5) as served:
        await served.reply("ada", "first")
        await served.remembered("ada", 1)
        await limit(served, ROOM)
        said, _ = await fill(served, "ada")
        await limit(served, None)
        await served.remembered("ada", len(said) + 1)

        last = (await served.memory("ada"))[-2]["content"]
        assert last == ["first", *said][-1]


async def test_the_limit_is_a_limit(serve: Serve):
    """The fault that these tests inject is SQLite's own error of a full disk."""
    async with serve() as served:
        await limit(served, 0)
        store = cast(EmbeddedRuntime, served.services.runtime)._store

        with pytest.raises(Unavailable, match="disk is full"):
            await store.write(lambda connection: connection.execute(MUCH))
