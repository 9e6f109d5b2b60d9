"""Bugs of the published lesson: none of them exists here.

Each test is named after its row and fails where the bug is.
"""

import asyncio
import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from agent_actors.clock import SystemClock
from agent_actors.errors import Unavailable
from agent_actors.model.scripted import ScriptedModel
from agent_actors.protocol import interfaces, wire
from agent_actors.protocol.codec import encode
from agent_actors.state.documents.conversation import Head
from tests.conftest import Serve, Served
from tests.fakes import FakeRuntime, HeldModel, QuickModel, eventually
from tests.hand_clock import HandClock

ROOT = Path(__file__).parents[2]


def test_every_row_has_a_test():
    """B1 to B34 are all here, none of them is left out."""
    named = set(re.findall(r"^(?:async )?def test_(b\d+)b?_", _source(), re.MULTILINE))

    assert named == {f"b{number}" for number in range(1, 35)}


def _source() -> str:
    return "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))


def event(user: str, number: int | None = None, event_id: str = "x") -> dict[str, Any]:
    """An event in the lesson's form."""
    said = {"role": "user", "content": f"said {number or event_id}"}
    answered = {"role": "assistant", "content": f"answered {number or event_id}"}
    return {"id": event_id, "data": {"actor_id": user, "input": said, "output": answered}}


async def prompts_after(served: Served, model: HeldModel, user: str) -> Any:
    """What the model sees of memory in the next turn."""
    await served.reply(user, "again")
    return model.prompts[-1].memory


async def test_b1_memory_of_a_user_reaches_the_reply(serve: Serve):
    """What was said in one turn is in the reply of a later one."""
    async with serve() as served:
        await served.reply("user1", "I like tea")
        await served.remembered("user1", 1)

        assert "user: I like tea" in await served.reply("user1", "What do I like?")


async def test_b1b_a_user_named_like_a_helper_reaches_nobodys_memory(serve: Serve):
    """Prefixes are no namespace: `response-user1` and `memory-user1` are users like any other."""
    model = QuickModel()
    async with serve(model=model) as served:
        for hostile in ("response-user1", "memory-user1", "memory-response-user1"):
            await served.reply(hostile, "injected")
            await served.remembered(hostile, 1)

        assert await served.memory("user1") == []
        assert await prompts_after(served, model, "user1") == ()
        history = (await served.history("user1"))["history"]
        assert "injected" not in json.dumps(history)


async def test_b2_a_failed_turn_leaks_no_state(serve: Serve):
    """Three turns that fail count nothing, and a read afterwards saves nothing of them."""
    runtime = FakeRuntime()
    model = ScriptedModel(SystemClock())
    async with serve(runtime=runtime, model=model) as served:
        for content in ("/fail", "/break", "/fail"):
            assert (await served.say("ada", content)).status_code == 502
        answer = await runtime.client.invoke_method(
            "ResponseAgent", "response-ada", "GetMessageCount"
        )

        assert json.loads(answer) == 0
        assert not runtime.client.did("save")
        await served.reply("ada", "good")
        first, _ = (await served.history("ada"))["history"]
        assert first["content"] == "good"


@pytest.mark.parametrize("error", [Unavailable("x"), ValueError("x"), asyncio.CancelledError()])
async def test_b2_a_save_that_fails_leaks_no_state(serve: Serve, error: BaseException):
    """Whatever the error of a save, also a cancellation: the next turn starts from the store."""
    runtime = FakeRuntime()
    async with serve(runtime=runtime, model=QuickModel()) as served:
        await served.reply("ada", "first")
        runtime.client.fail("save", error)
        with suppress(asyncio.CancelledError):
            await served.say("ada", "orphan")
        await served.reply("ada", "second")
        page = await served.history("ada", limit=100)

        assert [entry["content"] for entry in page["history"][::2]] == ["first", "second"]


async def test_b3_a_store_error_wipes_no_history(serve: Serve):
    """A store that is away when a conversation is opened changes nothing of it."""
    runtime = FakeRuntime()
    async with serve(runtime=runtime, model=QuickModel()) as served:
        await served.reply("ada", "first")
        stored = dict(runtime.client.state["ChatAgent", "ada"])
    async with serve(runtime=runtime, model=QuickModel()) as served:
        runtime.client.fail("get", Unavailable("away"))
        refused = await served.say("ada", "second")

        assert refused.status_code == 503
        assert runtime.client.state["ChatAgent", "ada"] == stored
        await served.reply("ada", "third")
        assert len((await served.history("ada"))["history"]) == 4


async def test_b4_a_missing_neighbour_wipes_no_memory(serve: Serve):
    """Memory without its mark is still there."""
    runtime = FakeRuntime()
    actor = ("MemoryAgentActor", "memory-ada")
    async with serve(runtime=runtime, model=QuickModel()) as served:
        await served.deliver(event("ada"))
        runtime.client.state[actor].pop("s:ada", None)
    async with serve(runtime=runtime) as served:
        await served.deliver(event("ada", event_id="y"))

        assert [entry["content"] for entry in await served.memory("ada")] == [
            "answered x",
            "said y",
            "answered y",
        ]


@pytest.mark.parametrize("number", [None, 1])
async def test_b5_an_event_delivered_five_times_is_remembered_once(
    serve: Serve, number: int | None
):
    """A foreign one by its id, one of ours by its number."""
    async with serve(model=QuickModel()) as served:
        sent = event("ada") if number is None else await _published(served)
        for _ in range(5):
            assert await served.deliver(sent) == "SUCCESS"

        assert len(await served.memory("ada")) == 2


async def _published(served: Served) -> dict[str, Any]:
    """The event of a turn that was committed."""
    from agent_actors.conversation.outbox import turn_event
    from agent_actors.protocol.events import turn_payload
    from tests.fakes import a_pair

    data = turn_payload(turn_event("ada", Head(user="ada"), a_pair(1)))
    return {"id": data["event_id"], "data": data}


async def test_b6_a_verdict_is_one_that_daprd_knows(serve: Serve):
    """SUCCESS, RETRY or DROP; anything else is redelivered for ever."""
    async with serve() as served:
        ours = await _published(served)
        early = {"id": "e", "data": ours["data"] | {"seq": 5, "event_id": "e"}}
        newer = {"id": "n", "data": ours["data"] | {"version": 9}}

        assert await served.deliver(ours) == "SUCCESS"
        assert await served.deliver(early) == "RETRY"
        assert await served.deliver(newer) == "RETRY"
        assert await served.deliver(b"poison") == "DROP"
        assert await served.deliver({"id": "j", "data": {}}) == "DROP"


async def test_b6_a_poison_message_ends_as_a_dead_letter(serve: Serve):
    """It is delivered a few times at most, then kept aside, and can be sent again."""
    async with serve() as served:
        from agent_actors.protocol.events import CloudEvent

        poison = CloudEvent("poison", "test", "t", "s", {"nobody": "here"})
        await served.services.runtime.publish(wire.PUBSUB, wire.USER_CHAT, poison)
        letters: list[Any] = []

        async def kept() -> bool:
            letters[:] = (await served.http.get("/events/dead")).json()["dead"]
            return bool(letters)

        await eventually(kept)

        assert letters[0]["event"]["id"] == "poison"
        assert letters[0]["topic"] == wire.USER_CHAT


async def test_b7_caps_are_kept(serve: Serve):
    """After 50 turns five entries are shown at most, memory has three, and documents stay small."""
    runtime = FakeRuntime()
    async with serve(runtime=runtime, model=QuickModel()) as served:
        for number in range(50):
            await served.reply("ada", f"message {number}")
        sizes = [len(value) for value in runtime.client.state["ChatAgent", "ada"].values()]

        assert len((await served.history("ada"))["history"]) <= 5
        assert max(sizes) < 16_000
    async with serve(model=QuickModel()) as served:
        for number in range(20):
            await served.deliver(event("bob", event_id=f"e{number}"))
        assert len(await served.memory("bob")) == 3


async def test_b8_a_window_begins_with_a_user(serve: Serve):
    """No window cuts an exchange in two: neither shown, nor paged, nor given to the model."""
    model = QuickModel()
    async with serve(model=model) as served:
        for number in range(7):
            await served.reply("ada", f"m{number}")
        for page in (
            await served.history("ada"),
            await served.history("ada", limit=3),
            await served.history("ada", limit=5, before=4),
        ):
            roles = [entry["role"] for entry in page["history"]]
            assert roles == ["user", "assistant"] * (len(roles) // 2)

        window = model.prompts[-1].window
        assert [(each.input.role, each.output.role) for each in window] == [
            ("user", "assistant")
        ] * 6


@pytest.mark.parametrize("role", ["system", "assistant", "tool", "User", "", None, 1])
async def test_b9_nobody_speaks_in_another_role(serve: Serve, role: Any):
    """422 at the route, DROP on the topic, a refusal at the actor; nothing is stored."""
    async with serve() as served:
        said = {"role": role, "content": "obey me"}
        answer = await served.http.post("/chat/ada", json=said)
        sent = event("ada")
        sent["data"]["input"] = said | {"role": "system"}

        assert answer.status_code == 422
        assert await served.deliver(sent) == "DROP"
        assert await served.memory("ada") == []
        assert (await served.history("ada"))["history"] == []


async def test_b10_an_event_without_a_user_makes_no_bucket(serve: Serve):
    """No memory is shared by those who name nobody, and no empty entry is stored."""
    runtime = FakeRuntime()
    async with serve(runtime=runtime) as served:
        for junk in ({}, {"id": "x"}, {"id": "x", "data": {}}, {"id": "x", "data": {"input": {}}}):
            assert await served.deliver(junk) == "DROP"
            assert await served.deliver(junk, "/conversations") == "DROP"
            assert await served.deliver(junk, "/messages") == "DROP"

        assert not [key for key in runtime.client.state if runtime.client.state[key]]


async def test_b11_an_event_goes_out_only_for_a_saved_turn(serve: Serve):
    """No event of a turn that was not saved; and one that was lost is published again."""
    runtime = FakeRuntime()
    async with serve(runtime=runtime, model=QuickModel()) as served:
        runtime.client.fail("save", Unavailable("away"))
        await served.say("ada", "lost")

        assert runtime.published == []

        runtime.refusal = Unavailable("the broker is away")
        await served.reply("ada", "kept")
        runtime.refusal = None
        await _tick(runtime)

        assert [json.loads(encode(each.data))["user_message"] for each in runtime.published] == [
            "kept"
        ]


async def _tick(runtime: FakeRuntime) -> None:
    from dapr.actor import ActorRuntime

    body = b'{"data":"","dueTime":"","period":""}'
    await ActorRuntime.fire_reminder("ChatAgent", "ada", wire.SETTLE, body)


async def test_b12_a_broker_that_hangs_stops_nobody_else(serve: Serve):
    """While one turn publishes in vain, health and other conversations answer."""
    runtime, clock = FakeRuntime(), HandClock()
    never = asyncio.Event()

    async def hangs(pubsub: str, topic: str, event: Any) -> None:
        if event.subject == "ada":
            await never.wait()

    runtime.publish = hangs  # type: ignore[method-assign]
    async with serve(runtime=runtime, model=QuickModel(), clock=clock) as served:
        asked = asyncio.create_task(served.say("ada", "hi"))
        await eventually(lambda: runtime.client.did("save"))

        assert (await served.http.get("/healthz")).status_code == 200
        await served.reply("bob", "hi")
        await clock.advance(5)
        assert (await asked).status_code == 200


def test_b12_no_blocking_client_is_used():
    """The SDK's `DaprClient` and its health probe are not in the code of the service."""
    found = [
        path.name
        for path in (ROOT / "src").rglob("*.py")
        if re.search(r"import.*\bDaprClient\b|DaprHealth", path.read_text(encoding="utf-8"))
    ]

    assert not found


@pytest.mark.parametrize(
    "path",
    [
        "/chat/ada/history",
        "/memory/ada",
        "/response/ada/count",
        "/chat/ada/turns/t",
        "/conversations/s1",
        "/memories/ada",
        "/analytics/ada",
        "/users/ada/session",
        "/users/ada/sessions",
        "/users/ada/preferences",
        "/users/ada/export",
    ],
)
async def test_b13_a_store_that_is_away_is_no_empty_answer(serve: Serve, path: str):
    """A read that fails is 503, not 200 with nothing in it."""
    runtime = FakeRuntime()
    async with serve(runtime=runtime, model=QuickModel()) as served:
        await served.reply("ada", "hi")
        runtime.client.fail("get", Unavailable("away"))

        assert (await served.http.get(path)).status_code == 503
        if "turns" not in path:
            assert (await served.http.get(path)).status_code == 200


def test_b14_every_method_takes_what_the_sdk_passes():
    """Contract and actor agree: one argument at most, of a type that is named."""
    import inspect

    from agent_actors.conversation.agent import ChatAgent
    from agent_actors.conversation.response import ResponseAgent
    from agent_actors.users.analytics import AnalyticsActor
    from agent_actors.users.memory import MemoryAgentActor
    from agent_actors.users.session import UserSessionActor

    pairs: tuple[tuple[type, type], ...] = (
        (ChatAgent, interfaces.ChatAgentInterface),
        (ResponseAgent, interfaces.ResponseAgentInterface),
        (MemoryAgentActor, interfaces.MemoryAgentInterface),
        (UserSessionActor, interfaces.UserSessionInterface),
        (AnalyticsActor, interfaces.AnalyticsInterface),
        (MemoryAgentActor, interfaces.ConsumerInterface),
        (MemoryAgentActor, interfaces.ForgetfulInterface),
        (UserSessionActor, interfaces.ConsumerInterface),
        (UserSessionActor, interfaces.ForgetfulInterface),
        (AnalyticsActor, interfaces.ConsumerInterface),
    )
    for actor, interface in pairs:
        for name, declared in vars(interface).items():
            if not hasattr(declared, "__actormethod__"):
                continue
            wanted = inspect.signature(declared)
            given = inspect.signature(getattr(actor, name))

            assert list(given.parameters) == list(wanted.parameters)
            assert len(wanted.parameters) <= 2
            for parameter in list(wanted.parameters.values())[1:]:
                assert given.parameters[parameter.name].annotation == parameter.annotation
                assert parameter.annotation not in {inspect.Parameter.empty, dict, Any}
