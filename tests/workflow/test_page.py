"""The commands of `docs/workflow.md` give the answers of the page."""

from functools import partial
from pathlib import Path

import pytest

from tests.dapr.engine import Engine
from tests.e2e.pages import answered, examples, still
from tests.e2e.service import becomes
from tests.workflow.service import carried


@pytest.mark.timeout(90)
async def test_the_curl_lines_give_the_answers_of_the_page(engine: Engine, tmp_path: Path):
    """Each is run in order, and answers what is printed below it, once the turn has ended."""
    shown = examples("docs/workflow.md")

    assert len(shown) == 3

    async with carried(engine, tmp_path, model="echo") as service:
        for command, answer in shown:
            await becomes(partial(answered, command, service.port), still(answer))
