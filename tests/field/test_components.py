"""Component files that Dapr takes and that lose the service's events: refused, or named by doctor.

Sources: dapr/dapr #5634 and #7280, dapr/dotnet-sdk #1656 (two subscriptions to one topic),
dapr/docs #3337 and dapr/dapr #6415 (bulk subscriptions and their answers).
"""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent_actors.doctor.files import TOPICS, check_dapr_files, check_embedded_files
from agent_actors.doctor.finding import Context, Finding
from agent_actors.errors import StartupError
from agent_actors.routes.sidecar.subscriptions import ROUTES
from agent_actors.runtime.embedded.files import components
from agent_actors.settings import Settings
from tests.conftest import Serve
from tests.hand_clock import HandClock
from tests.unit.doctor.test_sidecar import SUBSCRIBED, TOLD, loaded

OURS = Path(__file__).parents[2] / "components"
FILES = ["message", "conversation", "messages"]


def changed(folder: Path, name: str, **spec: Any) -> Path:
    """Our component files, one of them with another `spec`."""
    shutil.copytree(OURS, folder, dirs_exist_ok=True)
    file = folder / f"{name}-subscription.yaml"
    first, *others = yaml.safe_load_all(file.read_text(encoding="utf-8"))
    first["spec"] |= spec
    file.write_text(yaml.safe_dump_all([first, *others]), encoding="utf-8")
    return folder


async def found(folder: Path, runtime: str) -> list[Finding]:
    context = Context(Settings(components=folder), runtime, HandClock(), environment={})
    return await (check_dapr_files if runtime == "dapr" else check_embedded_files)(context)


@pytest.mark.parametrize("runtime", ["dapr", "embedded"])
@pytest.mark.parametrize("name", FILES)
async def test_a_bulk_subscription_is_refused(tmp_path: Path, name: str, runtime: str):
    """Its events come in another form, which nothing here reads; so the file is named."""
    folder = changed(tmp_path, name, bulkSubscribe={"enabled": True, "maxMessagesCount": 9})
    (finding,) = await found(folder, runtime)

    assert finding.status == "FAIL"
    assert f"{name}-subscription.yaml" in finding.found
    assert "bulkSubscribe" in finding.found
    for start in (components.read, components.require_single_events):
        with pytest.raises(StartupError, match="bulkSubscribe is not supported"):
            start(folder)


async def test_a_bulk_subscription_that_is_off_is_taken(tmp_path: Path):
    """As Dapr takes it."""
    (finding,) = await found(changed(tmp_path, "message", bulkSubscribe={"enabled": False}), "dapr")

    assert finding.status == "ok"


@pytest.mark.parametrize("runtime", ["dapr", "embedded"])
@pytest.mark.parametrize("name", FILES)
async def test_a_route_that_is_not_ours_is_named_in_the_files(
    tmp_path: Path, name: str, runtime: str
):
    """The topic, where its events go, and where they belong."""
    findings = await found(changed(tmp_path, name, routes={"default": "/elsewhere"}), runtime)

    assert [each.status for each in findings] == ["warn"]
    assert "go to /elsewhere, not to /" in findings[0].found


@pytest.mark.parametrize("number", range(3))
async def test_a_route_that_is_not_ours_is_named_in_what_the_sidecar_loaded(number: int):
    """The first Subscription wins there, whatever ours says."""
    theirs = SUBSCRIBED[number] | {"rules": [{"match": "", "path": "/elsewhere"}]}
    told = TOLD | {"subscriptions": [theirs, *SUBSCRIBED]}
    (finding,) = await loaded(told)

    assert finding.status == "FAIL"
    assert str(theirs["topic"]) in finding.found
    assert "/elsewhere" in finding.found
    assert "first" in finding.advice


async def test_our_routes_are_those_of_the_service():
    """Also beside rules of others for events of their own types."""
    assert set(TOPICS.values()) < set(ROUTES)
    rules = [
        each | {"rules": [{"match": 'event.type == "x"', "path": "/x"}, {"path": TOPICS[topic]}]}
        for each in SUBSCRIBED
        if (topic := (each["pubsubname"], each["topic"])) in TOPICS
    ]
    (finding,) = await loaded(TOLD | {"subscriptions": [*SUBSCRIBED, *rules]})

    assert finding.status == "ok"


@pytest.mark.parametrize(
    "path",
    ["/subscribe", "/conversations", "/messages", "/subscribe/dead", "/messages/dead"],
)
async def test_events_in_bulk_name_what_to_remove(
    serve: Serve, caplog: pytest.LogCaptureFixture, path: str
):
    """A sidecar's metadata do not show such a Subscription: its first delivery does."""
    body: dict[str, Any] = {
        "id": "7e6e0fd8-1b5f-4c2e-9d3f-0a6f2d1c8b77",
        "type": "com.dapr.event.sent.bulk",
        "topic": "t",
        "pubsubname": "p",
        "metadata": {"pubsubName": "p"},
        "entries": [{"entryId": "1", "event": {"specversion": "1.0", "data": {"a": 1}}}],
    }
    async with serve() as served:
        answer = await served.deliver(body, path)
        dead = (await served.http.get("/events/dead")).json()["dead"]

    if path.endswith("/dead"):
        assert answer == "SUCCESS"
        assert "remove bulkSubscribe" in dead[0]["reason"]
    else:
        assert answer == "RETRY"
        assert "remove bulkSubscribe" in caplog.text
