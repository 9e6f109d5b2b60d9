"""The line that the log has of each turn, for whoever watches the terminal."""

import json
import logging
import re
import signal
from http.server import BaseHTTPRequestHandler, HTTPServer
from io import StringIO
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from agent_actors.clock import SystemClock
from agent_actors.model.scripted import ScriptedModel
from agent_actors.observability import logs
from tests.conftest import Serve, Served
from tests.forked import run
from tests.unit.cli.test_process import running
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


class Refusing(BaseHTTPRequestHandler):
    """A model's server that tells its secret as often as it can."""

    def do_POST(self) -> None:
        """Refuses."""
        self.send_response(500, "hush")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Its own log is of no interest."""


@pytest.mark.parametrize("level", ["DEBUG", "INFO"])
def test_the_password_of_a_model_url_is_never_written(tmp_path: Path, level: str):
    """Neither by us nor by the HTTP client, also when the server fails."""
    with HTTPServer(("127.0.0.1", 0), Refusing) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        settings = {
            "AGENT_ACTORS_MODEL": "m",
            "AGENT_ACTORS_MODEL_BASE_URL": f"http://ada:hush@127.0.0.1:{server.server_port}/v1",
            "AGENT_ACTORS_LOG_LEVEL": level,
            "OPENAI_API_KEY": "hush-hush",
        }
        with running(tmp_path / "data", **settings) as service:
            said = run("chat", "ada", "Hello", "--url", service.url)
            _, logged = service.end(signal.SIGTERM)
        server.shutdown()

    assert said.returncode == 1
    assert "failed" in logged
    assert "hush" not in "".join((*service.printed, logged, said.stderr))
