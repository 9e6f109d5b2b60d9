"""aimock, a mock model server in a process of its own: its script and its journal.

It is npm's `@copilotkit/aimock`, which `make llm` installs. A test sets its script and reads its
journal over HTTP; to the service under test it is an OpenAI server.
"""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from agent_actors.engine.child import Child
from agent_actors.engine.ports import LOOPBACK, free_port, status

PROGRAM = Path(__file__).parents[2] / "tools/llm/node_modules/@copilotkit/aimock/dist/cli.js"
DEADLINE = 30.0
MATCHED = (b"[aimock] Fixture matched: ", b"[aimock] No fixture matched for request ")
"""Its log lines, at level `debug`, after it has read a request and before it answers."""


def missing() -> str | None:
    """Why it cannot be started, or None."""
    if shutil.which("node") is None:
        return "there is no `node`"
    return None if PROGRAM.is_file() else "run `make llm`"


@dataclass(frozen=True, slots=True)
class Call:
    """A request that was answered at least in part."""

    status: int
    body: dict[str, Any]

    @property
    def messages(self) -> list[dict[str, Any]]:
        """All messages of the request."""
        messages: list[dict[str, Any]] = self.body["messages"]
        return messages

    @property
    def roles(self) -> list[str]:
        """The roles of the messages."""
        return [message["role"] for message in self.messages]

    @property
    def said(self) -> str:
        """The user's last message."""
        return [text(message) for message in self.messages if message["role"] == "user"][-1]

    @property
    def tools(self) -> list[str]:
        """The tools of the request."""
        return [tool["function"]["name"] for tool in self.body.get("tools", ())]


def text(message: dict[str, Any]) -> str:
    """The text of a message in either of its forms."""
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content)


class Aimock:
    """The process, its script, and its journal.

    The first line of the script that matches a request answers it; without a match the answer is
    404. `said` matches if the user's last message contains it; the empty text matches always.

    A delay holds the whole answer back. A request whose caller leaves meanwhile counts as `begun`,
    and is never in the journal.

    Args:
        folder: For its log and its first, empty script.
    """

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"http://{LOOPBACK}:{self.port}"
        self.base_url = f"{self.url}/v1"
        script = folder / "script.json"
        script.write_text('{"fixtures": []}', encoding="utf-8")
        options = ["--port", self.port, "--fixtures", script, "--log-level", "debug"]
        self._child = Child(
            [str(word) for word in ("node", PROGRAM, *options, "--journal-max", 0)],
            log=folder / "aimock.log",
            env={"PATH": os.environ["PATH"]},
        )
        self._control = httpx2.Client(base_url=f"{self.url}/__aimock", trust_env=False)
        self._forgotten = 0

    def start(self) -> "Aimock":
        """Starts it and waits until it answers.

        Raises:
            StartupError: It did not answer; the text has the end of its log.
        """
        self._child.start()
        self._child.wait_until(lambda: status(self.port, "/health") == 200, DEADLINE)
        return self

    def stop(self) -> None:
        """Kills it."""
        self._control.close()
        self._child.kill()

    def reset(self) -> None:
        """Clears the script and the journal."""
        self._control.post("/reset").raise_for_status()
        self._forgotten = self._seen()

    def forget_script(self) -> None:
        """Clears the script and keeps the journal."""
        self._control.delete("/fixtures").raise_for_status()

    def script(self, *lines: dict[str, Any]) -> None:
        """Appends lines in the form of aimock's documentation."""
        answer = self._control.post("/fixtures", json={"fixtures": lines})
        assert answer.status_code == 200, answer.text

    def says(self, said: str, reply: str, *, delay: float = 0.0, **line: Any) -> None:
        """Answers with a text; `line` has more options of aimock, e.g. `truncateAfterChunks`."""
        self.script({"match": _match(said), "response": {"content": reply}, **_held(delay), **line})

    def calls(
        self,
        said: str,
        tool: str,
        reply: str,
        *,
        arguments: dict[str, Any] | None = None,
        delay: float = 0.0,
        **line: Any,
    ) -> None:
        """Calls a tool, and answers with a text when it gets the result.

        Only the answer is delayed.
        """
        calling = {"toolCalls": [{"name": tool, "arguments": json.dumps(arguments or {})}]}
        first = {"match": _match(said, hasToolResult=False), "response": calling}
        then = {"match": _match(said, hasToolResult=True), "response": {"content": reply}}
        self.script(first | line, then | _held(delay) | line)

    def fails(
        self,
        said: str,
        code: int,
        *,
        times: int | None = None,
        retry_after: float | None = None,
        **match: Any,
    ) -> None:
        """Answers with an error, a number of times or always; then the lines below answer.

        `match` has more of aimock's conditions, such as `hasToolResult`.
        """
        error: dict[str, Any] = {"error": {"message": f"told to answer {code}"}, "status": code}
        if retry_after is not None:
            error["retryAfter"] = retry_after
        turns = [{}] if times is None else [{"sequenceIndex": number} for number in range(times)]
        self.script(*({"match": _match(said, **match, **at), "response": error} for at in turns))

    def journal(self, said: str = "") -> list[Call]:
        """The answered requests, in order, in which the user's last message contains `said`."""
        answer = self._control.get("/journal", params={"path": "/chat/completions"})
        # One whose caller left in the middle is there without its answer, or without its body.
        whole = [entry for entry in answer.json() if entry["response"] and entry["body"]]
        calls = [Call(entry["response"]["status"], entry["body"]) for entry in whole]
        return [call for call in calls if said in call.said]

    def begun(self) -> int:
        """The number of requests read since the last reset, answered or not."""
        return self._seen() - self._forgotten

    def _seen(self) -> int:
        log = self._child.log.read_bytes()
        return sum(log.count(line) for line in MATCHED)


def _match(said: str, **more: Any) -> dict[str, Any]:
    return ({"userMessage": said} if said else {}) | more


def _held(seconds: float) -> dict[str, Any]:
    # `latency` is only the pause between the parts of a stream.
    return {"chaos": {"latencyMs": round(seconds * 1_000)}} if seconds else {}
