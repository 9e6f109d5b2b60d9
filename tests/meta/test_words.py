"""A word has one meaning in the documents and in what the service says (docs/architecture.md)."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/*.md")
KINDS = re.compile(r"(?:idempotency|api|signing|state|record)[ -]keys?\b|key set", re.IGNORECASE)
RULES = {
    r"\bkeys?\b": "idempotency key, API key, signing key, state key, or record key",
    r"\b(?:HTTP|pooled|DB|database) sessions?\b": "connection pool, or connection",
    r"\bmemory and sessions?\b|\bmemory, session\b": "last exchanges",
    r"(?<!-)\bactor(?:'s)? turns?\b|\bturns? of (?:an|one|every) actor": "call",
    r"\bone turn at a time": "one call at a time",
    r"\b(?:pub/sub|broker|Kafka) messages?\b": "event, or record",
}


def paragraphs() -> Iterator[tuple[str, str]]:
    """Every line of the documents, without code and addresses."""
    for pattern in PAGES:
        for page in sorted(ROOT.glob(pattern)):
            text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
            for line in text.splitlines():
                prose = re.sub(r"`[^`]*`|\]\([^)]*\)", "`", line)
                yield str(page.relative_to(ROOT)), prose


def texts() -> Iterator[tuple[str, str]]:
    """Every text of the package that is no documentation of the code, and may be read by a user."""
    for path in sorted((ROOT / "src").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        explained = {
            id(node.value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                sql = re.search(r"\b(?:SELECT|INSERT|DELETE|CREATE)\b", node.value)
                if id(node) not in explained and " " in node.value and not sql:
                    yield str(path.relative_to(ROOT)), re.sub(r"`[^`]*`", "`", node.value)


def misused(text: str) -> list[str]:
    """The words to use instead, for each that has another meaning in this text."""
    rest = KINDS.sub("", text)
    return [
        instead
        for pattern, instead in RULES.items()
        # A line that has said which key it means may go on with "the key".
        if re.search(pattern, rest) and not (pattern == r"\bkeys?\b" and KINDS.search(text))
    ]


@pytest.mark.parametrize("source", [paragraphs, texts], ids=["documents", "texts"])
def test_a_word_has_one_meaning(source: object):
    """Each line names the kind of its key; a session is a conversation, and a turn no call."""
    assert callable(source)
    given = list(source())

    assert len(given) > 500
    assert not [(*each, misused(each[1])) for each in given if misused(each[1])]


@pytest.mark.parametrize(
    "text",
    [
        "The key is refused.",
        "One pooled HTTP session for all calls.",
        "It is removed from memory and session.",
        "Two turns of one actor never overlap.",
        "The Kafka message is posted again.",
    ],
)
def test_a_word_of_two_meanings_is_noticed(text: str):
    """The rules find what was there before."""
    assert misused(text)
