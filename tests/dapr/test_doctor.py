"""`agent-actors doctor` beside a real sidecar: what is right, and each thing that is not."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from agent_actors.engine.child import environment
from agent_actors.engine.ports import free_port
from tests.dapr.engine import COMPONENTS, ROOT, Cluster, Engine, Replica

API_TOKEN = "sesame"
LIMIT = 60.0


@dataclass(frozen=True)
class Told:
    """What the command said."""

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
        "PYTHONPATH": f"{ROOT / 'src'}",
    } | given
    return subprocess.run(
        [sys.executable, "-m", "agent_actors", "doctor", "--json", *options],
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT,
        env=environment(**{name: text for name, text in settings.items() if text is not None}),
    )


def doctor(replica: Replica, **given: str | None) -> Told:
    """What it finds; nothing of it is on stderr, and no token anywhere."""
    done = command(replica, **given)

    assert done.stderr == ""
    assert replica.token not in done.stdout
    assert API_TOKEN not in done.stdout
    return Told(done.returncode, json.loads(done.stdout))


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


def started_unready(cluster: Cluster) -> Replica:
    """A replica that will not be ready, at the time when its sidecar has heard from it."""
    replica = with_token(cluster)
    cluster.redis.start()
    cluster._started.callback(cluster.redis.kill)
    replica.spawn()
    replica.sidecar.wait_ready()
    return replica


def test_everything_is_ok(replica: Replica):
    """Each check that can be made is ok, and the event has really come back."""
    told = doctor(replica)
    status = {each["check"]: each["status"] for each in told.findings}

    assert told.code == 0
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
        "broker": "ok",
        "secrets": "skip",
        "model": "ok",
        "clock": "ok",
    }
    assert "an event came back after" in told.of("broker")["found"]
    assert "statestore (state.redis v1)" in told.of("components")["found"]


def test_it_leaves_nothing_behind(replica: Replica):
    """No dead letter, no analytics, no user: it can be run as often as one likes."""
    assert doctor(replica).code == 0

    with httpx2.Client(base_url=replica.url, trust_env=False, timeout=20) as http:
        assert http.get("/events/dead").json() == {"dead": []}
        assert "doctor" not in http.get("/users").text


def test_a_wrong_token_of_the_sidecar_is_said(replica: Replica):
    """The sidecar refuses; what needs it is not tried."""
    told = doctor(replica, DAPR_API_TOKEN="another")

    assert told.code == 1
    assert told.failed == {"sidecar"}
    assert told.of("sidecar")["advice"] == "give both the same DAPR_API_TOKEN"
    assert told.of("actors")["status"] == "skip"
    assert told.of("actors")["found"] == "the sidecar refuses us"


def test_a_wrong_token_of_the_app_is_said(replica: Replica):
    """The service does not let doctor ask; without any token that is no failure of the service."""
    wrong = doctor(replica, APP_API_TOKEN="another")

    assert wrong.failed == {"broker"}
    assert "refuses our APP_API_TOKEN" in wrong.of("broker")["found"]
    assert doctor(replica, APP_API_TOKEN=None).of("broker")["status"] == "skip"


def test_a_type_that_is_not_hosted_is_named(replica: Replica):
    """Doctor was given a setting that the service does not have."""
    told = doctor(replica, AGENT_ACTORS_SMS_BINDING="twilio-binding")

    assert told.failed == {"components", "actors"}
    assert "no binding 'twilio-binding'" in told.of("components")["found"]
    assert told.of("actors")["found"] == "not hosted here: NotificationActor"


def test_a_secret_store_that_is_not_there_is_said(replica: Replica):
    """The sidecar knows no such store, and so there is no key for a model."""
    told = doctor(replica, AGENT_ACTORS_SECRET_STORE="vault")

    assert told.failed == {"secrets", "model"}
    assert told.of("secrets")["found"] == "There is no secret store 'vault'"


def test_a_sidecar_that_is_gone_is_said(replica: Replica):
    """Nobody answers on its port."""
    told = doctor(replica, DAPR_HTTP_PORT=str(free_port()), AGENT_ACTORS_URL=replica.url)

    assert told.code == 1
    assert told.failed == {"sidecar"}
    assert "none can be reached" in told.of("sidecar")["found"]
    assert told.of("broker")["status"] == "skip"


def test_no_sidecar_named_is_said(replica: Replica):
    """There is a Dapr that `dev` starts, and that is said, too."""
    done = command(replica, "--runtime", "dapr", DAPR_HTTP_PORT=None, AGENT_ACTORS_URL=replica.url)
    told = Told(done.returncode, json.loads(done.stdout))

    assert told.code == 0
    assert "`agent-actors dev --runtime dapr` starts one" in told.of("sidecar")["advice"]
    assert {told.of(each)["status"] for each in ("components", "actors", "broker")} == {"skip"}
    assert told.of("service")["status"] == "ok"


def test_a_broker_that_is_down_is_said(cluster: Cluster):
    """Redis has gone: state cannot be read, and no event is taken."""
    replica = with_token(cluster)
    cluster.start()
    cluster.redis.kill()
    told = doctor(replica)

    assert told.failed == {"actors", "broker"}
    assert "ERR_ACTOR_STATE_GET" in told.of("actors")["found"]
    assert "takes no event" in told.of("broker")["found"]


def test_a_service_that_has_gone_is_said(cluster: Cluster):
    """The sidecar goes on to host its actors; a call finds that nobody is there."""
    replica = with_token(cluster)
    cluster.start()
    replica.app.kill()
    told = doctor(replica)

    assert told.failed == {"actors"}
    assert told.of("service")["status"] == "skip"
    assert "the service has gone" in told.of("actors")["found"]


def test_a_service_that_was_not_started_is_no_failure(cluster: Cluster):
    """Sidecar, components and model are looked at before the first start."""
    replica = with_token(cluster)
    cluster._started.callback(cluster.redis.kill)
    cluster.redis.start()
    replica.sidecar.start()
    replica.sidecar.wait_outbound()
    told = doctor(replica)

    assert told.code == 0
    assert (told.of("sidecar")["status"], told.of("actors")["status"]) == ("ok", "skip")
    assert told.of("broker")["status"] == "skip"


def test_a_missing_state_store_is_said(engine: Engine, tmp_path: Path):
    """The service calls itself ready, and could keep nothing."""
    files = shutil.copytree(COMPONENTS, tmp_path / "files")
    (files / "statestore.yaml").unlink()
    with engine.cluster(tmp_path, components=files) as cluster:
        told = doctor(started_unready(cluster))

    assert "components" in told.failed
    assert "no state store" in told.of("components")["found"]
    assert "actors" in told.failed


def test_a_state_store_that_is_not_that_of_the_actors_is_said(engine: Engine, tmp_path: Path):
    """The sidecar shows the store, but not whether actors are kept in it; a read tells."""
    files = shutil.copytree(COMPONENTS, tmp_path / "files")
    store = files / "statestore.yaml"
    store.write_text(store.read_text().replace("actorStateStore", "someOtherStore"))
    with engine.cluster(tmp_path, components=files) as cluster:
        told = doctor(started_unready(cluster))

    assert told.failed == {"actors"}
    assert "actorStateStore" in told.of("actors")["advice"]


def test_a_missing_subscription_is_said(engine: Engine, tmp_path: Path):
    """Nothing would be remembered; the event that was sent does not come back."""
    files = shutil.copytree(COMPONENTS, tmp_path / "files")
    (files / "message-subscription.yaml").unlink()
    with engine.cluster(tmp_path, components=files) as cluster:
        told = doctor(started_unready(cluster))

    assert told.failed == {"components", "broker"}
    assert "no Subscription to the topic 'user-chat'" in told.of("components")["found"]
    assert "did not come back" in told.of("broker")["found"]


def test_a_scheduler_that_has_gone_is_said(cluster: Cluster):
    """No reminder comes any more; the service itself calls itself ready."""
    replica = with_token(cluster)
    cluster.start()
    cluster.plane.scheduler.kill()
    told = doctor(replica)

    assert told.failed == {"actors"}
    assert "ERR_ACTOR_REMINDER_GET" in told.of("actors")["found"]
    assert told.of("actors")["advice"].startswith("start the scheduler")


def test_two_tokens_that_differ_are_said(cluster: Cluster):
    """The sidecar calls with another token than the service wants."""
    replica = with_token(cluster)
    replica.app._env["APP_API_TOKEN"] = "another"
    cluster.redis.start()
    cluster._started.callback(cluster.redis.kill)
    replica.spawn()
    replica.sidecar.wait_ready()
    told = doctor(replica)

    assert {"service", "actors"} <= told.failed
    assert "refuses the sidecar's token" in told.of("actors")["found"]
    assert told.of("actors")["advice"] == "start both with the same APP_API_TOKEN"


def test_every_replica_can_be_asked(cluster: Cluster):
    """With two, an event may go to the other; doctor sends until one has come to this one."""
    replicas = [with_token(cluster) for _ in range(2)]
    cluster.start()

    for replica in replicas:
        assert doctor(replica).of("broker")["status"] == "ok"
