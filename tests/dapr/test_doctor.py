"""`agent-actors doctor` beside a real sidecar: a healthy deployment, and each failure."""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from agent_actors.engine.ports import free_port
from tests.dapr.engine import COMPONENTS, Cluster, Engine, Replica
from tests.e2e import service

API_TOKEN = "sesame"


@dataclass(frozen=True)
class Diagnosis:
    """Exit code and findings of the command."""

    code: int
    findings: list[dict[str, str]]

    def of(self, check: str) -> dict[str, str]:
        """The first finding of a check."""
        return next(each for each in self.findings if each["check"] == check)

    @property
    def failed(self) -> set[str]:
        """The checks that have failed."""
        return {each["check"] for each in self.findings if each["status"] == "FAIL"}


def command(
    replica: Replica, *options: str, **given: str | None
) -> subprocess.CompletedProcess[str]:
    """The command with the environment of the replica, but for what is given."""
    settings = {
        "APP_API_TOKEN": replica.token,
        "DAPR_API_TOKEN": API_TOKEN,
        "DAPR_HTTP_PORT": str(replica.sidecar.http_port),
    } | given
    set_ones = {name: text for name, text in settings.items() if text is not None}
    return service.command("doctor", "--json", *options, **set_ones)


def doctor(replica: Replica, **given: str | None) -> Diagnosis:
    """What it finds; nothing of it is on stderr, and no token anywhere."""
    done = command(replica, **given)

    assert done.stderr == ""
    assert replica.token not in done.stdout
    assert API_TOKEN not in done.stdout
    return Diagnosis(done.returncode, json.loads(done.stdout))


@pytest.fixture(scope="module")
def replica(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replica]:
    """A service with its sidecar, as they should be; no test changes anything about them."""
    with engine.cluster(tmp_path_factory.mktemp("doctor")) as cluster:
        replica = with_token(cluster)
        cluster.start()
        yield replica


@pytest.fixture
def cluster(engine: Engine, tmp_path: Path) -> Iterator[Cluster]:
    with engine.cluster(tmp_path) as cluster:
        yield cluster


def with_token(cluster: Cluster, **settings: Any) -> Replica:
    return cluster.replica(sidecar={"api_token": API_TOKEN}, **settings)


def started_unready(cluster: Cluster, replica: Replica | None = None) -> Replica:
    """Starts a replica that will not become ready, until its sidecar is."""
    replica = replica or with_token(cluster)
    cluster.redis.start()
    cluster._started.callback(cluster.redis.kill)
    replica.spawn()
    replica.sidecar.wait_ready()
    return replica


def test_everything_is_ok(replica: Replica):
    """Each check that can be made is ok."""
    diagnosis = doctor(replica)
    status = {each["check"]: each["status"] for each in diagnosis.findings}

    assert diagnosis.code == 0
    assert status == {
        "settings": "ok",
        "python": "ok",
        "limits": "ok",
        "access": "ok",
        "sidecar": "ok",
        "components": "ok",
        "files": "skip",
        "service": "ok",
        "actors": "ok",
        "secrets": "skip",
        "model": "ok",
        "clock": "ok",
    }
    assert "statestore (state.redis v1)" in diagnosis.of("components")["found"]


def test_it_leaves_nothing_behind(replica: Replica):
    """No dead letter, no analytics, no user: it can be run as often as one likes."""
    assert doctor(replica).code == 0

    with httpx2.Client(base_url=replica.url, trust_env=False, timeout=20) as http:
        assert http.get("/events/dead").json() == {"dead": []}
        assert "doctor" not in http.get("/users").text


def test_a_wrong_token_of_the_sidecar_is_reported(replica: Replica):
    """The sidecar refuses; what needs it is not tried."""
    diagnosis = doctor(replica, DAPR_API_TOKEN="another")

    assert (diagnosis.code, diagnosis.failed) == (1, {"sidecar"})
    assert diagnosis.of("sidecar")["advice"] == "set the same DAPR_API_TOKEN for both"
    assert diagnosis.of("actors")["status"] == "skip"
    assert diagnosis.of("actors")["found"] == "the sidecar rejects our token"


def test_the_apps_token_is_not_needed(replica: Replica):
    """Doctor sends nothing to the callbacks; the service says that it has one."""
    diagnosis = doctor(replica, APP_API_TOKEN=None)

    assert diagnosis.code == 0
    assert diagnosis.of("access")["found"] == "callers need no token, says the service"


@pytest.mark.parametrize(
    ("given", "failed"),
    [
        (
            {"AGENT_ACTORS_SMS_BINDING": "twilio-binding"},
            {
                "components": "no binding 'twilio-binding'",
                "actors": "not hosted here: NotificationActor",
            },
        ),
        (
            {"AGENT_ACTORS_SECRET_STORE": "vault"},
            {"secrets": "There is no secret store 'vault'"},
        ),
        ({"DAPR_HTTP_PORT": str(free_port())}, {"sidecar": "no sidecar answers"}),
    ],
    ids=["a type that is not hosted", "an unknown secret store", "no sidecar at the port"],
)
def test_a_setting_that_the_service_does_not_have_is_reported(
    replica: Replica, given: dict[str, str], failed: dict[str, str]
):
    """Each check that it concerns fails, and says why."""
    diagnosis = doctor(replica, AGENT_ACTORS_URL=replica.url, **given)

    assert (diagnosis.code, diagnosis.failed) == (1, set(failed))
    assert all(words in diagnosis.of(check)["found"] for check, words in failed.items())


def test_no_sidecar_named_is_reported(replica: Replica):
    """The advice is to start one with `dev`."""
    done = command(replica, "--runtime", "dapr", DAPR_HTTP_PORT=None, AGENT_ACTORS_URL=replica.url)
    diagnosis = Diagnosis(done.returncode, json.loads(done.stdout))

    assert diagnosis.code == 0
    assert "`agent-actors dev --runtime dapr` starts a sidecar" in diagnosis.of("sidecar")["advice"]
    assert {diagnosis.of(each)["status"] for each in ("components", "actors")} == {"skip"}
    assert diagnosis.of("service")["status"] == "ok"


def test_a_state_store_that_is_down_is_reported(cluster: Cluster):
    """Redis is not running: state cannot be read."""
    replica = with_token(cluster)
    cluster.start()
    cluster.redis.kill()
    diagnosis = doctor(replica)

    assert diagnosis.failed == {"actors"}
    assert "ERR_ACTOR_STATE_GET" in diagnosis.of("actors")["found"]


def test_a_service_that_has_gone_is_reported(cluster: Cluster):
    """The sidecar still hosts its actors, but a call fails."""
    replica = with_token(cluster)
    cluster.start()
    replica.app.kill()
    diagnosis = doctor(replica)

    assert diagnosis.failed == {"actors"}
    assert diagnosis.of("service")["status"] == "skip"
    assert "the service is not running" in diagnosis.of("actors")["found"]


def test_a_service_that_was_not_started_is_no_failure(cluster: Cluster):
    """Sidecar, components and model are looked at before the first start."""
    replica = with_token(cluster)
    cluster._started.callback(cluster.redis.kill)
    cluster.redis.start()
    replica.sidecar.start()
    replica.sidecar.wait_outbound()
    diagnosis = doctor(replica)

    assert diagnosis.code == 0
    assert (diagnosis.of("sidecar")["status"], diagnosis.of("actors")["status"]) == ("ok", "skip")


def without(name: str) -> Callable[[Path], None]:
    return lambda files: (files / name).unlink()


def not_of_the_actors(files: Path) -> None:
    store = files / "statestore.yaml"
    store.write_text(store.read_text().replace("actorStateStore", "someOtherStore"))


@pytest.mark.parametrize(
    ("change", "failed", "said"),
    [
        (without("statestore.yaml"), {"components", "actors"}, "no state store"),
        (not_of_the_actors, {"actors"}, "actorStateStore"),
        (
            without("message-subscription.yaml"),
            {"components"},
            "no Subscription to the topic 'user-chat'",
        ),
    ],
    ids=["no state store", "a store that is not that of the actors", "no subscription"],
)
def test_component_files_that_are_wrong_are_reported(
    engine: Engine,
    tmp_path: Path,
    change: Callable[[Path], None],
    failed: set[str],
    said: str,
):
    """The service calls itself ready, and could keep or remember nothing."""
    files = shutil.copytree(COMPONENTS, tmp_path / "files")
    change(files)
    with engine.cluster(tmp_path, components=files) as cluster:
        diagnosis = doctor(started_unready(cluster))

    assert diagnosis.failed == failed
    found = [each for each in diagnosis.findings if each["status"] == "FAIL"]
    assert said in f"{found}"


def test_a_scheduler_that_has_gone_is_reported(cluster: Cluster):
    """No reminder comes any more; the service itself calls itself ready."""
    replica = with_token(cluster)
    cluster.start()
    cluster.plane.scheduler.kill()
    diagnosis = doctor(replica)

    assert diagnosis.failed == {"actors"}
    assert "ERR_ACTOR_REMINDER_GET" in diagnosis.of("actors")["found"]
    assert diagnosis.of("actors")["advice"].startswith("start the scheduler")


def test_two_tokens_that_differ_are_reported(cluster: Cluster):
    """The sidecar calls with another token than the service wants."""
    replica = with_token(cluster)
    replica.app._env["APP_API_TOKEN"] = "another"
    diagnosis = doctor(started_unready(cluster, replica))

    assert {"service", "actors"} <= diagnosis.failed
    assert "rejects the sidecar's token" in diagnosis.of("actors")["found"]
    assert diagnosis.of("actors")["advice"] == "start both with the same APP_API_TOKEN"
