"""The sidecar and what it hosts, as `doctor` sees them. A real one is asked in tests/dapr."""

import os
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from dapr.actor import ActorRuntime

from agent_actors.app import create_app
from agent_actors.doctor.actors import actor_types, check_actors
from agent_actors.doctor.checks import open_checks
from agent_actors.doctor.finding import Context, Finding
from agent_actors.doctor.sidecar import check_components, check_no_sidecar, check_sidecar
from agent_actors.engine.binaries import SERVERS, VARIABLE
from agent_actors.engine.ports import free_port
from agent_actors.runtime.dapr.sidecar import SidecarClient
from agent_actors.settings import Settings
from tests.conftest import Serve
from tests.unit.doctor.conftest import context, only
from tests.unit.runtime.dapr.conftest import FakeSidecar

SETTINGS = Settings()
HOSTED = {
    "runtimeStatus": "RUNNING",
    "hostReady": True,
    "placement": "placement: connected",
    "activeActors": [{"type": each} for each in actor_types(SETTINGS)],
}
STORE = {"name": "statestore", "type": "state.redis", "version": "v1", "capabilities": ["ACTOR"]}
BROKERS = [
    {"name": name, "type": "pubsub.redis", "version": "v1"} for name in ("daca-pubsub", "pubsub")
]
TOPICS = [("daca-pubsub", "user-chat"), ("pubsub", "conversations"), ("pubsub", "messages")]
SUBSCRIBED = [
    {"pubsubname": pubsub, "topic": topic, "deadLetterTopic": f"{topic}-dead"}
    for pubsub, topic in TOPICS
]
TOLD: dict[str, Any] = {
    "id": "agents",
    "runtimeVersion": "1.18.0",
    "components": [STORE, *BROKERS],
    "subscriptions": SUBSCRIBED,
    "actorRuntime": HOSTED,
}


POD = {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}


def dapr(settings: Settings = SETTINGS, **given: Any) -> Context:
    return context(settings, "dapr", **given)


async def ask(sidecar: SidecarClient, seen: Context) -> Finding:
    return only(await check_sidecar(seen, sidecar))


async def test_a_sidecar_that_is_new_enough_is_ok(daprd: FakeSidecar, sidecar: SidecarClient):
    """Its metadata are kept for later checks."""
    seen = dapr()
    daprd.answers = [(200, TOLD), (204, None)]

    assert (await ask(sidecar, seen)).status == "ok"
    assert seen.metadata == TOLD


@pytest.mark.parametrize(
    ("answers", "words", "silent"),
    [
        (
            [(200, TOLD | {"runtimeVersion": "1.17.9"}), (204, None)],
            "older than 1.18",
            "the sidecar is too old",
        ),
        ([(200, TOLD), (500, None)], "is not ready (healthz 500)", "the sidecar is not ready"),
        ([(401, None)], "DAPR_API_TOKEN", "the sidecar rejects our token"),
        ([(404, None)], "is not a sidecar", "the sidecar does not answer"),
        ([(500, None)], "returned an error", "the sidecar does not answer"),
    ],
)
async def test_a_sidecar_that_cannot_be_used_is_reported(
    daprd: FakeSidecar,
    sidecar: SidecarClient,
    answers: list[tuple[int, Any]],
    words: str,
    silent: str,
):
    """Its metadata are not used, and later checks are skipped with the reason."""
    seen = dapr()
    daprd.answers = answers
    found = await ask(sidecar, seen)

    assert found.status == "FAIL"
    assert words in found.found
    assert (seen.metadata, seen.no_metadata) == (None, silent)


@pytest.mark.parametrize(
    ("in_pod", "advice"),
    [(False, "`dapr run --dapr-http-port {port} …`"), (True, "container daprd")],
)
async def test_a_sidecar_that_is_away_is_started_by_whom_it_belongs_to(
    *, in_pod: bool, advice: str
):
    """By hand, or as a container of the pod: each has its own remedy."""
    port = free_port()
    away = SidecarClient(port, None, 5.0)
    await away.start()
    settings = Settings(dapr_http_port=port)
    found = await ask(away, dapr(settings, environment=POD if in_pod else {}))
    await away.stop()

    assert found.status == "FAIL"
    assert f"no sidecar answers on port {port}" in found.found
    assert advice.format(port=port) in found.advice


async def test_an_own_build_is_new_enough(daprd: FakeSidecar, sidecar: SidecarClient):
    """Its version is no number."""
    daprd.answers = [(200, TOLD | {"runtimeVersion": "edge"}), (204, None)]

    assert (await ask(sidecar, dapr())).status == "ok"


async def test_no_sidecar_and_no_dapr_is_a_failure(monkeypatch: pytest.MonkeyPatch):
    """There is nothing that `dev` could start, either."""
    monkeypatch.setenv(VARIABLE, "/nowhere")
    found = only(await check_no_sidecar(dapr()))

    assert found.status == "FAIL"
    assert "/nowhere" in found.found
    assert found.advice.startswith("run `make engine`")


async def test_a_dapr_that_is_here_can_be_started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """No failure: `dev` starts it; the advice is that alone."""
    for name in (*SERVERS, "redis-server"):
        (tmp_path / name).write_text("#!/bin/sh\necho 1.18.7\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    found = only(await check_no_sidecar(dapr()))

    assert (found.status, found.found) == ("warn", "DAPR_HTTP_PORT is not set")
    assert found.advice.startswith(
        "`agent-actors dev --runtime dapr` starts a sidecar (Dapr 1.18.7)"
    )


async def test_a_pod_without_a_sidecar_is_a_failure():
    """Nobody starts one in it by hand; the injector puts it there."""
    found = only(await check_no_sidecar(dapr(environment=POD)))

    assert found.status == "FAIL"
    assert "injector" in found.advice


async def test_without_a_sidecar_its_checks_are_skipped():
    """Each has a line with the reason; no line is missing."""
    given = dapr()
    async with open_checks(given) as checks:
        found = [only(await checks[name](given)) for name in ("components", "actors")]

    assert found == [
        Finding(name, "skip", "the sidecar does not answer") for name in ("components", "actors")
    ]


async def loaded(told: dict[str, Any] | None, **settings: Any) -> list[Finding]:
    return await check_components(dapr(Settings(**settings), metadata=told))


async def test_what_is_loaded_is_named():
    """With its type and version."""
    (found,) = await loaded(TOLD)

    assert found.status == "ok"
    assert "statestore (state.redis v1)" in found.found


async def test_each_thing_that_is_missing_is_a_line():
    """State store, brokers, subscriptions, and the binding that the settings name."""
    told = TOLD | {"components": [], "subscriptions": []}
    found = await loaded(told, sms_binding="twilio")

    assert [each.status for each in found] == ["FAIL"] * 7
    assert len({each.found for each in found}) == 7


async def test_a_subscription_without_a_dead_letter_topic_is_a_warning():
    """What cannot be applied would be lost."""
    first = SUBSCRIBED[0] | {"deadLetterTopic": ""}
    (found,) = await loaded(TOLD | {"subscriptions": [first, *SUBSCRIBED[1:]]})

    assert found.status == "warn"
    assert "user-chat" in found.found


async def placed(sidecar: SidecarClient, **changes: Any) -> Finding:
    told = TOLD | {"actorRuntime": HOSTED | changes}
    seen = dapr(metadata=told, service="http://127.0.0.1:1")
    return only(await check_actors(seen, sidecar))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"activeActors": []}, "hosts none"),
        ({"runtimeStatus": "INITIALIZING"}, "the placement table is INITIALIZING"),
        ({"hostReady": False}, "the placement table is RUNNING"),
        ({"activeActors": [{"type": "ChatAgent"}]}, "not hosted here: ResponseAgent"),
    ],
)
async def test_actors_without_a_place_are_reported(
    daprd: FakeSidecar, sidecar: SidecarClient, changes: dict[str, Any], words: str
):
    """No actor is called then."""
    found = await placed(sidecar, **changes)

    assert found.status == "FAIL"
    assert words in found.found
    assert not daprd.seen


async def test_a_service_that_does_not_run_hosts_nothing(sidecar: SidecarClient):
    """That is no failure: doctor is asked before the start, too."""
    seen = dapr(metadata=TOLD | {"actorRuntime": HOSTED | {"activeActors": []}})
    found = only(await check_actors(seen, sidecar))

    assert found.status == "skip"


def told(code: str, message: str) -> web.Response:
    return web.json_response({"errorCode": code, "message": message}, status=500)


@pytest.mark.parametrize(
    ("part", "code", "message", "words"),
    [
        ("Ping", "ERR_X", "error from actor service: (403) …", "rejects the sidecar's token"),
        ("Ping", "ERR_X", "dial tcp: connect: connection refused", "the service is not running"),
        ("Ping", "ERR_X", "somebody said hush", "cannot be called: ERR_X"),
        ("state", "ERR_ACTOR_STATE_GET", "hush", "(ERR_ACTOR_STATE_GET)"),
        ("reminders", "ERR_ACTOR_REMINDER_GET", "hush", "(ERR_ACTOR_REMINDER_GET)"),
    ],
)
async def test_actors_that_cannot_be_used_are_reported(
    daprd: FakeSidecar, sidecar: SidecarClient, part: str, code: str, message: str, words: str
):
    """Only the sidecar's error code is quoted: its message may contain messages of users."""

    async def answer(request: web.Request) -> web.Response:
        return told(code, message) if part in request.path else web.json_response(True)

    daprd.handler = answer
    found = await placed(sidecar)

    assert found.status == "FAIL"
    assert words in found.found
    assert "hush" not in f"{found}"


async def test_nothing_is_read_where_no_store_is_loaded(daprd: FakeSidecar, sidecar: SidecarClient):
    """Dapr 1.18 fails inside when it is asked to."""
    seen = dapr(metadata=TOLD | {"components": BROKERS})
    found = only(await check_actors(seen, sidecar))

    assert found.status == "FAIL"
    assert not any("/state/" in each.path for each in daprd.seen)


async def test_each_type_is_called_by_an_unused_id(daprd: FakeSidecar, sidecar: SidecarClient):
    """No conversation can have that id."""
    found = await placed(sidecar)
    called = [each.path for each in daprd.seen if "/method/" in each.path]

    assert found.status == "ok"
    assert sorted(called) == sorted(
        f"/v1.0/actors/{name}/~ready/method/Ping" for name in actor_types(SETTINGS)
    )


@pytest.mark.parametrize("sms", [None, "twilio-binding"])
async def test_the_types_are_those_that_a_replica_registers(fresh_registry: None, sms: str | None):
    """One that is added to the service is added to what is looked at."""
    settings = Settings(dapr_http_port=1, app_api_token="secret", sms_binding=sms)
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        assert sorted(actor_types(settings)) == sorted(ActorRuntime.get_registered_actor_types())


async def test_the_types_of_the_embedded_runtime_are_those_that_it_registers(serve: Serve):
    """It needs no actor for dead letters."""
    async with serve() as served:
        known = actor_types(served.services.settings, dapr=False)

        assert sorted(known) == sorted(ActorRuntime.get_registered_actor_types())
