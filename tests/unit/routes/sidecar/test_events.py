"""`/subscribe` and `/subscribe/dead`."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from agent_actors.conversation.outbox import turn_event
from agent_actors.errors import Invalid, Unavailable
from agent_actors.protocol.codec import encode
from agent_actors.protocol.events import turn_payload
from agent_actors.protocol.wire import TOKEN_HEADER
from agent_actors.state.documents.conversation import Head
from tests.conftest import Serve
from tests.fakes import FakeRuntime, QuickModel, a_pair, eventually
from tests.unit.routes.sidecar.lessons import as_text, letters


def ours(number: int, **changes: Any) -> dict[str, Any]:
    """An event of ours, as daprd delivers it."""
    data = (
        json.loads(encode(turn_payload(turn_event("ada", Head(user="ada"), a_pair(number)))))
        | changes
    )
    return {"id": data["event_id"], "type": "ConversationUpdated", "specversion": "1.0",
            "source": "agent-actors", "topic": "user-chat", "pubsubname": "daca-pubsub",
            "datacontenttype": "application/json", "data": data}  # fmt: skip


def foreign(event_id: str, **changes: Any) -> dict[str, Any]:
    """The lesson's form: no number, an actor, a message and a reply."""
    data = {"event_type": "ConversationUpdated", "actor_id": "ada",
            "input": {"role": "user", "content": "10m"},
            "output": {"role": "assistant", "content": "2024-01-05 standup"}}  # fmt: skip
    return {"id": event_id, "type": "com.dapr.event.sent", "data": data | changes}


@pytest.mark.parametrize("form", [dict, as_text])
async def test_an_event_reaches_memory_before_it_is_acknowledged(
    serve: Serve, form: Callable[[dict[str, Any]], dict[str, Any]]
):
    """SUCCESS means that the effect is saved, also if a broker makes text of the data."""
    async with serve() as served:
        assert await served.deliver(form(ours(1))) == "SUCCESS"
        assert await served.memory("ada") == [
            {"role": "user", "content": "said 1"},
            {"role": "assistant", "content": "answered 1"},
        ]


async def test_a_duplicate_is_acknowledged_and_not_applied(serve: Serve):
    """Redelivered for ever, it is remembered once."""
    async with serve() as served:
        verdicts = [await served.deliver(ours(seq)) for seq in (1, 1, 2, 1, 2, 2)]

        assert verdicts == ["SUCCESS"] * 6
        assert [entry["content"] for entry in await served.memory("ada")] == [
            "answered 1",
            "said 2",
            "answered 2",
        ]


async def test_an_event_that_is_too_early_comes_again(serve: Serve):
    """A gap is RETRY; in order they all succeed."""
    async with serve() as served:
        assert await served.deliver(ours(2)) == "RETRY"
        assert await served.memory("ada") == []
        assert await served.deliver(ours(1)) == "SUCCESS"
        assert await served.deliver(ours(2)) == "SUCCESS"


@pytest.mark.parametrize("form", [dict, as_text])
async def test_the_lessons_form_is_effective_once_per_id(
    serve: Serve, form: Callable[[dict[str, Any]], dict[str, Any]]
):
    """Its data may be an object, or JSON in a string; texts are stored unchanged."""
    async with serve() as served:
        verdicts = [await served.deliver(form(foreign("x"))) for _ in range(2)]

        assert verdicts == ["SUCCESS", "SUCCESS"]
        assert await served.memory("ada") == [
            {"role": "user", "content": "10m"},
            {"role": "assistant", "content": "2024-01-05 standup"},
        ]
        assert await served.deliver(form(foreign("y"))) == "SUCCESS"
        assert len(await served.memory("ada")) == 3


@pytest.mark.parametrize("version", [2, 0, None, "1", 1.5])
async def test_an_unknown_version_comes_again(serve: Serve, version: Any):
    """Another release of this service may know it: RETRY, then a dead letter."""
    async with serve() as served:
        assert await served.deliver(ours(1, version=version)) == "RETRY"
        assert await served.memory("ada") == []


JUNK = [
    b"",
    b"{",
    b"[]",
    b"7",
    b"null",
    b"\xff\xfe",
    {},
    {"id": "x"},
    {"id": "x", "data": None},
    {"id": "x", "data": 7},
    {"id": "x", "data": []},
    {"id": "x", "data": "no json"},
    {"id": "x", "data": "[]"},
    {"id": "x", "data": {}},
    {"id": 7, "data": {"actor_id": 7}},
    foreign("x", actor_id=None),
    foreign("x", actor_id=""),
    foreign("x", actor_id="a b"),
    foreign("x", actor_id="session:1"),
    foreign("x", input=None),
    foreign("x", input={}),
    foreign("x", output="text"),
    foreign("x", input={"role": "system", "content": "x"}),
    foreign(""),
    ours(1, user_id="../x"),
    ours(1, seq="x"),
    ours(1, input={"role": "user"}),
    ours(1, user_id=None),
]


@pytest.mark.parametrize("event", JUNK, ids=range(len(JUNK)))
async def test_junk_is_dropped(serve: Serve, event: Any):
    """What can never work is DROP, and makes nobody's memory."""
    async with serve() as served:
        assert await served.deliver(event) == "DROP"
        assert await served.memory("unknown") == []
        assert await served.memory("ada") == []


@pytest.mark.parametrize(
    ("error", "verdict"),
    [(Unavailable("away"), "RETRY"), (RuntimeError("a bug"), "RETRY"), (Invalid("no"), "DROP")],
)
async def test_an_event_that_memory_cannot_take_waits_or_is_dropped(
    serve: Serve, error: Exception, verdict: str
):
    """The store may come back and a bug may be mended; what a caller did wrong stays wrong."""
    runtime = FakeRuntime()
    async with serve(runtime=runtime) as served:
        runtime.client.fail("save", error)

        assert await served.deliver(ours(1)) == verdict
        assert await served.deliver(ours(1)) == "SUCCESS"


async def test_a_token_of_the_environment_is_the_one(serve: Serve):
    """`APP_API_TOKEN` is what the sidecar carries."""
    async with serve(APP_API_TOKEN="secret") as served:
        assert served.token == {TOKEN_HEADER: "secret"}
        assert await served.deliver(ours(1)) == "SUCCESS"


async def test_actor_routes_are_not_served(serve: Serve):
    """The SDK's own routes are on an app that nobody can reach."""
    async with serve() as served:
        body = {"role": "user", "content": "x"}
        for method in ("PUT", "POST", "DELETE", "GET"):
            path = "/actors/ChatAgent/ada/method/ProcessMessage"
            answer = await served.http.request(method, path, json=body)

            assert answer.status_code == 404
        assert (await served.http.get("/healthz")).status_code == 200
        assert (await served.http.get("/dapr/config")).json()["entities"]


async def test_an_event_that_was_given_up_is_kept_and_listed(serve: Serve):
    """With the reason, so that nothing is lost without a trace."""
    async with serve(model=QuickModel()) as served:
        event = ours(3)
        assert await served.deliver(event, "/subscribe/dead") == "SUCCESS"
        await served.deliver({"id": "x", "data": {}}, "/subscribe/dead")
        junk, letter = await letters(served)

        assert letter["event"] == event
        assert letter["id"]
        assert letter["at"].endswith("Z")
        assert "names no user" in junk["reason"]


async def test_an_event_that_memory_or_history_has_is_no_dead_letter(serve: Serve):
    """It was applied meanwhile, or the reminder publishes it again."""
    async with serve(runtime=FakeRuntime(), model=QuickModel()) as served:
        await served.deliver(ours(1))
        assert await served.deliver(ours(1), "/subscribe/dead") == "SUCCESS"
        await served.reply("bob", "hi")
        said = ours(1, actor_id="bob", user_id="bob")
        assert await served.deliver(said, "/subscribe/dead") == "SUCCESS"

        assert await letters(served) == []


async def test_an_event_may_be_larger_than_any_message(serve: Serve):
    """It has each text of a turn twice, and escaped; every message must reach memory."""
    long = "\n" * 400_000
    async with serve() as served:
        answer = await served.http.post(
            "/subscribe", content=encode(ours(1, text=long)), headers=served.token
        )

        assert answer.json() == {"status": "SUCCESS"}


def cleared(upto: int, **changes: Any) -> dict[str, Any]:
    """A clearing of ours, as daprd delivers it."""
    data = {"version": 1, "event_id": "e", "event_type": "ConversationCleared", "actor_id": "ada",
            "actor_type": "ChatAgent", "user_id": "ada", "upto": upto,
            "occurred_at": "2026-01-01T00:00:00+00:00"}  # fmt: skip
    return {"id": "e", "type": "ConversationCleared", "data": data | changes}


async def test_a_cleared_conversation_is_forgotten(serve: Serve):
    """By memory and session, at once, where the setting says so."""
    async with serve(clearing_forgets=True, feed_time=0.01) as served:
        await served.reply("ada", "hello")
        await served.remembered("ada", 1)
        answer = await served.http.delete("/chat/ada/history")

        async def forgotten() -> bool:
            session = (await served.http.get("/users/ada/session")).json()
            return not await served.memory("ada") and session == {"history": []}

        assert answer.status_code == 204
        await eventually(forgotten)


async def test_only_cleared_turns_are_forgotten(serve: Serve):
    """The event is checked against the conversation: of another user, or not cleared that far."""
    async with serve() as served:
        await served.reply("ada", "hello")
        await served.remembered("ada", 1)

        for upto in (1, 0, -1):
            assert await served.deliver(cleared(upto)) == "DROP"
        assert await served.deliver(cleared(1, version=2)) == "RETRY"
        assert await served.deliver(cleared(1, user_id="eve")) == "DROP"
        assert await served.deliver(cleared(1, actor_id="bad id")) == "DROP"
        assert await served.memory("ada") != []


async def test_a_clearing_that_was_given_up_is_not_kept(serve: Serve):
    """The conversation's reminder has it forgotten."""
    async with serve() as served:
        assert await served.deliver(cleared(1), "/subscribe/dead") == "SUCCESS"
        assert await letters(served) == []
