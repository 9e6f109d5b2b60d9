"""The runtime: its settings, its readiness, and what it publishes."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from dapr.actor import ActorRuntime

from agent_actors.clock import SystemClock
from agent_actors.errors import AgentError, BindingFailed, Invalid, StartupError, Unavailable
from agent_actors.protocol.events import CloudEvent
from agent_actors.runtime import DeliveryResponse, Headers, dapr
from agent_actors.runtime.dapr import DaprRuntime
from agent_actors.settings import Settings
from tests.unit.runtime.dapr.conftest import FakeSidecar, Handler


def beside(port: int) -> Settings:
    """The settings of a process with a sidecar."""
    return Settings().model_copy(update={"dapr_http_port": port})


@pytest.fixture
async def runtime(
    daprd: FakeSidecar, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[DaprRuntime]:
    monkeypatch.setattr(dapr, "CALL_TIME", 0.3)
    made = DaprRuntime.open(beside(daprd.port), SystemClock())

    async def deliver(_path: str, _body: bytes, _headers: Headers = ()) -> DeliveryResponse:
        raise AssertionError

    await made.start(deliver, lambda: None)
    yield made
    await made.stop()


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"dapr_http_port": None}, "DAPR_HTTP_PORT"),
        # Dapr counts it from the start of a turn, and cuts a turn that takes longer.
        ({"idle_timeout": 1.0}, "IDLE_TIMEOUT"),
        # Callbacks would be open to whoever reaches the port (I12).
        ({"require_token": True}, "APP_API_TOKEN"),
    ],
    ids=lambda given: "" if isinstance(given, str) else next(iter(given)),
)
def test_settings_that_cannot_work_beside_a_sidecar_stop_the_start(
    settings: dict[str, Any], named: str
):
    """The text names the setting."""
    with pytest.raises(StartupError, match=named):
        DaprRuntime.open(beside(1).model_copy(update=settings), SystemClock())


async def test_an_event_carries_its_own_id_and_type(runtime: DaprRuntime, daprd: FakeSidecar):
    """The broker's ids would differ each time an event is published again (I4)."""
    published = published_to(daprd)
    event = CloudEvent("e-1", "agent-actors", "ConversationUpdated", "a b", {"text": "ü"})
    await runtime.publish("daca-pubsub", "user-chat", event)
    seen = published()
    assert json.loads(seen.body) == {"text": "ü"}
    assert seen.headers["Content-Type"] == "application/json"
    assert seen.path == (
        "/v1.0/publish/daca-pubsub/user-chat?metadata.cloudevent.id=e-1"
        "&metadata.cloudevent.source=agent-actors&metadata.cloudevent.type=ConversationUpdated"
        "&metadata.cloudevent.subject=a+b"
    )


def published_to(daprd: FakeSidecar):
    """What was published; the watch's own requests are not it."""
    return lambda: next(seen for seen in daprd.seen if "publish" in seen.path)


async def test_a_broker_that_fails_is_unavailable(runtime: DaprRuntime, daprd: FakeSidecar):
    """The event is published again by the recovery reminder."""

    async def fail(_request: web.Request) -> web.Response:
        return web.Response(status=500, body=b'{"errorCode":"ERR_PUBSUB_PUBLISH_MESSAGE"}')

    daprd.handler = fail
    with pytest.raises(Unavailable):
        await runtime.publish("p", "t", CloudEvent("e", "s", "t", "s", 1))


class Hosting:
    """A sidecar that says it hosts, and answers calls of some types."""

    def __init__(self, *, ready: bool = True, deaf: str = "") -> None:
        self.ready = ready
        self.deaf = deaf

    async def answer(self, request: web.Request) -> web.Response:
        if "/method/" in request.path:
            failed = self.deaf and self.deaf in request.path
            return web.Response(status=500 if failed else 200, body=b"true")
        told = {"hostReady": self.ready, "runtimeStatus": "RUNNING", "placement": "placement: x"}
        return web.Response(body=json.dumps({"actorRuntime": told}).encode())


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    types = ["ChatAgent", "MemoryAgentActor"]
    monkeypatch.setattr(ActorRuntime, "get_registered_actor_types", lambda: types)


@pytest.mark.usefixtures("registered")
async def test_it_is_ready_when_actors_of_every_type_answer(
    runtime: DaprRuntime, daprd: FakeSidecar
):
    """The sidecar's `hostReady` alone stays true when the app is gone."""
    daprd.handler = Hosting().answer
    assert await runtime.unready() is None
    daprd.handler = Hosting(deaf="MemoryAgentActor").answer
    assert await runtime.unready() == "Actors of type MemoryAgentActor cannot be called."


@pytest.mark.usefixtures("registered")
async def test_it_is_not_ready_before_the_sidecar_hosts(runtime: DaprRuntime, daprd: FakeSidecar):
    """Nobody is pinged then: each call would wait for placement."""
    daprd.handler = Hosting(ready=False).answer
    assert "placement: x" in str(await runtime.unready())
    assert not [seen for seen in daprd.seen if "/method/" in seen.path]


async def test_it_is_not_ready_without_a_sidecar():
    """The service starts before its sidecar, and says that it waits for it."""
    alone = DaprRuntime.open(beside(1), SystemClock())

    async def deliver(_path: str, _body: bytes, _headers: Headers = ()) -> DeliveryResponse:
        raise AssertionError

    await alone.start(deliver, lambda: None)
    assert await alone.unready() == "The sidecar cannot be reached; try again."
    await alone.stop()
    assert await alone.unready() == "The service is stopping."


async def test_a_binding_is_invoked(runtime: DaprRuntime, daprd: FakeSidecar):
    """Operation, data and metadata go as Dapr wants them; what it answers comes back."""

    async def echo(request: web.Request) -> web.Response:
        return web.Response(body=await request.read())

    daprd.handler = echo
    answer = await runtime.invoke_binding("sms", "create", "hi", {"toNumber": "+1"})
    assert json.loads(answer) == {
        "operation": "create",
        "data": "hi",
        "metadata": {"toNumber": "+1"},
    }


@pytest.mark.parametrize(
    ("code", "words", "kind", "told"),
    [
        (
            "ERR_INVOKE_OUTPUT_BINDING",
            "error from Twilio (400): AC123 +1555",
            BindingFailed,
            "What the binding 'sms' speaks to has answered 400.",
        ),
        (
            "ERR_INVOKE_OUTPUT_BINDING",
            "dial tcp: lookup api.twilio.com",
            BindingFailed,
            "The binding 'sms' could not reach what it speaks to, or refused.",
        ),
        (
            "ERR_INVOKE_OUTPUT_BINDING",
            "error invoking output binding sms: couldn't find output binding sms",
            BindingFailed,
            "The sidecar has no output binding 'sms'.",
        ),
        # Nobody answers for these two, so the binding may have done it.
        ("ERR_OTHER", "", Unavailable, ""),
        ("", "", Unavailable, ""),
    ],
)
async def test_a_binding_that_fails_says_so(
    runtime: DaprRuntime,
    daprd: FakeSidecar,
    caplog: pytest.LogCaptureFixture,
    code: str,
    words: str,
    kind: type[AgentError],
    told: str,
):
    """Of the sidecar's words a status is repeated, and nothing logged."""
    caplog.set_level("DEBUG")
    daprd.handler = tells(failed(code, words) if code else (500, None), about="bindings")

    with pytest.raises(kind) as error:
        await runtime.invoke_binding("sms", "create", "hi", {"toNumber": "+1555"})
    assert not told or error.value.detail == told
    assert "+1555" not in caplog.text
    assert "AC123" not in caplog.text


def tells(*answers: tuple[int, object], about: str = "secrets") -> Handler:
    """A sidecar that answers to questions about one thing in turn, and to others nothing."""
    left = list(answers)

    async def tell(request: web.Request) -> web.Response:
        status, told = left.pop(0) if about in request.path else (200, {})
        return web.Response(status=status, body=json.dumps(told).encode())

    return tell


def failed(code: str, words: str = "") -> tuple[int, object]:
    return 500, {"errorCode": code, "message": words}


@pytest.mark.parametrize(
    ("answer", "secret"),
    [
        ({"key": "v"}, "v"),
        ({"key": ""}, None),
        ({"key": "v", "other": "x"}, "v"),
        ({"other": "x"}, None),
        ({"key": {"key": "v"}}, None),
    ],
    ids=["one", "empty, as an unset variable", "several", "of another name", "no text"],
)
async def test_a_secret_is_the_text_of_its_own_name(
    runtime: DaprRuntime, daprd: FakeSidecar, answer: dict[str, Any], secret: str | None
):
    """A secret of Kubernetes has values of any names."""
    daprd.handler = tells((200, answer))

    assert await runtime.get_secret("store", "key") == secret


async def test_a_secret_that_is_not_there_is_none(runtime: DaprRuntime, daprd: FakeSidecar):
    """Some stores say it by failing; only these words mean that, and only of that name."""
    said = "failed getting secret with key key from secret store store: "
    for words in ("secret key not found", 'secrets "key" not found'):
        daprd.handler = tells(failed("ERR_SECRET_GET", said + words))

        assert await runtime.get_secret("store", "key") is None

    for words in ("secret other not found", "host not found", ""):
        daprd.handler = tells(failed("ERR_SECRET_GET", said + words))
        with pytest.raises(Unavailable):
            await runtime.get_secret("store", "key")


async def test_an_unknown_secret_store_is_refused(runtime: DaprRuntime, daprd: FakeSidecar):
    """Whether there are others or none; it is not the sidecar that refuses this service."""
    none = failed("ERR_SECRET_STORES_NOT_CONFIGURED")
    daprd.handler = tells((401, {"errorCode": "ERR_SECRET_STORE_NOT_FOUND"}), none)
    for _ in range(2):
        with pytest.raises(Invalid, match="no secret store 'store'"):
            await runtime.get_secret("store", "key")


def test_without_a_token_it_warns(caplog: pytest.LogCaptureFixture):
    """Once, at the start; `dapr run` sets no token by itself."""
    DaprRuntime.open(beside(1), SystemClock())

    assert "APP_API_TOKEN is not set" in caplog.text
