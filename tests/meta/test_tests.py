"""How tests are written."""

import ast
from pathlib import Path

TESTS = Path(__file__).parents[1]


def test_every_test_states_a_fact():
    """Each test has a docstring, and its first line is a whole sentence."""
    silent = [
        f"{path.relative_to(TESTS)}:{node.lineno} {node.name}"
        for path in sorted(TESTS.rglob("test_*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and not (ast.get_docstring(node) or "").partition("\n\n")[0].endswith(".")
    ]

    assert not silent
