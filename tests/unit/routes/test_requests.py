"""What every route refuses alike: ids of another form, and pages that are none."""

from typing import Any
from urllib.parse import quote

import pytest

from tests.conftest import Serve

BAD_IDS = ["-a", "a b", "+1555", "a+b", "ä", "x" * 129, "session:1", "a\x00", "a\n", ".."]
PERSON = {"name": "n", "preferred_style": "s", "user_summary": "u"}
ROUTES: list[tuple[str, str, Any]] = [
    ("POST", "/chat/{}", {"role": "user", "content": "x"}),
    ("GET", "/chat/{}/history", None),
    ("DELETE", "/chat/{}/history", None),
    ("GET", "/chat/{}/turns/t", None),
    ("GET", "/response/{}/count", None),
    ("GET", "/memory/{}", None),
    ("GET", "/conversations/{}", None),
    ("GET", "/conversations/{}/turns/t", None),
    ("GET", "/memories/{}", None),
    ("POST", "/memories/{}/initialize", PERSON),
    ("GET", "/analytics/{}", None),
    ("GET", "/analytics/{}/usage", None),
    ("POST", "/analytics/{}/initialize", {"message_count": 1}),
    ("GET", "/users/{}", None),
    ("DELETE", "/users/{}", None),
    ("GET", "/users/{}/session", None),
    ("DELETE", "/users/{}/session", None),
    ("GET", "/users/{}/sessions", None),
    ("GET", "/users/{}/preferences", None),
    ("PUT", "/users/{}/preferences", {}),
    ("GET", "/users/{}/export", None),
]


@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
async def test_an_id_of_another_form_is_refused(serve: Serve, method: str, path: str, body: Any):
    """Every route that takes an id refuses those that a sidecar would alter, and `session:`."""
    async with serve() as served:
        for some_id in BAD_IDS:
            quoted = quote(some_id, safe="").replace(".", "%2E")
            answer = await served.http.request(method, path.format(quoted), json=body)

            assert answer.status_code in ({404, 405, 422} if some_id == ".." else {422}), some_id


@pytest.mark.parametrize("path", ["/chat/ada/history", "/conversations/s1", "/events/dead"])
async def test_a_wrong_page_is_refused(serve: Serve, path: str):
    """A page has 1 to 1000 entries before a turn from 1 on; the problem names the parameter."""
    queries = ["limit=0", "limit=1001", "limit=x", "limit="]
    if path != "/events/dead":
        queries += ["before=0", "before=-1", "before=x", "before=1e3"]
    async with serve() as served:
        for query in queries:
            answer = await served.http.get(f"{path}?{query}")

            assert answer.status_code == 422, query
            assert query.partition("=")[0] in answer.json()["detail"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/chat/ada/turns/none"),
        ("GET", "/chat/bob/turns/{turn}"),
        ("GET", "/conversations/s1/turns/t"),
        ("POST", "/events/dead/none/requeue"),
    ],
)
async def test_what_is_unknown_is_not_found(serve: Serve, method: str, path: str):
    """So is a turn of another conversation."""
    async with serve() as served:
        turn = (await served.say("ada", "hi")).json()["turn_id"]

        assert (await served.http.request(method, path.format(turn=turn))).status_code == 404
