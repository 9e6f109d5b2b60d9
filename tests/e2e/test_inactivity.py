"""The timer, the reminder and the call back of the lessons, on each runtime (`docs/actors.md`)."""

from pathlib import Path

import pytest

from tests.e2e.conftest import SETTINGS, Launch
from tests.e2e.service import eventually


@pytest.fixture
def settings() -> dict[str, object]:
    """Everything that the lessons show, with short times."""
    return SETTINGS | {
        "profile": "lesson",
        "history_ttl": 2.0,
        "clearing_forgets": True,
    }


async def test_a_timer_logs_how_many_messages_there_are(
    launch: Launch, tmp_path: Path, settings: dict[str, object]
):
    """Every five seconds while the actor is active."""
    async with launch(tmp_path, **settings | {"history_ttl": 3_600}) as service:
        await service.reply("ada", "Hello")
        await eventually(
            lambda: "conversation ada has 2 entries" in service.logged(),
            "the messages were counted",
        )


async def test_a_silent_conversation_is_cleared_over_a_restart(
    launch: Launch, tmp_path: Path, settings: dict[str, object]
):
    """The reminder outlives a kill; what was cleared is forgotten by memory and session, too."""
    async with launch(tmp_path, **settings) as service:
        await service.reply("ada", "Hello")
        await service.remembered("ada", "Hello")
        service.kill()
        await service.start()

        async def cleared() -> bool:
            session = (await service.http.get("/users/ada/session")).json()["history"]
            return not (await service.history("ada") or await service.memory("ada") or session)

        await eventually(cleared, "the conversation was cleared and forgotten")
        assert await service.count("ada") == 1
        await service.reply("ada", "Hello again")
        assert (await service.history("ada"))[0]["content"] == "Hello again"


async def test_an_actor_is_called_back(launch: Launch, tmp_path: Path, settings: dict[str, object]):
    """ChatAgent asks ResponseAgent, which asks the same ChatAgent, which asks ResponseAgent."""
    async with launch(tmp_path, **settings | {"model": "echo"}) as service:
        body = {"role": "user", "content": "Hello"}
        answer = await service.http.post("/chat/eve/follow-up", json=body)
        said = [entry["content"] for entry in await service.history("eve")]

        assert answer.status_code == 200, answer.text
        assert said[::2] == ["Hello", "Tell me more about: Hello"]
        assert said[3] == answer.json()["follow_up"]["response"]["content"]
        assert await service.count("eve") == 2


async def test_the_configuration_says_what_is_so(
    launch: Launch, tmp_path: Path, settings: dict[str, object]
):
    """`/dapr/config` has the settings for all types, and those of single ones."""
    own = '{"MemoryAgentActor": {"idle_timeout": 600, "drain": 3, "reentrancy_depth": 1}}'
    async with launch(tmp_path, **settings | {"actor_types": own}) as service:
        told = (await service.http.get("/dapr/config")).json()
        (memory,) = told["entitiesConfig"]

        assert told["actorIdleTimeout"] == "0h1m0s0ms0μs"
        assert told["drainOngoingCallTimeout"] == "0h0m2s0ms0μs"
        assert told["reentrancy"]["enabled"] is True
        assert told.get("actorScanInterval") is None  # Dapr would not heed it.
        assert memory["entities"] == ["MemoryAgentActor"]
        assert memory["actorIdleTimeout"] == "0h10m0s0ms0μs"
        assert memory["reentrancy"]["enabled"] is False
        assert {"ChatAgent", "MemoryAgentActor"} <= set(told["entities"])
