"""`docs/security.md` is executed: each row of its tables, both ways."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from agent_actors.access.rules import OF_USERS, RULES
from agent_actors.app import create_app
from agent_actors.settings import Settings
from tests.conftest import Serve, Served
from tests.fakes import FakeRuntime
from tests.unit.routes.edge.access import ADA, BEN, GUARDED, ROOT, bearer
from tests.unit.routes.edge.test_problems import BODIES

ROOT_FOLDER = Path(__file__).parents[4]
PAGE = (ROOT_FOLDER / "docs" / "security.md").read_text(encoding="utf-8")
ROUTES = dict(re.findall(r"^\| `([A-Z]+ /\S*)` \| ([a-z ]+) \|$", PAGE, flags=re.MULTILINE))
CALLERS = ("no token", "own token", "another user's", "admin's", "the sidecar's token")
RULE_ROWS = {
    cells[0]: dict(zip(CALLERS, cells[1:], strict=True))
    for cells in re.findall(
        r"^\| ([a-z ]+)" + r" \| (yes|40[134])" * 5 + r" \|$", PAGE, re.MULTILINE
    )
}
SERVED = create_app(Settings(data=Path("not made")), runtime=FakeRuntime()).openapi()["paths"]
OF_PAGES = {
    *("GET /docs", "GET /docs/{asset}", "GET /redoc", "GET /redoc/{asset}", "GET /openapi.json")
}
"""Routes that no OpenAPI document names."""
REFUSALS = {401, 403}
SESSION = "90f6242e-7dae-494f-a919-e47b0bd8815e"
TOKENS = {"no token": "", "own token": ADA, "another user's": BEN, "admin's": ROOT}


def test_the_page_has_the_rules_of_the_code():
    """Route by route, and in no other order; each rule says what it means."""
    assert list(ROUTES.items()) == list(RULES.items())
    assert set(RULE_ROWS) == set(RULES.values())


def test_every_route_has_a_rule():
    """Every route has a rule, and every rule has a route."""
    served = {f"{method.upper()} {path}" for path, methods in SERVED.items() for method in methods}

    assert set(RULES) == served | OF_PAGES


def test_a_rule_of_an_id_has_one():
    """A route has a rule about the user in its path exactly if its path has one."""
    for route, rule in RULES.items():
        named = any(f"{{{name}}}" in route for name in OF_USERS)
        assert (rule == "own id") is named, route


def test_every_threat_is_shown_by_a_test():
    """The last cell of a row names a test that exists, or says that there is none."""
    rows = re.findall(r"^\| .* \| (`\S+`|not testable here) \|$", PAGE, flags=re.MULTILINE)
    named = [row.strip("`").partition("::") for row in rows if row.startswith("`tests/")]

    assert len(rows) >= 15
    for path, _, name in named:
        assert f"def {name}(" in (ROOT_FOLDER / path).read_text(encoding="utf-8"), name


@pytest.fixture
async def guarded(serve: Serve) -> AsyncIterator[Served]:
    async with serve(**GUARDED, APP_API_TOKEN="the sidecar's") as served:
        begun = {"user_id": "ada", "text": "hi", "metadata": {"session_id": SESSION}}
        assert (
            await served.http.post("/chat/", json=begun, headers=bearer(ADA))
        ).status_code == 200
        yield served


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("rule", sorted(RULE_ROWS))
async def test_each_route_lets_in_whom_the_page_says(guarded: Served, rule: str, caller: str):
    """Each caller calls each route of a rule, and gets what the page says."""
    expected = RULE_ROWS[rule][caller]
    routes = [route for route, its_rule in ROUTES.items() if its_rule == rule]
    headers = bearer(TOKENS[caller]) if TOKENS.get(caller) else {}
    if caller == "the sidecar's token":
        headers = guarded.token
    for route in routes:
        status = await call(guarded, route, headers)
        if expected != "yes":
            assert status == int(expected), (route, status)
        else:
            assert status not in REFUSALS, (route, status)
            assert status < 500, (route, status)

    assert routes


@pytest.mark.parametrize("rule", ["open", "own id", "own body", "own session"])
async def test_without_access_control_everybody_is_let_in(serve: Serve, rule: str):
    """Without access control every caller is admitted, as the page says."""
    async with serve(caller=GUARDED["caller"]) as served:
        for route in [route for route, its_rule in ROUTES.items() if its_rule == rule]:
            assert await call(served, route, {}) not in REFUSALS, route


async def call(served: Served, route: str, headers: dict[str, str]) -> int:
    """The status of a request that is valid except for its caller."""
    method, _, path = route.partition(" ")
    body: Any = BODIES.get(path) if method in {"POST", "PUT"} else None
    filled = path.format(
        actor_id="ada",
        user_id="ada",
        session_id=SESSION,
        turn_id="none",
        schedule_id="none",
        letter_id="none",
        asset="favicon.png",
    )
    answer = await served.http.request(method, filled, json=body, headers=headers)
    return answer.status_code
