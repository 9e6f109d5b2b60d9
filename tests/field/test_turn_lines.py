"""The line that the log has of each turn, for whoever watches the terminal."""

import json
import logging
import re
from io import StringIO
from typing import Any

import pytest

from agent_actors.clock import SystemClock
from agent_actors.model.scripted import ScriptedModel
from agent_actors.observability import logs
from tests.conftest import Serve, Served
from tests.unit.routes.sidecar.lessons import conversation, post, wrapped

SAID = "a secret word"
TURN = r"[0-9a-f-]{36}"
LINES: list[tuple[str, str]] = [
    ("/chat/ada", rf"INFO ada: turn {TURN} is done after 0\.\d\d s"),
    ("/chat/", rf"INFO ada in session:s1: turn {TURN} is done after 0\.\d\d s"),
]


def of_turns(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The lines of turns."""
    name = "agent_actors.conversation.turn_counters"
    return [f"{r.levelname} {r.getMessage()}" for r in caplog.records if r.name == name]


async def said(served: Served, path: str, text: str, **headers: str) -> Any:
    """The answer to a message."""
    if path == "/chat/":
        return await post(served, "ada", text, "s1", **headers)
    return await served.say("ada", text, **headers)


@pytest.mark.parametrize(("path", "line"), LINES)
async def test_an_answered_turn_has_one_line(
    serve: Serve, caplog: pytest.LogCaptureFixture, path: str, line: str
):
    """Who, which turn, how long; a retry is no other turn, and no word of it is told."""
    caplog.set_level(logging.INFO)
    async with serve() as served:
        for _ in range(2):
            await said(served, path, SAID, idempotency_key="k")

    (found,) = of_turns(caplog)
    assert re.fullmatch(line, found)
    assert SAID not in caplog.text


@pytest.mark.parametrize("wait", ["wait=10", "respond-async"])
async def test_a_failed_turn_has_one_line(
    serve: Serve, caplog: pytest.LogCaptureFixture, wait: str
):
    """With the reason, whether its caller waits for it or not."""
    caplog.set_level(logging.INFO)
    async with serve(model=ScriptedModel(SystemClock())) as served:
        await said(served, "/chat/ada", f"/fail {SAID}", prefer=wait)
        await served.http.get("/chat/ada/history")
        await said(served, "/chat/ada", "/slow 0 and then")

    failed, done = of_turns(caplog)
    assert re.fullmatch(rf"WARNING ada: turn {TURN} failed after .* s: The model failed", failed)
    assert "is done" in done
    assert SAID not in caplog.text


async def test_a_turn_of_another_service_has_one_line(
    serve: Serve, caplog: pytest.LogCaptureFixture
):
    """Nobody here knows how long it took."""
    caplog.set_level(logging.INFO)
    async with serve() as served:
        for _ in range(2):
            await served.deliver(wrapped(conversation(turn_id="t1")), "/conversations")

    assert of_turns(caplog) == ["INFO junaid in session:s1: turn t1 is done"]


async def test_json_has_it_once(serve: Serve):
    """One object, with the ids in fields of their own as well."""
    stream = StringIO()
    handlers, level = logging.getLogger().handlers[:], logging.getLogger().level
    logs.install("json", "INFO", stream)
    try:
        async with serve() as served:
            turn_id = (await said(served, "/chat/ada", SAID)).json()["turn_id"]
    finally:
        logging.basicConfig(handlers=handlers, level=level, force=True)
        logging.getLogger("agent_actors").setLevel(logging.NOTSET)

    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    (line,) = [line for line in lines if turn_id in line["message"]]
    assert (line["actor_id"], line["turn_id"]) == ("ada", turn_id)
