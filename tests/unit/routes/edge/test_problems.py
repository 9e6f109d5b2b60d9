"""Every error is a problem document, on every route."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx2
import pytest
from fastapi import FastAPI

from agent_actors.app import create_app
from agent_actors.errors import AgentError, Busy, Unavailable
from agent_actors.routes.edge import problems
from agent_actors.settings import Settings
from tests.conftest import Serve
from tests.fakes import FakeRuntime

MEDIA_TYPE = "application/problem+json"
MEMBERS = {"type", "title", "status", "detail", "retry"}
PRIVATE = {"/events", "/info", "/subscribe", "/messages", "/receive-message"}
"""How the paths begin that are not for callers from elsewhere, `POST /conversations` too."""
BODIES: dict[str, Any] = {
    "/chat/": {"user_id": "ada", "text": "hi"},
    "/chat/{actor_id}": {"role": "user", "content": "hi"},
    "/chat/{actor_id}/follow-up": {"role": "user", "content": "hi"},
    "/chat/{actor_id}/schedules": {"content": "hi", "every": "1m"},
    "/memories/{user_id}/initialize": {
        "name": "Ada",
        "preferred_style": "formal",
        "user_summary": "Ada is new.",
    },
    "/analytics/{user_id}/initialize": {"message_count": 1},
    "/users/{user_id}/preferences": {"language": "en"},
}
"""What each route that takes a body takes."""


def a_problem(answer: httpx2.Response, status: int) -> Any:
    """Asserts that an answer is a problem document of that status."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == MEDIA_TYPE
    body = answer.json()
    assert set(body) >= MEMBERS
    assert set(body) <= MEMBERS | {"turn_id", "session_id", "errors"}
    assert body["status"] == status
    assert body["retry"] in {"same-key", "new-key", "no"}
    assert body["detail"]
    assert ("retry-after" in answer.headers) == (status in {429, 503})
    return body


def operations(tmp_path: Any) -> Iterator[tuple[str, str]]:
    """Every method and path of the API."""
    described = create_app(Settings(data=tmp_path), runtime=FakeRuntime()).openapi()
    for path, methods in described["paths"].items():
        for method in methods:
            yield method.upper(), path


async def test_every_route_refuses_in_one_shape(serve: Serve, tmp_path: Any):
    """Invalid ids, invalid bodies and missing tokens give a problem document on every route."""
    seen = 0
    async with serve(caller="203.0.113.9") as served:
        for method, path in operations(tmp_path):
            if path in {"/", "/livez", "/readyz", "/healthz", "/metrics", "/dapr/config"}:
                continue
            wrong = fill(path, "-")
            answer = await served.http.request(method, wrong, content=b"{")
            a_problem(answer, 403 if private(method, path) else 422)
            seen += 1

    assert seen >= 30


BAD_IDS = ["-a", "a b", "+1555", "a+b", "ä", "x" * 129, "session:1", "a\x00", "a\n", ".."]


async def test_an_id_of_another_form_is_refused(serve: Serve, tmp_path: Any):
    """Every route that takes an id refuses those that a sidecar would alter, and `session:`."""
    routes = [
        each for each in operations(tmp_path) if re.search("(actor|user|session)_id", each[1])
    ]
    async with serve() as served:
        for method, path in routes:
            for some_id in BAD_IDS:
                address = fill(path, quote(some_id, safe="").replace(".", "%2E"))
                answer = await served.http.request(method, address, json=BODIES.get(path))

                assert answer.status_code in ({404, 405, 422} if some_id == ".." else {422})

    assert len(routes) >= 20


@pytest.mark.parametrize("path", ["/chat/ada/history", "/conversations/s1", "/events/dead"])
async def test_a_wrong_page_is_refused(serve: Serve, path: str):
    """A page has 1 to 1000 entries before a turn from 1 on; the problem names the parameter."""
    queries = ["limit=0", "limit=1001", "limit=x", "limit="]
    if path != "/events/dead":
        queries += ["before=0", "before=-1", "before=x", "before=1e3"]
    async with serve() as served:
        for query in queries:
            refused = a_problem(await served.http.get(f"{path}?{query}"), 422)

            assert query.partition("=")[0] in refused["detail"]


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

        a_problem(await served.http.request(method, path.format(turn=turn)), 404)


def fill(path: str, some_id: str) -> str:
    """The path of a request, with that id for every parameter."""
    return path.format(
        actor_id=some_id,
        user_id=some_id,
        session_id=some_id,
        schedule_id="x",
        turn_id="x",
        letter_id="x",
    )


def private(method: str, path: str) -> bool:
    """Whether an operation is for the runtime or for operators only."""
    first = "/" + path.split("/")[1]
    return first in PRIVATE or (first == "/conversations" and method == "POST")


async def test_every_route_reports_a_store_that_is_away(serve: Serve, tmp_path: Any):
    """Every route that needs the store answers 503 with a problem document."""
    runtime = FakeRuntime()
    async with serve(runtime=runtime, reentrancy_depth=2, sms_binding="twilio-binding") as served:
        for method, path in operations(tmp_path):
            if not re.search(r"\{(actor|user|session)_id\}|/chat/", path):
                continue
            if (method, path) == ("GET", "/users/{user_id}"):
                continue  # It says back what it was told.
            step = "save" if method == "PUT" else "get"  # What is replaced is not read.
            runtime.client.fail(step, Unavailable("The store is away."))
            body = BODIES.get(path) if method in {"POST", "PUT"} else None
            answer = await served.http.request(method, fill(path, "ada"), json=body)
            a_problem(answer, 503)


async def test_every_path_refuses_other_methods(serve: Serve, tmp_path: Any):
    """405 and 404 are problem documents as well."""
    async with serve() as served:
        for _, path in operations(tmp_path):
            a_problem(await served.http.request("PATCH", fill(path, "ada")), 405)
        for path in ("/nowhere", "/users", "/chat/ada/b/c"):
            a_problem(await served.http.get(path), 404)


async def test_a_body_over_the_limit_is_a_problem(serve: Serve):
    """A large body is refused by its declared length, or while it is received."""

    async def endless() -> Any:
        for _ in range(100):
            yield b"x" * 100_000

    async with serve() as served:
        a_problem(await served.http.post("/chat/ada", content=b"x" * 500_000), 413)
        a_problem(await served.http.post("/chat/ada", content=endless()), 413)


async def test_wrong_fields_are_named_and_not_repeated(serve: Serve):
    """Each invalid field has its place and its reason; its value is not repeated."""
    async with serve() as served:
        sent = {"role": "secret", "content": {"x": "secret"}}
        answer = await served.http.post("/chat/ada", json=sent)
        body = a_problem(answer, 422)

        assert {row["field"] for row in body["errors"]} == {"role", "content"}
        assert "secret" not in answer.text


async def test_advice_fits_a_message_without_a_key(serve: Serve):
    """If the turn's end is unknown, the answer has its id; otherwise a new message may be sent."""
    runtime = FakeRuntime()
    async with serve(runtime=runtime) as served:
        runtime.client.fail("save", Unavailable("away"))
        unknown = a_problem(await served.say("ada", "hi"), 503)
        runtime.client.fail("save", Unavailable("away"))
        keyed = a_problem(await served.say("ada", "hi", idempotency_key="k"), 503)

        assert unknown["turn_id"]
        assert unknown["retry"] == "no"
        assert keyed["turn_id"]
        assert keyed["retry"] == "same-key"


@pytest.fixture
def bare() -> FastAPI:
    """An app with the exception handlers only."""
    app = FastAPI()
    problems.install(app)

    @app.get("/{name}")
    async def fail(name: str) -> None:
        errors: dict[str, Exception] = {
            "busy": Busy("Too many.", turn_id="t"),
            "bug": ValueError("secret"),
            "agent": AgentError("plain"),
        }
        raise errors[name]

    return app


@pytest.mark.parametrize(("name", "status"), [("busy", 429), ("bug", 500), ("agent", 500)])
async def test_every_exception_is_a_problem(bare: FastAPI, name: str, status: int):
    """Our own errors keep their text; other exceptions do not show theirs."""
    transport = httpx2.ASGITransport(app=bare, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as http:
        answer = await http.get(f"/{name}")

    body = a_problem(answer, status)
    assert "secret" not in answer.text
    assert body.get("turn_id") == ("t" if name == "busy" else None)


def test_the_description_names_the_problems(tmp_path: Any):
    """The OpenAPI document has each route's problems, with their media type."""
    described = create_app(Settings(data=tmp_path), runtime=FakeRuntime()).openapi()
    told = described["paths"]["/chat/{actor_id}"]["post"]["responses"]

    assert {"202", "400", "413", "422", "429", "502", "503", "504"} <= set(told)
    assert MEDIA_TYPE in told["422"]["content"]
    assert "ProblemDocument" in described["components"]["schemas"]
