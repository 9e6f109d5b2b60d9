"""Examples of the pages: commands with the answers that are printed below them."""

import asyncio
import re
import shlex
import subprocess
from pathlib import Path

from tests.e2e.service import clock

ROOT = Path(__file__).parents[2]
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d"
VARIES = [
    (re.compile(TIME + r"(\.\d+)?(\+00:00|Z)"), "<time>"),
    (re.compile(TIME), "<time, cut>"),
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "<turn>"),
]


def examples(page: str) -> list[tuple[str, str]]:
    """Every curl command of a page with the answer printed below it."""
    found: list[tuple[str, str]] = []
    text = (ROOT / page).read_text(encoding="utf-8")
    for block in re.findall(r"```console\n(.*?)```", text, flags=re.DOTALL):
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


async def answered(example: str, port: int) -> str:
    """What an example prints at a service on that port, without what differs at each run."""
    return still(await printed(shlex.split(example.replace("localhost:8000", f"127.0.0.1:{port}"))))


async def printed(arguments: list[str]) -> str:
    """What a command prints."""
    process = await asyncio.create_subprocess_exec(*arguments, stdout=subprocess.PIPE)
    async with clock.timeout(30):
        output, _ = await process.communicate()

    assert process.returncode == 0
    return output.decode()
