"""The documents say what the code does."""

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

from agent_actors.settings import Settings
from agent_actors.settings.unknown import variable
from tools.settings_doc import render

ROOT = Path(__file__).parents[2]


def text_of(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def test_the_settings_page_is_what_the_settings_say():
    """`docs/settings.md` is what `make docs` writes."""
    assert text_of("docs/settings.md") == render(), "run `make docs`"


def test_the_settings_page_has_one_row_for_each_setting():
    """`docs/settings.md` and `Settings` name the same settings."""
    table = text_of("docs/settings.md").partition("## ")[0]
    rows = re.findall(r"^\| `(\w+)`", table, flags=re.MULTILINE)

    assert rows == [variable(name) for name in Settings.model_fields]


def test_every_setting_says_what_it_is():
    """Each field of `Settings` has its sentence."""
    assert not [
        name
        for name, field in Settings.model_fields.items()
        if not (field.description or "").endswith(".")
    ]


def test_the_dependencies_page_names_every_direct_dependency():
    """`docs/dependencies.md` has a row for each direct dependency and for nothing else."""
    project = tomllib.loads(text_of("pyproject.toml"))
    declared = project["project"]["dependencies"] + project["dependency-groups"]["dev"]
    rows = re.findall(r"^\| `([\w-]+)`", text_of("docs/dependencies.md"), flags=re.MULTILINE)

    assert sorted(rows) == sorted(Requirement(line).name for line in declared)


def test_every_make_command_of_the_documents_exists():
    """README and CONTRIBUTING name only targets that the Makefile has."""
    makefile = text_of("Makefile")
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, flags=re.MULTILINE))
    pages = {page: text_of(page) for page in ("README.md", "CONTRIBUTING.md")}
    named = {
        (page, target)
        for page, text in pages.items()
        for target in re.findall(r"(?:^|`)make ([a-z-]+)", text, flags=re.MULTILINE)
    }

    assert named
    assert not {(page, target) for page, target in named if target not in targets}


def test_every_make_target_explains_itself():
    """`make help` has a line for each target that is no file."""
    makefile = text_of("Makefile")
    phony = set(re.findall(r"^\.PHONY: ([a-z-]+)$", makefile, flags=re.MULTILINE))
    explained = set(re.findall(r"^([a-z-]+):.*## \S", makefile, flags=re.MULTILINE))

    assert phony == explained


def test_every_row_of_the_lessons_is_shown_by_a_test():
    """The last cell of each row of `docs/lessons.md` names a test that is there."""
    rows = re.findall(
        r"^\| (?!lesson|---).* \| `?([^|`]+)`? \|$", text_of("docs/lessons.md"), re.MULTILINE
    )
    missing = [row for row in rows if not there(row)]

    assert len(rows) > 30
    assert not missing


def there(test: str) -> bool:
    """Is there a test of that name in that file?"""
    path, _, name = test.partition("::")
    return (ROOT / path).is_file() and f"def {name}(" in text_of(path)
