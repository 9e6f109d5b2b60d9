"""Bugs of the published lessons about turns, callbacks, logs, reminders and configuration."""

import asyncio
import importlib.metadata
import json
import logging
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from dapr.actor import ActorRuntime

from agent_actors.clock import SystemClock
from agent_actors.model.scripted import ScriptedModel
from agent_actors.protocol import wire
from agent_actors.protocol.codec import encode
from agent_actors.protocol.events import TurnEvent
from agent_actors.protocol.messages import Message
from agent_actors.settings import Settings
from agent_actors.state import slots
from tests.conftest import Serve
from tests.fakes import FakeRuntime, HeldModel, QuickModel, eventually
from tests.hand_clock import HandClock
from tests.unit.routes.sidecar.lessons import conversation, wrapped

ROOT = Path(__file__).parents[2]
TICK = b'{"data":"","dueTime":"","period":""}'


async def test_b15_no_actor_waits_for_a_model(serve: Serve):
    """The turn ends when the parking time is over, whatever the model does."""
    runtime, clock, model = FakeRuntime(), HandClock(), HeldModel()
    async with serve(runtime=runtime, clock=clock, model=model) as served:
        asked = asyncio.create_task(served.say("ada", "slow", idempotency_key="k"))
        await eventually(lambda: model.prompts)
        await clock.advance(1.6)
        call = runtime.client.invoke_method("ChatAgent", "ada", "GetConversationHistory")
        async with asyncio.timeout(5):
            assert json.loads(await call) == []

        model.free.set()
        first = await asked
        again = await served.say("ada", "slow", idempotency_key="k")

        assert again.json() == first.json()
        assert len(model.prompts) == 1


async def test_b16_callbacks_and_actors_are_private(serve: Serve):
    """No caller of the port feeds events, or reaches an actor past its turn lock."""
    async with serve() as served:
        body = {"role": "user", "content": "x"}
        method = "/actors/ChatAgent/ada/method/ProcessMessage"

        for path in ("/subscribe", "/conversations", "/messages"):
            assert (await served.http.post(path, json={})).status_code == 403
            assert (await served.http.post(f"{path}/dead", json={})).status_code == 403
        assert (await served.http.post("/receive-message", json=body)).status_code == 403
        assert (await served.http.put(method, json=body)).status_code == 404
        assert (await served.http.delete("/actors/ChatAgent/ada")).status_code == 404
        assert await served.services.reader.count("ada") == 0


async def test_b16_a_user_reads_no_other_users_history(serve: Serve):
    """Any caller did; where tokens are set, the subject of one is the only user it reaches."""
    tokens = [{"token": f"{user}-0123456789abcdef", "subject": user} for user in ("ada", "ben")]
    async with serve(access_tokens=json.dumps(tokens)) as served:
        for user, status in (("ada", 200), ("ben", 403)):
            served.http.headers["authorization"] = f"Bearer {user}-0123456789abcdef"
            assert (await served.http.get("/chat/ada/history")).status_code == status
        del served.http.headers["authorization"]
        assert (await served.http.get("/chat/ada/history")).status_code == 401


async def test_b17_logs_hold_ids_and_nothing_that_was_said(
    serve: Serve, caplog: pytest.LogCaptureFixture
):
    """Whatever fails on the way, neither text nor token is logged above DEBUG."""
    caplog.set_level(logging.INFO)
    runtime = FakeRuntime()
    model = ScriptedModel(SystemClock())
    async with serve(runtime=runtime, model=model, APP_API_TOKEN="tokensecret") as served:
        for content in ("wordsecret", "/fail wordsecret", "/break wordsecret"):
            await served.say("ada", content)
        for error in (ValueError("wordsecret"), RuntimeError("wordsecret")):
            runtime.client.fail("save", error)
            assert (await served.say("ada", "wordsecret")).status_code == 500
        said = {"role": "wordsecret", "content": "wordsecret"}
        await served.http.post("/chat/ada", json=said)
        await served.deliver({"id": "x", "data": {"actor_id": "ada", "input": said}})
        for event in (conversation(user_message="wordsecret"), conversation(usage="wordsecret")):
            await served.deliver(wrapped(event), "/conversations")
        person = {"name": "wordsecret", "preferred_style": "", "user_summary": "wordsecret"}
        await served.http.post("/memories/ada/initialize", json=person)
        await served.http.put("/users/ada/preferences", json={"wordsecret": 7})

    assert "secret" not in caplog.text
    assert caplog.records


async def test_b20_the_reminder_is_registered_in_the_first_turn(serve: Serve):
    """A new user's first turn has its recovery reminder, before anything is saved."""
    runtime = FakeRuntime()
    async with serve(runtime=runtime, model=QuickModel()) as served:
        await served.reply("ada", "hi")

    order = [entry[0] for entry in runtime.client.log if entry[0] in {"register", "save"}]
    assert order == ["register", "save"]
    assert ("ChatAgent", "ada", wire.SETTLE) in runtime.client.reminders


async def test_b21_a_reminder_ends_itself_and_wipes_nothing(serve: Serve):
    """Once all is settled it is gone; a later activation neither registers one nor clears."""
    runtime = FakeRuntime()
    async with serve(runtime=runtime, model=QuickModel()) as served:
        await served.reply("ada", "hi")
        (event,) = runtime.published
        await served.deliver({"id": event.id, "data": json.loads(encode(event.data))})
        applied = runtime.client.state
        await eventually(lambda: applied[wire.SESSION, "ada"])
        await eventually(lambda: applied[wire.ANALYTICS, "ada"])
        await ActorRuntime.fire_reminder("ChatAgent", "ada", wire.SETTLE, TICK)

        assert runtime.client.reminders == {}

        await ActorRuntime.deactivate("ChatAgent", "ada")
        await runtime.client.invoke_method("ChatAgent", "ada", "GetConversationHistory")

        assert runtime.client.reminders == {}
        assert len((await served.history("ada"))["history"]) == 2


async def test_b23_a_reentrant_call_loses_no_update(serve: Serve):
    """Calls of one reentrancy id run one after another, and each one's effect is kept."""
    runtime = FakeRuntime()
    async with serve(runtime=runtime):
        gate = runtime.client.hold("save")
        calls = [asyncio.create_task(_remember(f"e{number}")) for number in range(3)]
        await eventually(lambda: runtime.client.did("save"))
        gate.set()
        results = await asyncio.gather(*calls)
        actor = (wire.MEMORY, "memory-ada")

        assert [json.loads(result)["status"] for result in results] == ["applied"] * 3
        assert runtime.client.value(actor, slots.MEMORY)["seen"] == ["e0", "e1", "e2"]


async def _remember(event_id: str) -> bytes:
    """A call as daprd makes it where reentrancy is on: with the id of the chain."""
    said, answered = Message("user", event_id), Message("assistant", event_id)
    body = encode(TurnEvent("ada", event_id, said, answered))
    actor = (wire.MEMORY, "memory-ada")
    result: bytes = await ActorRuntime.dispatch(*actor, "UpdateMemory", body, reentrancy_id="same")
    return result


def test_b24_importing_the_service_configures_no_logging():
    """Who starts the process decides what is logged, and INFO is not lost on the way."""
    import subprocess
    import sys

    code = "import logging, agent_actors.app; print(logging.root.handlers, logging.root.level)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )

    assert done.stdout.strip() == f"[] {logging.WARNING}"


async def test_b25_the_sidecar_is_told_what_the_settings_say(serve: Serve):
    """Idle and drain times are the settings'; the drain outlasts a turn's wait for its model."""
    defaults = Settings()
    async with serve(idle_timeout=90, actor_drain=3) as served:
        config = (await served.http.get("/dapr/config")).json()

        assert config["actorIdleTimeout"] == "0h1m30s0ms0μs"
        assert config["drainOngoingCallTimeout"] == "0h0m3s0ms0μs"
        assert "remindersStoragePartitions" not in config

    assert defaults.parking_time < defaults.actor_drain < defaults.call_time < defaults.drain


def test_b29_a_subscription_has_no_rule_that_never_matches():
    """Each topic is subscribed once, by file, to a route that is there."""
    from agent_actors.app import create_app

    documents = [
        document
        for path in sorted((ROOT / "components").glob("*.yaml"))
        for document in yaml.safe_load_all(path.read_text())
    ]
    subscriptions = [each["spec"] for each in documents if each["kind"] == "Subscription"]
    topics = [each["topic"] for each in subscriptions]
    app = create_app(Settings(data=Path("not made")), runtime=FakeRuntime())
    served = app.openapi()["paths"]

    assert len(topics) == len(set(topics))
    assert {wire.USER_CHAT} <= set(topics)
    for spec in subscriptions:
        assert spec["routes"]["default"] in served
        assert "rules" not in spec["routes"]
    assert "/dapr/subscribe" not in served


def test_b34_nothing_shadows_the_sdk_and_no_hook_is_deprecated():
    """The SDK's own FastAPI extension is the only one, and the app uses a lifespan."""
    installed = {dist.metadata["Name"].lower() for dist in importlib.metadata.distributions()}
    code = "".join(path.read_text() for path in (ROOT / "src").rglob("*.py"))

    assert not [name for name in installed if name.startswith("dapr-ext")]
    assert not re.search(r"\.on_event\(|add_event_handler", code)


@pytest.mark.parametrize("said", ["10m", "2024-01-05 standup", "1h", "+1555", "2024-01-05"])
async def test_confirmed_text_is_stored_as_it_was_said(serve: Serve, said: str):
    """What the SDK's serializer turned into durations and dates comes back as text."""
    async with serve() as served:
        await served.reply("ada", said)
        await served.remembered("ada", 1)
        history: Any = (await served.history("ada"))["history"]

        assert history[0]["content"] == said
        assert (await served.memory("ada"))[0]["content"] == said


async def test_confirmed_ids_that_a_sidecar_alters_are_refused(serve: Serve):
    """`+1555` is not stored under ` 1555`."""
    async with serve() as served:
        answer = await served.say("+1555", "hi")

        assert answer.status_code == 422
