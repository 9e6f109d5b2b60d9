"""The page of `doctor` says what it does."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent_actors import doctor
from agent_actors.doctor.checks import open_checks, run_checks
from agent_actors.settings import Settings
from tests.unit.doctor.conftest import context

PAGE = (Path(__file__).parents[3] / "docs" / "doctor.md").read_text(encoding="utf-8")


async def names(runtime: str, **settings: Any) -> list[str]:
    async with open_checks(context(Settings(**settings), runtime)) as checks:
        return list(checks)


async def test_the_page_has_a_row_for_each_check():
    """And no other row."""
    table = PAGE.partition("## The checks")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \|", table, flags=re.MULTILINE)
    made = [*await names("embedded"), *await names("dapr"), *await names("dapr", dapr_http_port=1)]

    assert len(rows) == len(set(rows))
    assert set(rows) == set(made)


async def test_the_output_on_the_page_has_the_checks_in_their_order():
    """As they are made beside a sidecar."""
    shown = PAGE.partition("$ agent-actors doctor\n")[2].partition("```")[0]
    checks = await names("dapr", dapr_http_port=1)

    assert list(dict.fromkeys(re.findall(r"^\w+ +(\w+) ", shown, flags=re.MULTILINE))) == checks


MADE = frozenset({"warn", "fail", "skip", "finding"})
"""Calls that make a finding which is not `ok`; `finding` is one of the first two."""
ROWS = re.findall(
    r"^\| ((?:`\w+`|any)(?:, `\w+`)*) \| (.+?) \| .+ \|$",
    PAGE.partition("## The findings")[2].partition("\n## ")[0],
    flags=re.MULTILINE,
)
PATTERNS = {
    line: re.compile("(.*)".join(map(re.escape, line.split("…"))), re.DOTALL) for _, line in ROWS
}


def words(node: ast.expr) -> str | None:
    """A literal text, with `…` for what is filled in; None if the text comes from elsewhere."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(words(each) or "…" for each in node.values)
    return None


def texts() -> Iterator[str]:
    """The first text of every call in the code that makes a finding, or of a pair that is one."""
    for file in sorted(Path(next(iter(doctor.__path__))).glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            first: ast.expr | None = None
            if isinstance(node, ast.Call) and node.args:
                name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                first = node.args[0] if name in MADE else None
            elif isinstance(node, ast.Yield) and isinstance(node.value, ast.Tuple):
                first = node.value.elts[0]
            elif isinstance(node, ast.Tuple) and len(node.elts) == 2:
                first = node.elts[0] if isinstance(node.elts[0], ast.JoinedStr) else None
            text = None if first is None else words(first)
            if text is not None and text.strip("… "):
                yield text


def rows_of(text: str) -> list[str]:
    """The rows that explain a finding; one that is all placeholders explains nothing."""
    return [line for line, form in PATTERNS.items() if form.fullmatch(text)]


def test_the_page_explains_every_finding():
    """Each text of the code that is no `ok` has a row."""
    found = list(texts())

    assert len(found) > 60
    assert [text for text in found if not rows_of(text)] == []


OF_A_START: dict[str, dict[str, Any]] = {
    "a model of another vendor": {"model": "claude-sonnet-4-5"},
    "a model without a key": {"model": "gpt-5"},
    "a base URL without a model": {"model_base_url": "http://127.0.0.1:9/v1"},
    "no folder": {"components": "/nowhere"},
    "no binding": {"sms_binding": "none"},
    "no store": {"secret_store": "none"},
    "no tokens": {"access": "required"},
    "half an issuer": {"jwt_issuer": "https://id.example"},
    "a rate": {"rate_limit": "often"},
    "a host": {"hosts": "https://x"},
    "an orchestration": {"orchestration": "workflow"},
    "a type": {"actor_types": {"Nobody": {}}},
}


async def shown(**settings: Any) -> set[str]:
    """The findings of a start that is refused, and of a proxy or file that is not usable."""
    seen = context(Settings(**settings), environment={"AGENT_ACTORS_MODLE": "x"})
    seen.url = "http://127.0.0.1:9"
    async with open_checks(seen) as checks:
        return {each.found async for each in run_checks(checks, seen) if each.status != "ok"}


@pytest.mark.parametrize("settings", OF_A_START.values(), ids=OF_A_START)
async def test_the_page_explains_what_a_start_refuses(settings: dict[str, Any]):
    """These texts come from the start."""
    found = await shown(**settings)

    assert len(found) >= 2
    assert {text for text in found if not rows_of(text)} == set()


@pytest.mark.parametrize(
    "name", ["ALL_PROXY", "https_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR", "OPENAI_ORG_ID"]
)
async def test_the_page_explains_a_variable_that_no_client_can_use(
    monkeypatch: pytest.MonkeyPatch, name: str
):
    """By its name, whoever has set it."""
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)  # It would hide SSL_CERT_DIR.
    monkeypatch.setenv(name, "soc\tks://[")
    found = await shown(openai_api_key="k")

    assert any(name in text for text in found)
    assert {text for text in found if not rows_of(text)} == set()


async def test_the_page_explains_component_files_that_lose_events(tmp_path: Path):
    """A bulk subscription, and a route of others."""
    ours = Path(__file__).parents[3] / "components" / "message-subscription.yaml"
    plain = ours.read_text(encoding="utf-8")
    pubsub = (
        "kind: Component\nmetadata: {name: daca-pubsub}\nspec: {type: pubsub.redis, version: v1}\n"
    )
    (tmp_path / "pubsub.yaml").write_text(pubsub)
    for changed in (
        plain.replace("spec:\n", "spec:\n  bulkSubscribe: {enabled: true}\n", 1),
        plain.replace("/subscribe\n", "/elsewhere\n", 1),
    ):
        assert changed != plain
        (tmp_path / "subscription.yaml").write_text(changed)
        found = await shown(components=tmp_path)

        assert any("bulkSubscribe" in text or "/elsewhere" in text for text in found), found
        assert {text for text in found if not rows_of(text)} == set()


FROM_ELSEWHERE = {
    "unknown setting…",
    "OTEL_…",
    "SSLKEYLOGFILE names a file that cannot be written (…)",
    "… MB left on the disk",
    "To check JWTs, set …, too",
    "Nobody would have access: …",
    "…_PROXY …",
    "…_proxy …",
    "SSL_CERT_…",
    "The component file … cannot be used: …",
    "The component files in … have no Subscription to the topic … of …",
    "AGENT_ACTORS_COMPONENTS: there is no folder …",
    "AGENT_ACTORS_SMS_BINDING…",
    "The binding … needs a Kafka client, which is not installed…",
    "The secretsFile …",
    "The sidecar…",
    "AGENT_ACTORS_MODEL…",
    "OPENAI_…",
    "… cannot be reached (…)",
    "… does not answer in time",
}
"""Rows of texts that doctor quotes from a start or from a store, or puts together."""


async def test_the_page_has_no_row_for_nothing():
    """Each other row explains a text of the code, and its checks are checks."""
    made = {*await names("embedded"), *await names("dapr", dapr_http_port=1), "any"}
    of_code = list(texts())
    others = {
        line for line, form in PATTERNS.items() if not any(form.fullmatch(text) for text in of_code)
    }

    assert {each.strip("`") for checks, _ in ROWS for each in checks.split(", ")} <= made
    assert others == FROM_ELSEWHERE
