"""A mock model server in its own process: npm's aimock, which `make llm` installs.

The message decides how long it takes to answer; no API key and no network are involved.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agent_actors.engine.child import Child
from agent_actors.engine.ports import free_port, status
from bench.process import HOST, MESSAGE, PATIENCE

PROGRAM = Path(__file__).parents[1] / "tools/llm/node_modules/@copilotkit/aimock/dist/cli.js"
MODEL = "bench"
"""The model's name in requests."""

AT_ONCE = MESSAGE["content"]
LATER = "What did I say in all the years, when you have thought about it?"
TIME = "What time is it?"
"""Messages: the model answers `LATER` after `DELAY`, and `TIME` after a tool call."""
DELAY = 0.2
"""Seconds until the answer to `LATER`."""
SUMMARY, LONG_SUMMARY = 0.1, 0.4
"""Seconds of a summary of `AT_ONCE` turns and of `LATER` turns: longer than a turn."""

_SUMMARY = "said since, oldest first"
"""A part of every request for a summary."""


def missing() -> str | None:
    """The reason why it cannot be started, or None."""
    if shutil.which("node") is None:
        return "there is no `node`"
    return None if PROGRAM.is_file() else "run `make llm`"


def asking(url: str) -> dict[str, str]:
    """The settings of a service that uses it, without `AGENT_ACTORS_`."""
    return {"model": MODEL, "model_base_url": url}


@contextmanager
def aimock() -> Iterator[str]:
    """The server, started and stopped: the base URL of its API.

    Raises:
        StartupError: It did not start; the text has the end of its log.
    """
    with tempfile.TemporaryDirectory(prefix="agent-actors-bench-") as folder:
        script, port = Path(folder, "script.json"), free_port()
        script.write_text(json.dumps({"fixtures": _script()}), encoding="utf-8")
        options = ["--port", str(port), "--fixtures", str(script), "--log-level", "silent"]
        child = Child(
            ["node", PROGRAM, *options],
            log=Path(folder, "aimock.log"),
            env={"PATH": os.environ["PATH"]},
        )
        try:
            child.start()
            child.wait_until(lambda: status(port, "/health") == 200, PATIENCE)
            yield f"http://{HOST}:{port}/v1"
        finally:
            child.kill()


def _script() -> list[dict[str, Any]]:
    """The rules; the first that fits the last message gives the answer."""
    calling = {"toolCalls": [{"name": "get_current_time", "arguments": "{}"}]}
    return [
        _line("They ask much.", LONG_SUMMARY, userMessage=f'{_SUMMARY}: ["user: {LATER}'),
        _line("They like harbours.", SUMMARY, userMessage=_SUMMARY),
        {"match": {"userMessage": TIME, "hasToolResult": False}, "response": calling},
        _line("It is time for tea.", userMessage=TIME),
        _line("You said a great deal.", DELAY, userMessage=LATER),
        _line("You said that it is blue."),
    ]


def _line(says: str, delay: float = 0.0, **match: str) -> dict[str, Any]:
    held = {"chaos": {"latencyMs": round(delay * 1e3)}} if delay else {}
    return {"match": match, "response": {"content": says}, **held}
