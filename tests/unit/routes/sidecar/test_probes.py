"""What `agent-actors doctor` sends through the broker, as the service takes it."""

import json
from typing import Any

import pytest

from agent_actors.protocol.codec import encode
from agent_actors.protocol.events import ConversationCleared
from agent_actors.routes.sidecar import probes
from agent_actors.routes.sidecar.envelope import read_event
from agent_actors.routes.sidecar.probes import KEPT, MARK, Probes
from tests.conftest import Serve

NOW = "2026-01-01T12:00:00+00:00"


def delivered(name: str) -> dict[str, Any]:
    """A probe as a broker delivers it."""
    event = probes.probe(name, NOW)
    return {
        "specversion": "1.0",
        "id": event.id,
        "type": event.type,
        "source": event.source,
        "data": json.loads(encode(event.data)),
    }


async def test_a_probe_is_noted_and_has_no_effect(serve: Serve):
    """It is acknowledged; nobody is remembered, and nothing is a dead letter."""
    async with serve() as served:
        assert await served.deliver(probes.question("x")) == "RETRY"
        assert await served.deliver(delivered("x")) == "SUCCESS"
        assert await served.deliver(probes.question("x")) == "SUCCESS"
        assert await served.deliver(probes.question("y")) == "RETRY"
        assert (await served.http.get("/events/dead")).json() == {"dead": []}
        assert await served.memory("doctor-x") == []


async def test_only_the_runtime_may_ask(serve: Serve):
    """A stranger learns nothing, and has nothing noted."""
    async with serve() as served:
        for body in (delivered("x"), json.loads(probes.question("x"))):
            assert (await served.http.post("/subscribe", json=body)).status_code == 403
        assert await served.deliver(probes.question("x")) == "RETRY"


async def test_a_release_without_probes_keeps_no_letter_of_one(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
):
    """To it, a probe says that a conversation was cleared which nobody has."""
    async with serve() as served:
        monkeypatch.setattr(Probes, "answer", lambda *_: None)
        probe = delivered("x")

        assert isinstance(read_event(encode(probe)).event, ConversationCleared)
        assert await served.deliver(probe) == "DROP"
        assert await served.deliver(probe, "/subscribe/dead") == "SUCCESS"
        assert (await served.http.get("/events/dead")).json() == {"dead": []}


def test_only_the_newest_are_remembered():
    """However many come, and however long their names are."""
    noted = Probes()
    for number in range(KEPT + 1):
        noted.answer(encode(delivered(f"{number}")))
    noted.answer(encode(delivered("x" * 10_000)))

    assert noted.answer(probes.question("0")) == "RETRY"
    assert noted.answer(probes.question(f"{KEPT}")) == "SUCCESS"
    assert noted.answer(probes.question("x" * 64)) == "SUCCESS"


def test_what_people_say_is_no_probe():
    """Only the type of an event is one, not words in it."""
    said = {"type": "ConversationUpdated", "data": {"input": {"content": MARK}}}

    assert Probes().answer(encode(said)) is None
    assert Probes().answer(encode({"type": MARK, "data": "x"})) is None
    assert Probes().answer(MARK.encode()) is None
    assert Probes().answer(json.dumps([MARK]).encode()) is None
