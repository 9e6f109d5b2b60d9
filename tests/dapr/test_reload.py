"""`agent-actors dev --reload --runtime dapr`: what the pod of Tilt runs, and who has no pod."""

import asyncio
import json
import os
import re
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import httpx2
import pytest

from agent_actors.engine.child import Child, environment
from agent_actors.engine.ports import free_port, status
from tests.dapr.engine import ROOT, Engine
from tests.deploy.dockerfile import stages
from tests.e2e.dapr import DaprService
from tests.e2e.service import eventually

pytestmark = pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are seen in /proc")

PROC = Path("/proc")
ECHO = "agent_actors/model/echo.py"


def command() -> list[str]:
    """What the image for live update runs, on loopback, and on a port that is added."""
    program, *words = json.loads(stages()["dev"].of("CMD")[0])
    assert program == "agent-actors"
    assert "--reload" in words
    for option in ("--host", "--port"):
        at = words.index(option)
        del words[at : at + 2]
    return [sys.executable, "-m", "agent_actors", *words]


class Code:
    """A copy of the code that a test may change."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "code"
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "src", self.folder, ignore=ignored)

    @property
    def environment(self) -> dict[str, str]:
        """As the image for live update has it."""
        return {"PYTHONPATH": str(self.folder), "PYTHONDONTWRITEBYTECODE": "1"}

    def change(self, right: str, wrong: str) -> None:
        """Writes a file anew, as Tilt does: another one takes its name."""
        path = self.folder / ECHO
        text = path.read_text()
        assert right in text
        path.with_suffix(".new").write_text(text.replace(right, wrong))
        path.with_suffix(".new").replace(path)


class Reloaded(DaprService):
    """The service beside a sidecar, run from code that a test may change."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        super().__init__(engine, folder, command=command(), model="scripted")
        self.code_folder = Code(folder)
        self.replica.app._env |= self.code_folder.environment

    def change(self, right: str, wrong: str) -> None:
        """Changes its code."""
        self.code_folder.change(right, wrong)

    def serving(self) -> int:
        """The process that announced itself last."""
        return serving(self.replica.app)

    def processes(self) -> set[int]:
        """All that live of the command: each is in the session that it was started in."""
        found = {int(each.name): each for each in PROC.iterdir() if each.name.isdigit()}
        mine = self.replica.app.pid
        return {number for number, each in found.items() if places(each)[1:] == [mine]}

    async def started_again(self, before: int) -> None:
        """Waits until another process than that serves, and actors can be called."""
        await eventually(lambda: self.serving() != before, "the service was started again")
        await self.ready()


def serving(app: Child) -> int:
    """The process that announced itself last in the log of a command."""
    return int(re.findall(r"as process (\d+)", app.log.read_text())[-1])


def places(process: Path) -> list[int]:
    """The parent and the session of a process that lives."""
    try:
        state, *words = (process / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []  # It has ended meanwhile.
    return [] if state == "Z" else [int(words[0]), int(words[2])]


def family(process: int) -> set[int]:
    """A process, and all that were started by it, or by one of those."""
    found = {process}
    parents = {int(each.name): places(each)[:1] for each in PROC.iterdir() if each.name.isdigit()}
    while more := {each for each, [*parent] in parents.items() if found & {*parent}} - found:
        found |= more
    return found


@pytest.fixture
async def service(engine: Engine, tmp_path: Path) -> AsyncIterator[Reloaded]:
    """A replica that reloads, and is ready."""
    service = Reloaded(engine, tmp_path)
    await service.start()
    yield service
    left = service.processes()
    await service.close()
    for each in left:
        with suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)


async def test_changed_code_answers_and_nothing_is_forgotten(service: Reloaded):
    """One process watches, another serves; that one is replaced, and knows what was said."""
    assert "Got your message: one at" in await service.reply("ada", "one")

    before, watching = service.serving(), service.replica.app.pid
    service.change("Got your message", "Heard")
    await service.started_again(before)

    assert "Heard: two at" in await service.reply("ada", "two")
    assert await service.count("ada") == 2
    assert [each["content"] for each in (await service.history("ada"))[::2]] == ["one", "two"]
    assert before not in service.processes()
    assert watching == service.replica.app.pid != service.serving()
    assert {watching, service.serving()} <= service.processes()


async def test_a_turn_that_runs_at_a_change_is_answered(service: Reloaded):
    """The old process ends its turns first, in its own words, and its callers hear of them."""
    before = service.serving()
    running = asyncio.create_task(service.say("ada", "/slow 3 one", key="1"))
    # Told after the other was sent: that one is in the old process before the code changes.
    accepted = await service.say("ada", "/slow 3 one", key="1", prefer="respond-async")
    service.change("Got your message", "Heard")
    await service.started_again(before)
    answer = await running

    assert accepted.status_code == 202, accepted.text
    assert answer.status_code == 200, answer.text
    assert "Got your message: /slow 3 one at" in answer.json()["response"]["content"]
    assert "Heard: two at" in await service.reply("ada", "two")
    assert await service.count("ada") == 2


async def test_a_mistake_is_told_and_the_next_change_mends_it(service: Reloaded):
    """Code that does not load ends the process that serves, not the one that watches."""
    before = service.serving()
    service.change("class EchoModel", "clas EchoModel")
    await eventually(lambda: "SyntaxError" in service.logged(), "the mistake is in the log")
    assert service.code is None

    service.change("clas EchoModel", "class EchoModel")
    await service.started_again(before)

    assert "Got your message: one at" in await service.reply("ada", "one")


async def test_sigterm_leaves_no_process(service: Reloaded):
    """Both processes end, with 0, though only the one that watches was asked to."""
    assert len(service.processes()) >= 2

    service.send(signal.SIGTERM)

    assert await service.ended(within=20.0) == 0
    assert "Traceback" not in service.logged()
    await eventually(lambda: not service.processes(), "all have ended", within=5.0)


@pytest.fixture
def laptop(engine: Engine, tmp_path: Path):
    """The same without a sidecar, from code that a test may change, and its port."""
    engine.require()
    code, port = Code(tmp_path), free_port()
    child = Child(
        [*command(), "--port", str(port), "--data", str(tmp_path / "data")],
        log=tmp_path / "dev.log",
        env=environment(**code.environment, AGENT_ACTORS_COMPONENTS=f"{ROOT}/components"),
        cwd=tmp_path,
    )
    yield child, code, port
    child.terminate(20)


async def test_without_a_sidecar_dapr_stays_while_the_service_is_replaced(
    laptop: tuple[Child, Code, int],
):
    """The process that watches has a Dapr of its own, which ends with it and not before."""
    child, code, port = laptop
    child.start()
    child.wait_until(lambda: status(port, "/readyz") == 200, 60.0)

    assert "Got your message: one at" in said(port, "one")

    before, dapr = serving(child), family(must(child.pid)) - {serving(child)}
    code.change("Got your message", "Heard")
    child.wait_until(lambda: serving(child) != before, 30.0)
    child.wait_until(lambda: status(port, "/readyz") == 200, 30.0)

    assert "Heard: two at" in said(port, "two")

    everybody = family(must(child.pid))

    assert dapr <= everybody
    assert before not in everybody

    child.terminate(20)

    assert child.code == 0
    assert "Traceback" not in child.log.read_text()
    await eventually(
        lambda: not any(places(PROC / str(each)) for each in everybody),
        "all that it started have ended",
        within=10.0,
    )


def said(port: int, text: str) -> str:
    """The reply to one message of ada's, which has a number in her conversation."""
    with httpx2.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as http:
        answer = http.post("/chat/ada", json={"role": "user", "content": text})
        assert answer.status_code == 200, answer.text
        reply: str = answer.json()["response"]["content"]
        mine = http.get("/chat/ada/history").json()["history"][::2]
    assert [each["content"] for each in mine] == ["one", "two"][: len(mine)]
    assert mine[-1]["content"] == text
    return reply


def must(process: int | None) -> int:
    assert process is not None
    return process
