"""The README's commands give the README's answers."""

import asyncio
import re
import shlex
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.e2e.service import Service, clock, eventually

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d"
VARIES = [
    (re.compile(TIME + r"\.\d{6}\+00:00"), "<time>"),
    (re.compile(TIME), "<time, cut>"),
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "<turn>"),
]


def examples() -> list[tuple[str, str]]:
    """Every curl command of the README with the answer printed below it."""
    found: list[tuple[str, str]] = []
    for block in re.findall(r"```console\n(.*?)```", README, flags=re.DOTALL):
        for shown in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, answer = shown.partition("\n")
            if command.startswith("curl"):
                found.append((command, answer.strip()))
    return found


def still(text: str) -> str:
    """The text without what differs at each run."""
    for varies, name in VARIES:
        text = varies.sub(name, text)
    return text


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    running = await Service(tmp_path).start()
    yield running
    await running.close()


async def test_the_curl_lines_give_the_answers_of_the_readme(service: Service):
    """Each is run in order, and answers what the README prints below it."""
    assert len(examples()) == 3

    for command, answer in examples():
        arguments = shlex.split(command.replace("localhost:8000", f"127.0.0.1:{service.port}"))
        got = await printed(arguments)
        if answer:
            assert still(got) == still(answer)
        await eventually(lambda: remembered(service), "memory has what was said")


async def printed(arguments: list[str]) -> str:
    """What a command prints."""
    process = await asyncio.create_subprocess_exec(*arguments, stdout=subprocess.PIPE)
    async with clock.timeout(30):
        output, _ = await process.communicate()

    assert process.returncode == 0
    return output.decode()


async def remembered(service: Service) -> bool:
    """Has memory applied every turn?"""
    count = (await service.http.get("/response/ada/count")).json()["count"]
    sql = "SELECT value FROM state WHERE type = 'MemoryAgentActor' AND key = 's:ada'"
    rows = service.rows(sql)
    return not count or (bool(rows) and f'"seq":{count}' in bytes(rows[0][0]).decode())


def test_the_python_example_makes_the_service(tmp_path: Path):
    """The code of the README runs."""
    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    checked = subprocess.run(
        [sys.executable, "-c", code + "\nprint(app.title)"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        timeout=60,
    )

    assert checked.stdout == "agent-actors\n"


def test_the_readme_is_short():
    """A newcomer reads it in two minutes."""
    assert len(README.splitlines()) <= 150
