"""Who may call what beside a sidecar (I11, I12), and what is never told (I13)."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from agent_actors.engine.ports import free_port
from tests.dapr.conftest import SETTINGS
from tests.dapr.engine import Engine
from tests.e2e.dapr import DaprService
from tests.e2e.service import becomes, clock, eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECRET = "secretword"
HELLO = {"role": "user", "content": "hi"}
EVENT: dict[str, Any] = {
    "specversion": "1.0",
    "id": "stranger",
    "data": {
        "actor_id": "ada",
        "input": {"role": "user", "content": "I am Ada"},
        "output": {"role": "assistant", "content": "You are"},
    },
}
CALLBACKS = [
    ("PUT", "/actors/ChatAgent/ada/method/ProcessMessage", HELLO),
    ("PUT", "/actors/ChatAgent/ada/method/ClearHistory", None),
    (
        "PUT",
        "/actors/ChatAgent/ada/method/remind/settle",
        {"data": "", "dueTime": "", "period": ""},
    ),
    ("PUT", "/actors/ChatAgent/ada/method/timer/tick", {"callback": "tick"}),
    ("DELETE", "/actors/ChatAgent/ada", None),
    ("POST", "/subscribe", EVENT),
    ("POST", "/subscribe/dead", {}),
    ("POST", "/receive-message", {"actor_id": "ada", "message": {"role": "user", "content": "x"}}),
]
NONSENSE = [
    b"",
    b"not json",
    b"null",
    b"[]",
    b"7",
    b"\xff\xfe",
    b'{"role":"system","content":"secretword"}',
    b'{"role":"user","content":7,"x":"secretword"}',
    b'{"role":"user","content":""}',
    b'{"turn":{"turn_id":"secretword"},"wait":"secretword"}',
    b'{"role":"user","content":"/break secretword"}',
    b'{"role":"user","content":"/fail secretword"}',
    b'{"role":"user","content":"\\ud800 secretword"}',
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(
    engine: Engine, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[DaprService]:
    """A replica whose app and sidecar share a token."""
    async with beside(engine, tmp_path_factory.mktemp("privacy")) as service:
        yield await service.start()


@asynccontextmanager
async def beside(engine: Engine, folder: Path, **given: Any) -> AsyncIterator[DaprService]:
    """A replica that is not started."""
    service = DaprService(engine, folder, **SETTINGS, **given)
    try:
        yield service
    finally:
        await service.close()


async def act(service: DaprService, actor_id: str, method: str, body: bytes) -> httpx2.Response:
    """A call of ChatAgent by the sidecar's actor API."""
    return await service.http.post(
        service.beside(f"actors/ChatAgent/{actor_id}/method/{method}"),
        content=body,
        headers={"content-type": "application/json"},
    )


async def state(service: DaprService) -> tuple[object, ...]:
    """Everything of Ada that a stranger might change."""
    dead = await service.http.get("/events/dead")
    return (
        await service.history("ada"),
        await service.memory("ada"),
        await service.count("ada"),
        dead.json(),
    )


@pytest.mark.parametrize(("method", "path", "body"), CALLBACKS)
async def test_a_stranger_is_no_sidecar(service: DaprService, method: str, path: str, body: Any):
    """Without the token, or with a wrong one, each callback is refused and changes nothing."""
    if not await service.count("ada"):
        await service.reply("ada", "hello")
        await service.remembered("ada", "hello")
    before = await state(service)
    token = service.cluster.app_token
    wrong: list[list[tuple[str, str]]] = [
        [],
        [("dapr-api-token", "")],
        [("dapr-api-token", token[:-1])],
        [("dapr-api-token", token.swapcase())],
        [("authorization", f"Bearer {token}")],
        [("dapr-api-token", "wrong"), ("dapr-api-token", token)],
    ]
    for headers in wrong:
        answer = await service.http.request(method, path, json=body, headers=headers)

        assert answer.status_code == 403, (headers, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"

    assert await state(service) == before


async def test_the_token_opens_the_callbacks(service: DaprService):
    """What was refused without the token works with it: the refusals were about the token."""
    headers = {"dapr-api-token": service.cluster.app_token}
    ping = await service.http.put("/actors/ChatAgent/~ready/method/Ping", headers=headers)
    event = EVENT | {"data": EVENT["data"] | {"actor_id": "bob"}}
    applied = await service.http.post("/subscribe", json=event, headers=headers)

    assert (ping.status_code, ping.json()) == (200, True)
    assert (applied.status_code, applied.json()) == (200, {"status": "SUCCESS"})
    assert [entry["content"] for entry in await service.memory("bob")] == ["I am Ada", "You are"]


@pytest.mark.parametrize(
    ("method", "path"),
    [("PUT", "/actors/ChatAgent/hal/method/ClearHistory"), ("POST", "/subscribe/dead")],
)
async def test_a_callback_that_breaks_off(service: DaprService, method: str, path: str):
    """A sidecar that dies while it sends a request has asked for nothing."""
    if not await service.count("hal"):
        await service.reply("hal", "hello")
    before = await service.history("hal"), (await service.http.get("/events/dead")).json()
    _, writer = await asyncio.open_connection("127.0.0.1", service.port)
    head = f"{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n"
    token = f"dapr-api-token: {service.cluster.app_token}\r\n\r\n"
    writer.write((head + token + '{"id":"half of').encode())
    await writer.drain()
    await clock.sleep(0.3)
    writer.close()
    await clock.sleep(0.7)

    after = await service.history("hal"), (await service.http.get("/events/dead")).json()
    assert after == before


async def test_the_sidecar_may_want_a_token_too(engine: Engine, tmp_path: Path):
    """With DAPR_API_TOKEN at both the service works, and the sidecar refuses others."""
    async with beside(engine, tmp_path, sidecar={"api_token": "a token"}) as service:
        await service.start()
        await service.reply("ada", "hello")
        await service.remembered("ada", "hello")
        stranger = await act(service, "ada", "GetConversationHistory", b"")

        assert stranger.status_code == 401
        assert "a token" not in service.logged()


@pytest.mark.parametrize("name", ["APP_API_TOKEN", "DAPR_API_TOKEN"])
async def test_tokens_that_differ(engine: Engine, tmp_path: Path, name: str):
    """The service is never ready; its log speaks of the token, and no log has a token in it."""
    async with beside(engine, tmp_path, sidecar={"api_token": "sidecars-own"}) as service:
        service.replica.app._env[name] = "of-another"
        service.spawn()
        service.replica.sidecar.wait_ready()
        for _ in range(12):
            assert (await service.http.get("/readyz")).status_code == 503
            await clock.sleep(0.15)
        log = service.logged()

        assert "token" in service.replica.app.log.read_text().lower()
        for secret in ("sidecars-own", "of-another", service.cluster.app_token):
            assert secret not in log


async def test_callers_do_not_share_a_turn(engine: Engine, tmp_path: Path):
    """A reentrancy id that a public caller sends does not reach the sidecar."""
    async with beside(engine, tmp_path) as service, Tap(service.replica.sidecar.http_port) as tap:
        service.replica.app._env["DAPR_HTTP_PORT"] = str(tap.port)
        await service.start()
        header = {"Dapr-Reentrancy-Id": "the-same-for-both"}
        answers = await asyncio.gather(
            *(service.http.post("/chat/ada", json=HELLO, headers=header) for _ in range(2))
        )
        await service.remembered("ada", "hi")

        assert [answer.status_code for answer in answers] == [200, 200]
        assert b"/method/ProcessMessage" in tap.seen
        assert b"reentrancy" not in tap.seen.lower()
        assert b"the-same-for-both" not in tap.seen


async def test_a_shared_reentrancy_id_is_no_way_in(service: DaprService):
    """Two callers of the sidecar's actor API that send the same one have their turns in order."""
    header = {"Dapr-Reentrancy-Id": "the-same-for-both"}
    url = service.beside("actors/ChatAgent/carl/method/ProcessMessage")
    bodies = [{"role": "user", "content": f"/slow 0.1 {number}"} for number in range(4)]
    begun = clock.monotonic()
    answers = await asyncio.gather(
        *(service.http.post(url, json=body, headers=header) for body in bodies)
    )

    assert [answer.status_code for answer in answers] == [200] * 4
    await becomes(lambda: service.count("carl"), 4)
    assert clock.monotonic() - begun >= 4 * 0.1

    history = await service.history("carl")

    assert sorted(entry["content"] for entry in history[::2]) == [
        f"/slow 0.1 {number}" for number in range(4)
    ]
    for asked, answered in zip(history[::2], history[1::2], strict=True):
        assert f"Got your message: {asked['content']} at" in answered["content"]


async def test_the_lessons_form_of_a_call(service: DaprService):
    """A bare message is answered with a bare message, and the history is a list."""
    answer = await act(service, "dora", "ProcessMessage", json.dumps(HELLO).encode())
    history = await act(service, "dora", "GetConversationHistory", b"")

    assert answer.status_code == 200
    assert set(answer.json()) == {"role", "content"}
    assert answer.json()["role"] == "assistant"
    assert history.json() == [HELLO, answer.json()]


@pytest.mark.parametrize("body", NONSENSE)
async def test_no_exception_is_told(service: DaprService, body: bytes):
    """Whatever is sent to an actor, its caller sees no repr, no trace and not what was said."""
    answer = await act(service, "fay", "ProcessMessage", body)

    assert not [word for word in ("Error(", "Traceback", "File ", SECRET) if word in answer.text]
    assert "error" in answer.text.lower()


@pytest.mark.parametrize("method", ["Nothing", "process_message", "__init__", "Nothing%20at%27all"])
async def test_an_unknown_method_is_an_error(service: DaprService, method: str):
    """It is told in our words, without the SDK's exception."""
    answer = await act(service, "fay", method, b"{}")

    assert answer.status_code >= 400
    assert "ActorMethodNotFoundError" not in answer.text
    assert "Error(" not in answer.text


async def test_logs_have_nothing_that_was_said(service: DaprService):
    """Neither the app's nor the sidecar's, whichever way it was said and whatever went wrong."""
    for said in (SECRET, f"/fail {SECRET}", f"/break {SECRET}", SECRET * 10_000):
        await service.say("gil", said)
        await act(
            service, "gil", "ProcessMessage", json.dumps({"role": "user", "content": said}).encode()
        )
    for body in NONSENSE:
        await act(service, "gil", "CompleteTurn", body)
        await act(service, "gil", "UpdateMemory", body)
    foreign = {"actor_id": "gil", "input": {"role": "user", "content": SECRET}, "output": SECRET}
    published = await service.http.post(
        service.beside("publish/daca-pubsub/user-chat"), json=foreign
    )

    assert published.status_code == 204

    async def kept() -> bool:
        return SECRET in (await service.http.get("/events/dead")).text

    await eventually(kept, "the broken event is a dead letter")
    logged = service.logged()

    assert "Serving on" in logged
    assert "dapr initialized" in logged
    assert SECRET not in logged
    assert service.cluster.app_token not in logged


class Tap:
    """Passes connections on to a port, and keeps what callers have sent."""

    def __init__(self, target: int) -> None:
        self.port = free_port()
        self.seen = b""
        self._target = target
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> "Tap":
        self._server = await asyncio.start_server(self._pass_on, "127.0.0.1", self.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            back, on = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.close()
            return
        await asyncio.gather(self._copy(reader, on, keep=True), self._copy(back, writer))

    async def _copy(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, keep: bool = False
    ) -> None:
        try:
            while data := await source.read(65_536):
                self.seen += data if keep else b""
                target.write(data)
                await target.drain()
        except OSError:
            pass
        finally:
            target.close()
