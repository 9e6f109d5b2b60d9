"""Writes the table of routes in docs/security.md from `access/rules.py`."""

import re
from pathlib import Path

from agent_actors.access.rules import RULES

PAGE = Path(__file__).parents[1] / "docs" / "security.md"
TABLE = re.compile(r"(?<=^\| route \| rule \|\n\|---\|---\|\n)(?:\| .* \|\n)+", re.MULTILINE)


def render(page: str) -> str:
    """The page with the rows of today's rules."""
    rows = "".join(f"| `{route}` | {rule} |\n" for route, rule in RULES.items())
    return TABLE.sub(lambda _: rows, page)


if __name__ == "__main__":
    PAGE.write_text(render(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    print(f"Wrote docs/{PAGE.name}")
