"""The Configuration that is shipped with the components."""

import json
from pathlib import Path
from typing import Any

import httpx2
import pytest

from agent_actors.engine.ports import free_port
from agent_actors.engine.sidecar import SidecarProcess
from agent_actors.runtime.embedded.files.components import read
from tests.dapr.engine import COMPONENTS, CONFIGURATION, Cluster, Engine

SAID = {"role": "user", "content": "hi"}
ACTOR = "actors/ChatAgent/ada/method/GetConversationHistory"


def ask(method: str, url: str, **given: Any) -> httpx2.Response:
    """One request, not by a proxy."""
    return httpx2.request(method, url, timeout=20.0, trust_env=False, **given)


@pytest.fixture
def cluster(engine: Engine, tmp_path: Path):
    with engine.cluster(tmp_path) as cluster:
        yield cluster.start()


def test_the_sidecar_offers_no_more_than_the_service_needs(cluster: Cluster):
    """Turns work; state beside the actors, service invocation and shutdown are not there."""
    replica = cluster.replica().start()
    sidecar = f"http://127.0.0.1:{replica.sidecar.http_port}/v1.0"

    assert ask("POST", f"{replica.url}/chat/ada", json=SAID).status_code == 200
    assert ask("GET", f"{sidecar}/state/statestore/x").status_code == 404
    assert ask("GET", f"{sidecar}/invoke/agents/method/readyz").status_code == 404
    assert ask("POST", f"{sidecar}/shutdown").status_code == 404


def test_the_sidecar_takes_every_subscription(cluster: Cluster):
    """It knows those of the files, under their brokers' names, with their dead-letter topics."""
    replica = cluster.replica().start()
    told = ask("GET", f"http://127.0.0.1:{replica.sidecar.http_port}/v1.0/metadata").json()
    topics = {
        (each["pubsubname"], each["topic"]): each.get("deadLetterTopic") or None
        for each in told["subscriptions"]
    }

    assert topics == {
        (each.pubsub, each.topic): each.dead_letter_topic for each in read(COMPONENTS).subscriptions
    }


def test_no_secret_store_is_shipped(cluster: Cluster):
    """Secrets may be asked for, and nothing of the sidecar's environment is shown unasked."""
    replica = cluster.replica().start()
    secrets = f"http://127.0.0.1:{replica.sidecar.http_port}/v1.0/secrets"

    for path in ("secretstore/PATH", "secretstore/bulk"):
        answer = ask("GET", f"{secrets}/{path}")

        assert answer.status_code == 500
        assert answer.json()["errorCode"] == "ERR_SECRET_STORES_NOT_CONFIGURED"


def finding_each_other(folder: Path, base: str) -> Path:
    """A Configuration whose sidecars find each other by a file, without the network."""
    names = {"component": "sqlite", "configuration": {"connectionString": str(folder / "names.db")}}
    path = folder / f"{len(base)}.yaml"
    path.write_text(f"{base.rstrip()}\n  nameResolution: {json.dumps(names)}\n")
    return path


BARE = "apiVersion: dapr.io/v1alpha1\nkind: Configuration\nmetadata: {name: bare}\nspec:"


def only(sidecar: SidecarProcess, config: Path) -> None:
    """That file is the sidecar's whole configuration."""
    sidecar.argv = [word for word in sidecar.argv if not word.startswith("--config=")]
    sidecar.argv.append(f"--config={config}")


@pytest.mark.parametrize(("base", "status"), [(BARE, 200), (CONFIGURATION.read_text(), 403)])
def test_another_app_cannot_invoke_the_callbacks(
    cluster: Cluster, tmp_path: Path, base: str, status: int
):
    """By service invocation a sidecar would hand it on with our token, past the actor's lock."""
    replica = cluster.replica()
    only(replica.sidecar, finding_each_other(tmp_path, base))
    replica.start()
    stranger = beside(cluster, tmp_path / "stranger")
    only(stranger, finding_each_other(tmp_path, BARE))
    try:
        stranger.start()
        stranger.wait_outbound()
        invoked = f"http://127.0.0.1:{stranger.http_port}/v1.0/invoke/agents/method"

        assert ask("PUT", f"{invoked}/{ACTOR}").status_code == status
    finally:
        stranger.kill()


def beside(cluster: Cluster, folder: Path) -> SidecarProcess:
    """The sidecar of another app in the same namespace."""
    components = folder / "components"
    components.mkdir(parents=True)
    return SidecarProcess(
        cluster.binaries,
        folder,
        cluster.plane,
        app_id="stranger",
        app_port=free_port(),
        namespace=cluster.namespace,
        components=components,
    )
