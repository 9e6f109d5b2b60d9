"""The commands of `docs/workflow.md` give the answers of the page."""

import shlex
from pathlib import Path

import pytest

from tests.dapr.engine import Engine
from tests.e2e.pages import examples, printed, still
from tests.e2e.service import eventually
from tests.workflow.service import carried


@pytest.mark.timeout(90)
async def test_the_curl_lines_give_the_answers_of_the_page(engine: Engine, tmp_path: Path):
    """Each is run in order, and answers what is printed below it, once the turn has ended."""
    shown = examples("docs/workflow.md")

    assert len(shown) == 3

    async with carried(engine, tmp_path, model="echo") as service:
        for command, answer in shown:
            arguments = shlex.split(command.replace("localhost:8000", f"127.0.0.1:{service.port}"))
            got: list[str] = []

            async def same(
                arguments: list[str] = arguments, answer: str = answer, got: list[str] = got
            ) -> bool:
                got.append(still(await printed(arguments)))
                return got[-1] == still(answer) or '"running"' not in got[-1]

            await eventually(same, "the turn has ended")

            assert got[-1] == still(answer)
