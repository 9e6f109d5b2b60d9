"""`/actors/*` and the subscriptions, as a sidecar calls them (I12)."""

import json
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from dapr.actor import ActorRuntime
from dapr.ext.fastapi import DaprActor
from fastapi import FastAPI

from agent_actors.app import create_app
from agent_actors.routes.sidecar.callbacks import Callbacks
from agent_actors.routes.sidecar.subscriptions import PATHS
from agent_actors.settings import Settings
from tests.conftest import Serve
from tests.fakes import FakeRuntime, QuickModel
from tests.unit.routes.sidecar.lessons import conversation, letters, message, texts, wrapped
from tests.unit.routes.sidecar.test_events import ours

OURS = "tok"
TOKEN = {"dapr-api-token": OURS}
HISTORY = "/actors/ChatAgent/ada/method/GetConversationHistory"


@pytest.fixture(autouse=True)
def _fresh_registry() -> Iterator[None]:
    ActorRuntime._actor_managers.clear()
    yield
    ActorRuntime._actor_managers.clear()


@asynccontextmanager
async def beside_a_sidecar(
    token: str | None = OURS, runtime: FakeRuntime | None = None
) -> AsyncIterator[httpx2.AsyncClient]:
    """The service as a sidecar sees it."""
    settings = Settings().model_copy(update={"app_api_token": token})
    runtime = runtime or FakeRuntime(called_by_sidecar=True)
    app = create_app(settings, runtime=runtime, model=QuickModel())
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="http://localhost") as http,
    ):
        yield http


async def test_a_method_is_called_with_the_token():
    """What daprd sends reaches the actor, and its answer goes back as it is."""
    async with beside_a_sidecar() as http:
        answer = await http.put(HISTORY, headers=TOKEN)
        assert (answer.status_code, answer.json()) == (200, [])
        assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("headers", [{}, {"dapr-api-token": "no"}, {"dapr-api-token": ""}])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", HISTORY),
        ("PUT", "/actors/ChatAgent/ada/method/remind/settle"),
        ("PUT", "/actors/ChatAgent/ada/method/timer/x"),
        ("DELETE", "/actors/ChatAgent/ada"),
        ("POST", "/subscribe"),
        ("POST", "/subscribe/dead"),
        ("POST", "/receive-message"),
    ],
)
async def test_callbacks_are_for_the_sidecar_only(method: str, path: str, headers: dict[str, str]):
    """A stranger would get past the turn lock; without the token nothing is even read."""
    async with beside_a_sidecar() as http:
        answer = await http.request(method, path, headers=headers, content=b"{")
        assert answer.status_code == 403
        assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("token", [None, "", "wrong", "ü"])
async def test_in_process_callbacks_need_the_token_too(serve: Serve, token: str | None):
    """Without it nobody feeds events, not even from this machine."""
    headers = {} if token is None else {b"dapr-api-token": token.encode()}
    model = QuickModel()
    async with serve(model=model) as served:
        for path in PATHS:
            event = wrapped(conversation() | message() | {"actor_id": "ada"})
            answer = await served.http.post(path, json=event, headers=headers)

            assert answer.status_code == 403, path
        assert await letters(served) == []
        assert await texts(served, "s1") == []
        assert await served.memory("ada") == []
        assert not model.prompts


async def test_without_a_token_every_caller_is_taken():
    """`dapr run` sets none; the service has logged it at its start."""
    async with beside_a_sidecar(token=None) as http:
        assert (await http.put(HISTORY)).status_code == 200


async def test_configuration_and_health_stay_readable():
    """In some set-ups Dapr requests them without a token; they contain nothing private."""
    runtime = FakeRuntime(called_by_sidecar=True)
    async with beside_a_sidecar(runtime=runtime) as http:
        config = (await http.get("/dapr/config")).json()
        assert {"ChatAgent", "ResponseAgent", "MemoryAgentActor"} <= set(config["entities"])
        assert (await http.get("/healthz")).json() == {"status": "ok"}
    assert runtime.sidecars == 1


async def test_an_event_is_applied():
    """The subscriptions answer as they do in process."""
    async with beside_a_sidecar() as http:
        body = json.dumps(ours(1)).encode()
        answer = await http.post("/subscribe", content=body, headers=TOKEN)
        assert answer.json() == {"status": "SUCCESS"}


async def test_an_unknown_method_is_404():
    """Dapr makes "actor method not found" of it."""
    async with beside_a_sidecar() as http:
        answer = await http.put("/actors/ChatAgent/ada/method/Nothing", headers=TOKEN)
        assert answer.status_code == 404
        assert (await http.get("/actors/ChatAgent/ada", headers=TOKEN)).status_code == 404


async def test_no_repr_reaches_a_caller(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """The SDK's own routes would answer with the repr, which may contain messages (I13)."""

    async def fail(*_: Any) -> bytes:
        raise ValueError("ada said: my secret")

    caplog.set_level(logging.INFO)
    async with beside_a_sidecar() as http:
        monkeypatch.setattr(ActorRuntime, "dispatch", fail)
        answer = await http.put(HISTORY, headers=TOKEN)
        assert answer.status_code == 500
        assert "secret" not in answer.text + caplog.text
        assert "ValueError" in caplog.text


async def test_a_deactivated_actor_is_made_again():
    """DELETE reaches the SDK; it is no error for an actor that Dapr knows from before a restart."""
    async with beside_a_sidecar() as http:
        await http.put(HISTORY, headers=TOKEN)
        managers = ActorRuntime._actor_managers
        assert "ada" in managers["ChatAgent"]._active_actors
        for _ in range(2):
            answer = await http.request("DELETE", "/actors/ChatAgent/ada", headers=TOKEN)
            assert answer.status_code == 200
            assert "ada" not in managers["ChatAgent"]._active_actors


async def test_a_reminder_is_fired():
    """A tick of a conversation that owes nothing unregisters the reminder."""
    runtime = FakeRuntime(called_by_sidecar=True)
    async with beside_a_sidecar(runtime=runtime) as http:
        body = b'{"data":"","dueTime":"","period":""}'
        path = "/actors/ChatAgent/ada/method/remind/settle"
        assert (await http.put(path, headers=TOKEN, content=body)).status_code == 200


async def test_the_routes_are_those_of_the_sdk():
    """Whatever `DaprActor` serves under /actors/ is served here, by the same methods."""
    inner = FastAPI()
    DaprActor(inner)
    theirs = set()
    for path, operations in inner.openapi()["paths"].items():
        if path.startswith("/actors/"):
            theirs |= {(method.upper(), path) for method in operations}
    names = {"actor_type_name": "ChatAgent", "actor_id": "ada", "timer_name": "t",
             "method_name": "GetConversationHistory", "reminder_name": "settle"}  # fmt: skip

    assert len(theirs) == 4
    async with beside_a_sidecar() as http:
        for method, path in theirs:
            answer = await http.request(method, path.format(**names), headers=TOKEN, content=b"{}")
            assert answer.status_code != 404, path


async def test_in_process_there_are_no_such_routes():
    """On the embedded runtime nobody calls actors by HTTP (I12)."""
    async with beside_a_sidecar(runtime=FakeRuntime()) as http:
        answer = await http.put(HISTORY, headers=TOKEN)
        assert answer.status_code == 404


async def called(app: Any, *messages: dict[str, Any]) -> list[dict[str, Any]]:
    """What the app sends when a request comes in those pieces."""
    sent, left = [], list(messages)

    async def receive() -> dict[str, Any]:
        return left.pop(0)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    headers = [(b"dapr-api-token", OURS.encode())]
    path = "/actors/ChatAgent/ada/method/ClearHistory"
    scope = {"type": "http", "method": "PUT", "path": path, "headers": headers}
    await app(scope, receive, send)
    return sent


async def test_an_interrupted_callback_does_nothing(monkeypatch: pytest.MonkeyPatch):
    """Nothing is dispatched, and no answer is sent."""
    dispatched: list[Any] = []

    async def note(*given: Any) -> bytes:
        dispatched.append(given)
        return b"null"

    monkeypatch.setattr(ActorRuntime, "dispatch", note)
    app = Callbacks(FastAPI(), OURS, {})
    part = {"type": "http.request", "body": b"{", "more_body": True}
    sent = await called(app, part, {"type": "http.disconnect"})

    assert (sent, dispatched) == ([], [])

    rest = {"type": "http.request", "body": b"}"}
    assert (await called(app, part, rest))[0]["status"] == 200
    assert dispatched[0][3] == b"{}"


async def test_a_path_is_logged_on_one_line(caplog: pytest.LogCaptureFixture):
    """Whoever may call chooses it, and must not write lines of our log."""
    app = Callbacks(FastAPI(), None, {})
    path = "/actors/NoType/a\n2026-01-01 ERROR forged/method/x"
    scope = {"type": "http", "method": "PUT", "path": path, "headers": []}

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        raise AssertionError

    await app(scope, receive, send)

    (record,) = caplog.records
    assert "\n" not in record.getMessage()


async def test_a_callback_is_not_read_for_ever():
    """Without a token anyone may post one; it may not fill the memory."""
    endless = [{"type": "http.request", "body": b"x" * 2**20, "more_body": True}] * 40
    sent = await called(Callbacks(FastAPI(), OURS, {}), *endless)

    assert sent[0]["status"] == 413


async def test_a_refused_sidecar_is_logged_once(caplog: pytest.LogCaptureFixture):
    """It may have another token than the app; the log explains why nothing works."""
    async with beside_a_sidecar() as http:
        for _ in range(3):
            await http.put(HISTORY)

    assert caplog.text.count("APP_API_TOKEN") == 1
    assert OURS not in caplog.text
