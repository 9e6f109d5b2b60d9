"""What is imported when, and from where."""

import ast
import re
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "agent_actors"
HEAVY = {"agents", "dapr", "fastapi", "grpc", "httpx2", "openai", "pydantic", "sqlite3", "uvicorn"}


def imported_by(*arguments: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    rows = (row.rpartition("|")[2].strip() for row in done.stderr.splitlines())
    return {row.partition(".")[0] for row in rows}


@pytest.mark.parametrize("command", [[], ["dev"], ["chat"], ["events", "requeue"], ["restore"]])
def test_help_imports_nothing_heavy(command: list[str]):
    """`--help` answers at once, since it imports neither frameworks nor the SDKs."""
    imported = imported_by("-m", "agent_actors", *command, "--help")

    assert "click" in imported
    assert not imported & HEAVY


def test_the_service_does_not_import_the_model_sdk():
    """The Agents SDK takes seconds to import, so the app does not import it by itself."""
    imported = imported_by("-c", "import agent_actors.app")

    assert "fastapi" in imported
    assert not imported & {"agents", "openai"}


def test_every_module_is_in_a_layer():
    """The layers of import-linter and the modules of the package are the same set."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (contract,) = (
        contract
        for contract in settings["tool"]["importlinter"]["contracts"]
        if contract.get("containers") == ["agent_actors"]
    )
    layered = [name.strip() for layer in contract["layers"] for name in re.split(r"[|:]", layer)]
    modules = [path.stem for path in PACKAGE.glob("*.py") if path.stem != "__init__"]
    packages = [path.parent.name for path in PACKAGE.glob("*/__init__.py")]

    assert sorted(layered) == sorted(modules + packages)


def test_no_two_public_classes_share_a_name():
    """A reader who looks for a class by its name finds one."""
    classes = [
        (node.name, str(path.relative_to(PACKAGE)))
        for path in sorted(PACKAGE.rglob("*.py"))
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    ]
    names = Counter(name for name, _ in classes)

    assert not [each for each in classes if names[each[0]] > 1]


def test_files_and_functions_are_short():
    """A file of the package has at most 400 lines, a function at most 60."""
    long = []
    for path in sorted(PACKAGE.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if len(text.splitlines()) > 400:
            long.append(str(path.relative_to(PACKAGE)))
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno is not None
                if node.end_lineno - node.lineno >= 60:
                    long.append(f"{path.relative_to(PACKAGE)} {node.name}")

    assert not long
