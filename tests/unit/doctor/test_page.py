"""The page of `doctor` says what it does."""

import re
from pathlib import Path
from typing import Any

from agent_actors.doctor.checks import open_checks
from agent_actors.settings import Settings
from tests.unit.doctor.conftest import context

PAGE = (Path(__file__).parents[3] / "docs" / "doctor.md").read_text(encoding="utf-8")


async def names(runtime: str, **settings: Any) -> list[str]:
    async with open_checks(context(Settings(**settings), runtime)) as checks:
        return list(checks)


async def test_the_page_has_a_row_for_each_check():
    """And no other row."""
    rows = re.findall(r"^\| `(\w+)` \|", PAGE, flags=re.MULTILINE)
    made = [*await names("embedded"), *await names("dapr"), *await names("dapr", dapr_http_port=1)]

    assert len(rows) == len(set(rows))
    assert set(rows) == set(made)


async def test_the_output_on_the_page_has_the_checks_in_their_order():
    """As they are made beside a sidecar."""
    shown = PAGE.partition("$ agent-actors doctor\n")[2].partition("```")[0]
    checks = await names("dapr", dapr_http_port=1)

    assert list(dict.fromkeys(re.findall(r"^\w+ +(\w+) ", shown, flags=re.MULTILINE))) == checks
