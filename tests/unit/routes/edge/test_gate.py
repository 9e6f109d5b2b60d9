"""The gate before the public routes: tokens, rights and rate limits."""

import json
import logging
from typing import Any

import pytest

from agent_actors.access import Access
from agent_actors.app import create_app
from agent_actors.clock import SystemClock
from agent_actors.errors import StartupError
from agent_actors.model.scripted import ScriptedModel
from agent_actors.routes.edge.gate import Gate
from agent_actors.settings import Settings
from tests.conftest import Serve, Served
from tests.fakes import FakeRuntime
from tests.hand_clock import HandClock
from tests.issuer import AUDIENCE, ISSUER, Published, SigningKey
from tests.unit.routes.edge.access import ADA, BEN, GUARDED, ROOT, TOKENS, bearer
from tests.unit.routes.edge.test_problems import a_problem

MESSAGE = {"role": "user", "content": "hi"}


async def say(served: Served, user: str, token: str | None = None, **headers: str) -> Any:
    given = headers | (bearer(token) if token else {})
    return await served.http.post(f"/chat/{user}", json=MESSAGE, headers=given)


async def test_a_refusal_says_what_to_send(serve: Serve):
    """401 is a problem document with a challenge, as RFC 6750 has it."""
    async with serve(**GUARDED) as served:
        nothing = await say(served, "ada")
        wrong = await say(served, "ada", "wrong-0123456789abcdef")
        other = await say(served, "ada", BEN)

        a_problem(nothing, 401)
        assert nothing.headers["www-authenticate"] == 'Bearer realm="agent-actors"'
        a_problem(wrong, 401)
        assert 'error="invalid_token"' in wrong.headers["www-authenticate"]
        assert "another user" in a_problem(other, 403)["detail"]


async def test_two_headers_are_none(serve: Serve):
    """Two headers are refused: a proxy may have checked the other one."""
    async with serve(**GUARDED) as served:
        headers = [("authorization", f"Bearer {token}") for token in (ADA, BEN)]
        answer = await served.http.get("/memory/ada", headers=headers)

        a_problem(answer, 401)


async def test_nothing_of_a_strangers_body_is_read(serve: Serve):
    """A stranger's broken or endless body gets 401 like any other."""

    async def endless() -> Any:
        raise AssertionError("it was read")
        yield b""

    async with serve(**GUARDED) as served:
        a_problem(await served.http.post("/chat/ada", content=endless()), 401)


@pytest.mark.parametrize(
    "path",
    [
        "/memory/ada/",
        "/memory/ben/../ada",
        "/memory/ben%2f..%2fada",
        "/memory/%61da",
        "/memory/ada%00",
        "/memory/ada%0a",
        "/memory/ADA",
        "/memory/ada%20",
        "/memory//ada",
        "//memory/ada",
        "/memory/session:ada",
        "/chat/ada/history%0a",
        "/chat/ben/../ada/history",
        "/chat/ada/history;x",
        "/users/ada/export?user_id=ben",
        "/conversations/ada",
        "/conversations/session:ada",
    ],
)
async def test_no_spelling_of_an_id_reaches_another_user(serve: Serve, path: str):
    """Ben's token with each of them is refused, and nothing of Ada's is in the answer."""
    async with serve(**GUARDED) as served:
        await say(served, "ada", ADA)
        answer = await served.http.get(path, headers=bearer(BEN), follow_redirects=True)

        assert answer.status_code in {403, 404, 422}, answer.text
        assert '"hi"' not in answer.text


@pytest.mark.parametrize("method", ["OPTIONS", "PATCH", "HEAD", "TRACE", "get", "PROPFIND"])
async def test_no_method_is_a_way_around(serve: Serve, method: str):
    """Other methods of a user's route need a token of that user as well."""
    async with serve(**GUARDED) as served:
        for headers in ({}, bearer(BEN)):
            answer = await served.http.request(method, "/chat/ada/history", headers=headers)
            assert answer.status_code in {401, 403, 404}


async def test_what_is_not_in_the_table_is_for_admins(serve: Serve):
    """Routes that were added to the app, and paths without a route, are for admins."""
    async with serve(**GUARDED) as served:

        @served.app.get("/added")
        async def added() -> str:
            return "x"

        for path, status in (("/added", 200), ("/nowhere", 404)):
            a_problem(await served.http.get(path), 401)
            a_problem(await served.http.get(path, headers=bearer(ADA)), 404)
            for headers in (bearer(ROOT), served.token):
                answer = await served.http.get(path, headers=headers)
                assert answer.status_code == status


async def test_a_websocket_needs_access_control_to_be_off():
    """A websocket is closed if callers need tokens; otherwise it is passed on."""
    passed: list[str] = []
    sent: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        passed.append(scope["type"])

    async def receive() -> Any: ...

    async def send(message: Any) -> None:
        sent.append(message)

    access = Access.open(Settings(access_tokens=TOKENS), SystemClock())
    await Gate(app, access, None, "t")({"type": "websocket"}, receive, send)
    assert (passed, sent) == ([], [{"type": "websocket.close", "code": 1008}])
    await Gate(app, None, None, "t")({"type": "websocket"}, receive, send)
    await Gate(app, access, None, "t")({"type": "lifespan"}, receive, send)
    assert passed == ["websocket", "lifespan"]


async def test_a_message_of_a_session_is_its_users(serve: Serve):
    """The body must name the caller; another user's session is 404, like an unknown one."""
    async with serve(**GUARDED) as served:
        said = {"user_id": "ada", "text": "hi"}
        a_problem(await served.http.post("/chat/", json=said, headers=bearer(BEN)), 403)
        begun = await served.http.post("/chat/", json=said, headers=bearer(ADA))
        session = begun.json()["metadata"]["session_id"]
        path = f"/conversations/{session}"
        bens = said | {"user_id": "ben", "metadata": {"session_id": session}}

        assert len((await served.http.get(path, headers=bearer(ADA))).json()["history"]) == 2
        assert len((await served.http.get(path, headers=bearer(ROOT))).json()["history"]) == 2
        refused = a_problem(await served.http.get(path, headers=bearer(BEN)), 404)
        unknown = await served.http.get("/conversations/none", headers=bearer(BEN))
        assert a_problem(unknown, 404) == refused
        a_problem(await served.http.post("/chat/", json=bens, headers=bearer(BEN)), 404)


async def test_a_turn_of_a_session_is_its_users(serve: Serve):
    """A turn is shown to the user who began its session, and to no other user."""
    model = ScriptedModel(SystemClock())
    async with serve(**GUARDED, model=model, parking_time=0.05) as served:
        said = {"user_id": "ada", "text": "/slow 0.3 hi"}
        headers = bearer(ADA) | {"prefer": "respond-async"}
        accepted = await served.http.post("/chat/", json=said, headers=headers)
        address = accepted.headers["location"]

        own = await served.http.get(address, headers=bearer(ADA))
        assert own.json()["status"] in {"queued", "running", "done"}
        a_problem(await served.http.get(address, headers=bearer(BEN)), 404)


async def test_a_jwt_opens_its_users_routes(serve: Serve):
    """JWTs work beside static tokens; if the issuer is away, the answer is 503."""
    key = SigningKey()
    published = Published(key)
    issuer = {"jwt_issuer": ISSUER, "jwt_audience": AUDIENCE, "jwt_jwks_url": published.url}
    async with serve(**GUARDED, **issuer) as served:
        a_problem(await say(served, "ada", key.token("ada")), 503)
        assert (await say(served, "ada", ADA)).status_code == 200
    with published.served():
        async with serve(**GUARDED, **issuer) as served:
            assert (await say(served, "ada", key.token("ada"))).status_code == 200
            a_problem(await say(served, "ada", key.token("ben")), 403)
            a_problem(await say(served, "a", key.token("a|b")), 403)
            a_problem(await say(served, "ada", SigningKey().token("ada")), 401)


async def test_a_subject_that_is_no_user_reaches_no_session(serve: Serve):
    """A subject that does not have the form of our ids is not a user."""
    key = SigningKey()
    with Published(key).served() as published:
        issuer = {"jwt_issuer": ISSUER, "jwt_audience": AUDIENCE, "jwt_jwks_url": published.url}
        async with serve(**GUARDED, **issuer) as served:
            for subject in ("session:x", "a/../b", "a b"):
                headers = bearer(key.token(subject))
                a_problem(await served.http.get("/conversations/x", headers=headers), 404)
                turn = await served.http.get("/conversations/x/turns/t", headers=headers)
                a_problem(turn, 403)


async def test_a_caller_that_asks_too_often_waits(serve: Serve):
    """429 says how long to wait; other callers, health routes and callbacks are not limited."""
    clock = HandClock()
    runtime = FakeRuntime()
    settings = GUARDED | {"rate_limit": "2/minute"}
    async with serve(**settings, clock=clock, runtime=runtime, APP_API_TOKEN="t") as served:
        path = "/users/ada"
        statuses = [
            (await served.http.get(path, headers=bearer(ADA))).status_code for _ in range(3)
        ]
        refused = await served.http.get(path, headers=bearer(ADA))

        assert statuses == [200, 200, 429]
        assert a_problem(refused, 429)["retry"] == "same-key"
        assert refused.headers["retry-after"] == "30"
        assert (await served.http.get("/users/ben", headers=bearer(BEN))).status_code == 200
        for _ in range(5):
            assert (await served.http.get("/livez")).status_code == 200
            dropped = await served.http.post("/subscribe", json={}, headers=served.token)
            assert dropped.status_code == 200
        clock.jump(30)
        assert (await served.http.get(path, headers=bearer(ADA))).status_code == 200


async def test_a_caller_that_guesses_tokens_waits(serve: Serve):
    """Invalid tokens count for the address; valid tokens from there still work."""
    async with serve(**GUARDED, rate_limit="2/hour", clock=HandClock()) as served:
        guesses = [(await say(served, "ada", "x" * 20)).status_code for _ in range(4)]

        assert guesses == [401, 401, 429, 429]
        assert (await served.http.get("/users/ada", headers=bearer(ADA))).status_code == 200


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("203.0.113.9", "203.0.113.9", True),
        ("203.0.113.9", "203.0.113.10", False),
        ("2001:db8::1", "2001:db8::ffff", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:203.0.113.7", "203.0.113.7", True),
        ("::ffff:203.0.113.7", "::ffff:203.0.113.8", False),
    ],
)
async def test_without_tokens_the_address_is_counted(
    serve: Serve, first: str, second: str, same: bool
):
    """The limit is per address, mapped or not, or per IPv6 network, whatever a header says."""
    async with serve(rate_limit="1/hour", clock=HandClock(), caller=first) as served:
        assert (await served.http.get("/users/ada")).status_code == 200
        forged = await served.http.get("/users/ada", headers={"x-forwarded-for": second})
        assert forged.status_code == 429
        served.http._transport.client = (second, 1)  # type: ignore[attr-defined]
        answer = await served.http.get("/users/ada")

        assert (answer.status_code == 429) is same


async def test_no_token_is_logged(serve: Serve, caplog: pytest.LogCaptureFixture):
    """Neither valid nor invalid tokens are logged, at any level."""
    with caplog.at_level(logging.DEBUG):
        async with serve(**GUARDED) as served:
            await say(served, "ada", ADA)
            await say(served, "ada", "wrong-0123456789abcdef")

    assert ADA not in caplog.text
    assert "wrong-0123456789abcdef" not in caplog.text


def test_on_dapr_access_needs_the_sidecars_token():
    """Without the sidecar's token, callbacks would bypass access control."""
    runtime = FakeRuntime(called_by_sidecar=True)
    with pytest.raises(StartupError, match="APP_API_TOKEN"):
        create_app(Settings(access_tokens=TOKENS), runtime=runtime)
    create_app(Settings(access_tokens=TOKENS, APP_API_TOKEN="t"), runtime=runtime)


@pytest.mark.parametrize("on", [True, False])
def test_the_description_names_the_tokens(on: bool):
    """The OpenAPI document names tokens if they are needed, on the routes that need them."""
    settings = Settings(access_tokens=TOKENS) if on else Settings()
    described = create_app(settings, runtime=FakeRuntime()).openapi()
    said = described["paths"]["/chat/{actor_id}"]["post"]
    alive = described["paths"]["/livez"]["get"]

    assert ("securitySchemes" in described["components"]) is on
    assert ("security" in said) is on
    assert ("401" in said["responses"]) is on
    assert "security" not in alive
    assert json.dumps(described)
