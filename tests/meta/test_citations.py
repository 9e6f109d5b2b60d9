"""What is cited is there: numbers of docs/protocol.md, anchors, and no page from elsewhere."""

import re
import subprocess
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

import pytest

from tests.protocol.model.mutations import MUTATIONS
from tests.protocol.mutants import MUTANTS

ROOT = Path(__file__).parents[2]
PROTOCOL = "docs/protocol.md"
HERE = "tests/meta/test_citations.py"
TEXT = {".py", ".md", ".toml", ".yaml", ".yml", ".env", ".conf", ""}
CITING = ("src/", "tests/", "docs/", "bench/", "tools/", "examples/")
FORMS: dict[str, Callable[[str], Iterable[str]]] = {
    "invariant": lambda text: (f"i{each}" for each in re.findall(r"\bI(\d+)(?:b)?\b(?!\.)", text)),
    "rule": lambda text: (
        f"rule-{number}"
        for numbers in re.findall(r"\b[Rr]ules? (\d+(?:(?:, | and | or )\d+)*)", text)
        for number in re.findall(r"\d+", numbers)
    ),
    # 4.15 in brackets or quotes: elsewhere it may be a time, a version or a share.
    "point": lambda text: re.findall(
        r"(?:[(\"]|, | and | or )(4\.[1-9]\d?)(?=[),;\"]| and | or )", text
    ),
    "section": lambda text: (
        f"{number}."
        for pair in re.findall(
            r"docs/protocol\.md, section (\d)|[Ss]ection (\d)\s+of\s+docs/protocol\.md", text
        )
        for number in pair
        if number
    ),
}
ELSEWHERE = re.compile(
    r"\b(?:PROTOCOL|FACTS|DESIGN|HOUSE|LIVE|CLIENTS|STYLE|FAULTS|REGRESSIONS)"
    r"(?:\.md\b|, (?:section|rule|live|I\d|[A-K]\d?\b|\d)| live \d)"
    r"|\(FACTS\)|\.\./shared|\bshared/(?:lesson|protocol|engine)\b"
)


@cache
def files() -> tuple[str, ...]:
    """Every text file of the repository."""
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    return tuple(each for each in listed if Path(each).suffix in TEXT and (ROOT / each).is_file())


@cache
def text_of(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


@cache
def numbered() -> frozenset[str]:
    """What docs/protocol.md has a number for."""
    sections = re.findall(r"^## (\d\.) ", text_of(PROTOCOL), re.MULTILINE)
    return frozenset([*re.findall(r'<a id="([^"]+)">', text_of(PROTOCOL)), *sections])


def cited(form: str) -> dict[str, set[str]]:
    """The numbers that are cited in a form, and where."""
    found: dict[str, set[str]] = {}
    for path in files():
        if path.startswith(CITING) and path.endswith((".py", ".md")) and path != HERE:
            for number in FORMS[form](text_of(path)):
                found.setdefault(number, set()).add(path)
    return found


@pytest.mark.parametrize("form", FORMS)
def test_every_number_that_is_cited_is_in_the_protocol(form: str):
    """Invariants, rules, points and sections that anything cites are on the page."""
    found = cited(form)

    assert found
    assert not {number: paths for number, paths in found.items() if number not in numbered()}


def test_every_number_is_defined_once_and_no_invariant_is_left_out():
    """I1 to I15, and each anchor of the page once."""
    anchors = re.findall(r'<a id="([^"]+)">', text_of(PROTOCOL))

    assert len(anchors) == len(set(anchors))
    assert {f"i{number}" for number in range(1, 16)} <= set(anchors)


def test_every_mutation_names_a_place_of_the_protocol():
    """The rows of the model's mutations, and of the code's, are points, rules or invariants."""
    rows = {mutation.place for mutation in MUTATIONS} | {mutant.row for mutant in MUTANTS}
    plain = {row for row in rows if not row[0].isdigit() and not row.startswith(("rule ", "I"))}
    places = {row.lower().replace("rule ", "rule-") for row in rows - plain}

    assert not places - numbered()
    assert plain <= {"section 1", "section 2"}


def test_the_points_name_the_mutations_of_the_model():
    """Each mutation of the model is in the row of its point, and in no other."""
    rows = re.findall(r'^\| <a id="(4\.\d+)">.*\| ([^|]*) \|$', text_of(PROTOCOL), re.MULTILINE)
    named = {(name, place) for place, names in rows for name in re.findall(r"`(\w+)`", names)}

    assert named == {(mutation.name, mutation.place) for mutation in MUTATIONS}


def test_every_anchor_of_a_page_that_is_cited_is_there():
    """`docs/page.md#anchor` names a heading, or a numbered place, of a page that is there."""
    links = {
        (path, page, anchor)
        for path in files()
        if path != HERE
        for page, anchor in re.findall(r"\b(docs/[\w-]+\.md)(?:#([\w.-]+))?", text_of(path))
    }

    assert links
    assert not {each for each in links if not there(each[1], each[2])}


def there(page: str, anchor: str) -> bool:
    """Whether there is such a page, with that anchor."""
    if not (ROOT / page).is_file():
        return False
    headings = re.findall(r"^#+ (.*)$", text_of(page), re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings}
    return not anchor or anchor in anchors | set(re.findall(r'<a id="([^"]+)">', text_of(page)))


def test_every_row_of_the_regressions_that_is_cited_has_its_test():
    """`B23` is the number of a test in tests/regressions."""
    tests = "".join(text_of(path) for path in files() if path.startswith("tests/regressions/"))
    rows = {
        (path, row)
        for path in files()
        if path.startswith(("src/", "docs/", "tests/")) and path.endswith((".py", ".md"))
        for row in re.findall(r"[(,] ?B(\d{1,2}b?)(?=[),])", text_of(path))
    }

    assert rows
    assert not {(path, row) for path, row in rows if f"def test_b{row}_" not in tests}


def test_no_file_cites_a_document_that_is_not_in_the_repository():
    """The specifications that the project grew from are not cited: nobody can look them up."""
    found = {
        f"{path}: {match.group()}"
        for path in files()
        if path != HERE
        for match in ELSEWHERE.finditer(text_of(path))
    }

    assert not found
