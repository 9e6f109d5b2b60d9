"""The routes are those that the documents name, and each explains itself."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent_actors.app import create_app
from agent_actors.settings import Settings
from tests.fakes import FakeRuntime

ROOT = Path(__file__).parents[2]
OF_THE_SDK = {"GET /healthz", "GET /dapr/config"}
APP = create_app(Settings(data=Path("not made")), runtime=FakeRuntime())
DOCUMENT = APP.openapi()
OPERATIONS = [
    pytest.param(operation, id=f"{method.upper()} {path}")
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
]


def bare(path: str) -> str:
    """A path whose parameters have no names, and no query."""
    return re.sub(r"\{\w+\}", "{}", path.partition("?")[0])


def test_the_page_names_every_route():
    """`docs/http-api.md` has the routes that are served, and no other."""
    page = (ROOT / "docs" / "http-api.md").read_text(encoding="utf-8")
    table = page.partition("## Routes")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    named = {
        bare(f"{method} {path}")
        for row in rows
        for method, path in re.findall(r"`([A-Z]+) (/\S*)`", row)
    }
    described = {
        bare(f"{method.upper()} {path}")
        for path, methods in DOCUMENT["paths"].items()
        for method in methods
    }

    assert named == described | OF_THE_SDK


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_operation_says_what_it_does(operation: dict[str, Any]):
    """A summary, a sentence, and a description of each answer."""
    assert operation["summary"]
    assert operation["description"].rstrip().endswith(".")
    assert all(answer["description"] for answer in operation["responses"].values())


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_refusal_has_the_one_shape(operation: dict[str, Any]):
    """Each 4xx and 5xx of the description is a problem document."""
    for status, answer in operation["responses"].items():
        if int(status) >= 400:
            assert list(answer["content"]) == ["application/problem+json"]
            schema = answer["content"]["application/problem+json"]["schema"]
            assert schema["$ref"].endswith("/ProblemDocument")


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_input_has_an_example(operation: dict[str, Any]):
    """What a path or a body needs is shown, so that the documentation can be tried."""
    needed = [each for each in operation.get("parameters", ()) if each["in"] == "path"]
    for parameter in needed:
        assert parameter.get("examples") or parameter["schema"].get("examples"), parameter["name"]
    for body in operation.get("requestBody", {}).get("content", {}).values():
        assert list(examples(body["schema"]))


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_answer_has_an_example(operation: dict[str, Any]):
    """The documentation shows what comes back."""
    for status, answer in operation["responses"].items():
        if int(status) < 300 and "content" in answer:
            (content,) = answer["content"].values()
            assert list(examples(content["schema"])), status


def examples(schema: Any) -> Iterator[Any]:
    """Those of a schema, and of what it is made of."""
    if isinstance(schema, list):
        for each in schema:
            yield from examples(each)
    if not isinstance(schema, dict):
        return
    yield from schema.get("examples", ())
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        yield from examples(DOCUMENT["components"]["schemas"][name])
    for part in ("anyOf", "items", "properties"):
        found = schema.get(part)
        yield from examples(list(found.values()) if part == "properties" and found else found)
