"""The README's commands give the README's answers."""

import re
import subprocess
import sys
from pathlib import Path

from tests.e2e.pages import answered, examples, still
from tests.e2e.service import Service, eventually, running

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


async def test_the_curl_lines_give_the_answers_of_the_readme(tmp_path: Path):
    """Each is run in order, and answers what the README prints below it."""
    assert len(examples("README.md")) == 3

    async with running(tmp_path) as service:
        for command, answer in examples("README.md"):
            got = await answered(command, service.port)
            assert not answer or got == still(answer)
            await eventually(lambda: remembered(service), "memory has what was said")


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
    assert len(README.splitlines()) <= 120
