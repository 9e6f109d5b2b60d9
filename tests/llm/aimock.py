"""aimock, a scripted model server in a process of its own: what it says, and what it was asked.

It is npm's `@copilotkit/aimock`, which `make llm` installs. A test tells it over HTTP what to say,
and asks it what it has been sent; the service under test sees nothing but an OpenAI server.
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
"""How it logs, at level `debug`, that it has read a request; then only does it wait, or answer."""


def missing() -> str | None:
    """Why it cannot be started, or None."""
    if shutil.which("node") is None:
        return "there is no `node`"
    return None if PROGRAM.is_file() else "run `make llm`"


@dataclass(frozen=True, slots=True)
class Call:
    """A request that was answered, or begun to be."""

    status: int
    body: dict[str, Any]

    @property
    def messages(self) -> list[dict[str, Any]]:
        """All that the model was told."""
        messages: list[dict[str, Any]] = self.body["messages"]
        return messages

    @property
    def roles(self) -> list[str]:
        """Who said what it was told."""
        return [message["role"] for message in self.messages]

    @property
    def said(self) -> str:
        """What the user said last."""
        return [text(message) for message in self.messages if message["role"] == "user"][-1]

    @property
    def tools(self) -> list[str]:
        """The tools that it was offered."""
        return [tool["function"]["name"] for tool in self.body.get("tools", ())]


def text(message: dict[str, Any]) -> str:
    """What a message says, whichever way it was written."""
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content)


class Aimock:
    """The process, its script, and its journal.

    The first line of the script that fits a request answers it; a request that no line fits is
    refused with 404. `said` fits what the user said last if it is a part of that; the empty text
    fits everything.

    A delay holds the whole answer back; a caller that leaves meanwhile is `begun`, and never in the
    journal.

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
        """Starts it, and waits until it answers.

        Raises:
            StartupError: It did not; the text has the end of its log.
        """
        self._child.start()
        self._child.wait_until(lambda: status(self.port, "/health") == 200, DEADLINE)
        return self

    def stop(self) -> None:
        """Ends it at once."""
        self._control.close()
        self._child.kill()

    def reset(self) -> None:
        """Forgets the script and the journal."""
        self._control.post("/reset").raise_for_status()
        self._forgotten = self._seen()

    def forget_script(self) -> None:
        """Forgets what it was to say; the journal stays."""
        self._control.delete("/fixtures").raise_for_status()

    def script(self, *lines: dict[str, Any]) -> None:
        """Adds lines below those there are, as aimock's own documents describe them."""
        answer = self._control.post("/fixtures", json={"fixtures": lines})
        assert answer.status_code == 200, answer.text

    def says(self, said: str, reply: str, *, delay: float = 0.0, **line: Any) -> None:
        """Answers with that text; `line` is more of aimock's own, such as `truncateAfterChunks`."""
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
        """Calls a tool, and answers with that text when it is given the result.

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
        """Answers with an error, that often or always; after that the lines below it answer.

        `match` is more of what aimock compares, such as `hasToolResult`.
        """
        error: dict[str, Any] = {"error": {"message": f"told to answer {code}"}, "status": code}
        if retry_after is not None:
            error["retryAfter"] = retry_after
        turns = [{}] if times is None else [{"sequenceIndex": number} for number in range(times)]
        self.script(*({"match": _match(said, **match, **at), "response": error} for at in turns))

    def journal(self, said: str = "") -> list[Call]:
        """The requests it has answered, in that order, where the user's last words hold `said`."""
        answer = self._control.get("/journal", params={"path": "/chat/completions"})
        # One whose caller left in the middle is there without its answer, or without its body.
        whole = [entry for entry in answer.json() if entry["response"] and entry["body"]]
        calls = [Call(entry["response"]["status"], entry["body"]) for entry in whole]
        return [call for call in calls if said in call.said]

    def begun(self) -> int:
        """How many requests it has read since the last reset, answered or not."""
        return self._seen() - self._forgotten

    def _seen(self) -> int:
        log = self._child.log.read_bytes()
        return sum(log.count(line) for line in MATCHED)


def _match(said: str, **more: Any) -> dict[str, Any]:
    return ({"userMessage": said} if said else {}) | more


def _held(seconds: float) -> dict[str, Any]:
    # `latency` is only the pause between the parts of a stream.
    return {"chaos": {"latencyMs": round(seconds * 1_000)}} if seconds else {}
