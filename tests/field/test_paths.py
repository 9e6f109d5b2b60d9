"""Paths as clients, proxies and probes spell them.

A redirect to the other spelling loses the scheme behind a proxy (fastapi/fastapi#4990,
eneo-ai/eneo#871), and some clients drop the body or the token on the way.
"""

from typing import Any

import pytest

from agent_actors.access.rules import RULES
from tests.conftest import Serve
from tests.fakes import QuickModel

HELLO = {"role": "user", "content": "Hello"}
OF_USER: dict[str, Any] = {"user_id": "ada", "text": "Hello"}
SESSIONS = [
    "/chat",  # wri/project-zeno#333
    "/chat/",
]
SLASHED: list[tuple[str, str, Any]] = [
    ("POST", "/chat/ada/", HELLO),  # fastapi/fastapi#4990
    ("POST", "/chat/ada/schedules/", {"content": "Hello", "every": "1h"}),
    ("GET", "/chat/ada/history/", None),
    ("GET", "/chat/ada/history/?limit=2", None),
    ("DELETE", "/chat/ada/history/", None),
    ("PUT", "/users/ada/preferences/", {"language": "en"}),
    ("GET", "/conversations/s1/", None),
    ("GET", "/events/dead/", None),
    ("GET", "/readyz/", None),
    ("GET", "/docs/", None),
    ("GET", "/openapi.json/", None),
]
UNKNOWN = ["//", "/chat//", "/chat/ada//", "/chat/ada/history//", "/chat/ada%2F", "/nothing/"]


@pytest.mark.parametrize("path", SESSIONS)
async def test_a_session_is_begun_at_both_spellings(serve: Serve, path: str):
    """`POST /chat` is not redirected."""
    async with serve(model=QuickModel()) as served:
        answer = await served.http.post(path, json=OF_USER)

        assert (answer.status_code, answer.json()["reply"]) == (200, "reply to Hello")


@pytest.mark.parametrize(("method", "path", "body"), SLASHED)
async def test_a_slash_at_the_end_changes_nothing(serve: Serve, method: str, path: str, body: Any):
    """The same route answers, with the same status and the same headers of security."""
    async with serve(model=QuickModel()) as served:
        slashed = await served.http.request(method, path, json=body)
        plain = await served.http.request(method, path.replace("/?", "?").rstrip("/"), json=body)

        assert slashed.status_code == plain.status_code
        assert slashed.is_success
        for name in ("content-type", "content-security-policy", "x-frame-options"):
            assert slashed.headers.get(name) == plain.headers.get(name)


@pytest.mark.parametrize("path", UNKNOWN)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_other_spellings_are_no_routes(serve: Serve, method: str, path: str):
    """They are 404, and no redirect."""
    async with serve() as served:
        answer = await served.http.request(method, f"http://localhost{path}", json=HELLO)

        assert answer.status_code in {404, 405}, answer.text
        assert "location" not in answer.headers


async def test_no_redirect_names_a_scheme(serve: Serve):
    """Neither to a browser nor to anybody else, whatever a proxy says of the request."""
    forwarded = {"accept": "text/html", "x-forwarded-proto": "https", "x-forwarded-prefix": "/a"}
    async with serve() as served:
        for route in RULES:
            method, _, path = route.partition(" ")
            spelled = path.replace("{", "").replace("}", "")
            for each in (spelled, spelled + "/", spelled.rstrip("/") or "/"):
                address = f"http://localhost{each}"
                answer = await served.http.request(method, address, headers=forwarded)
                location = answer.headers.get("location", "/")
                assert location.startswith("/"), each
                assert answer.status_code not in {301, 302, 303, 308}, each
                assert (answer.status_code == 307) == (path == "/" and not each.endswith("//"))


@pytest.mark.parametrize("path", ["/users/ben/", "/chat/ben/history/", "/events/dead/"])
async def test_a_slash_opens_no_door(serve: Serve, path: str):
    """Access control sees the path of the route that answers."""
    tokens = '[{"token": "the-token-of-ada", "subject": "ada"}]'
    async with serve(access_tokens=tokens, app_api_token="the token of the sidecar") as served:
        for headers, status in (
            ({}, 401),
            ({"authorization": "Bearer the-token-of-ada"}, 403),
        ):
            answer = await served.http.get(path, headers=headers)
            assert answer.status_code == status


@pytest.mark.parametrize("path", ["/subscribe/", "/conversations/", "/receive-message/"])
async def test_a_callback_with_a_slash_needs_its_token(serve: Serve, path: str):
    """I12 holds for both spellings."""
    async with serve(app_api_token="the token of the sidecar") as served:
        assert (await served.http.post(path, json={})).status_code == 403
        assert (await served.http.post(path, json={}, headers=served.token)).status_code == 200


async def test_a_route_that_was_added_keeps_its_slash(serve: Serve):
    """What somebody adds to the app answers at its own path."""
    async with serve() as served:

        @served.app.get("/mine/")
        async def mine() -> str:
            return "mine"

        assert (await served.http.get("/mine/")).json() == "mine"
