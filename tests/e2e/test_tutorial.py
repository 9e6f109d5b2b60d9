"""The tutorial is true: its commands give its answers, and its agent calls its tool."""

import json
import re
import shlex
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx2

from agent_actors.engine.ports import free_port
from tests.e2e.pages import ROOT, answered, examples, printed, still
from tests.e2e.service import AnyService, becomes, environment, eventually, running
from tests.serving import serving
from tests.unit.model.agents_sdk import vendor

PAGE = "docs/tutorial.md"
TEXT = (ROOT / PAGE).read_text(encoding="utf-8")


async def test_the_curl_lines_give_the_answers_of_the_tutorial(tmp_path: Path):
    """Each command runs in order; a read is repeated until the events have arrived."""
    shown = examples(PAGE)
    assert len(shown) == 8

    async with running(tmp_path) as service:
        for command, answer in shown:
            if " -d " in command:
                assert await answered(command, service.port) == still(answer)
            else:
                await becomes(partial(answered, command, service.port), still(answer))


def test_the_ids_of_the_tutorial_are_the_true_ones():
    """The turn of a key has the same id on every machine, so a reader sees the page's."""
    from agent_actors.protocol import ids
    from agent_actors.protocol.messages import Message

    body = ids.body_hash(Message("user", "One tea, please"))

    assert TEXT.count(ids.turn_id("bob", ids.key_hash("tea-1"), body)) == 4


class ModelServer:
    """An OpenAI-compatible server: gives prepared answers in order and keeps the requests."""

    def __init__(self, *answers: httpx2.Response) -> None:
        self.port = free_port()
        self.answers = deque(answers)
        self.requests: list[dict[str, Any]] = []

    @contextmanager
    def served(self) -> Iterator[None]:
        """Answers until the block ends."""

        def respond(path: str, body: bytes) -> tuple[int, bytes]:
            self.requests.append(json.loads(body))
            return 200, self.answers.popleft().content

        with serving(self.port, respond):
            yield


class OwnAgent(AnyService):
    """The code of the page, started by the command in a folder of its own."""

    def __init__(self, folder: Path, model: ModelServer) -> None:
        super().__init__(free_port())
        (code,) = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)
        (folder / "yours.py").write_text(code)
        self._folder = folder
        self._environment = environment(
            AGENT_ACTORS_MODEL="small",
            AGENT_ACTORS_MODEL_BASE_URL=f"http://127.0.0.1:{model.port}/v1",
        )
        self._process: subprocess.Popen[bytes]

    def spawn(self) -> None:
        """Starts the command; the app is not ready yet."""
        arguments = ["-m", "agent_actors", "dev", "--app", "yours:app", "--port", str(self.port)]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, *arguments],
                stdout=log,
                stderr=log,
                env=self._environment,
                cwd=self._folder,
            )

    @property
    def code(self) -> int | None:
        """The exit code of the command; None while it runs."""
        return self._process.poll()

    def logged(self) -> str:
        """The output of the command."""
        return (self._folder / "log").read_text()

    async def listening(self) -> bool:
        """Whether it serves."""
        assert self.code is None, self.logged()[-4000:]
        return "Serving on" in self.logged()

    def kill(self) -> None:
        """Ends it at once."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(30)


async def test_the_agent_of_the_tutorial_calls_its_tool_once(tmp_path: Path):
    """The model's call books one table for the user, and the model gets the tool's result."""
    (command,) = re.findall(r"^curl .*$", TEXT, flags=re.MULTILINE)
    arguments = '{"guests": 4}'
    model = ModelServer(
        vendor.calling(vendor.tool_call("book_table", arguments)),
        vendor.answer("Table 1 is yours."),
    )
    with model.served():
        service = OwnAgent(tmp_path, model)
        try:
            service.spawn()
            # Before it listens it imports the SDK, which a busy machine does slowly.
            await eventually(service.listening, "it serves", within=120)
            await service.ready()
            local = command.replace("localhost:8000", f"127.0.0.1:{service.port}")
            answer = json.loads(await printed(shlex.split(local)))
        finally:
            await service.close()

    first, second = model.requests
    assert answer["response"]["content"] == "Table 1 is yours."
    assert first["messages"][-1]["content"] == "A table for four, please"
    assert [tool["function"]["name"] for tool in first["tools"]] == ["book_table"]
    results = [each for each in second["messages"] if each["role"] == "tool"]
    assert [each["content"] for each in results] == ["Table 1 is booked for cleo, 4 guests."]
