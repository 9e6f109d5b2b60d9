"""The engine itself: what a failed start says and leaves, and what outlives a run."""

import dataclasses
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from agent_actors.engine.child import Child
from agent_actors.engine.local import LocalDapr
from agent_actors.engine.ports import free_port
from agent_actors.errors import StartupError
from tests.dapr.engine import COMPONENTS, ROOT, Cluster, Engine
from tests.e2e.service import eventually
from tests.unit.engine.test_child import state

APP = [sys.executable, str(ROOT / "tests" / "dapr" / "app.py")]
BAD = """\
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {name: bad}
spec: {type: state.nowhere, version: v1}
"""


@pytest.fixture
def cluster(engine: Engine, tmp_path: Path) -> Iterator[Cluster]:
    with engine.cluster(tmp_path, command=APP) as cluster:
        yield cluster


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "dapr"
    shutil.rmtree(tmp_path / "dapr", ignore_errors=True)  # The scheduler reserves 60 MB at once.


def test_a_closed_cluster_leaves_no_process(cluster: Cluster, engine: Engine):
    """Nothing that a cluster has started is there after it was closed, frozen or not."""
    replica = cluster.start().replica().start()
    replica.sidecar.freeze()
    pids = [child.pid for child in (cluster.redis, replica.app, replica.sidecar)]

    cluster.close()

    assert [state(pid) for pid in pids] == ["", "", ""]
    assert engine.plane.placement.alive


def test_a_sidecar_that_cannot_start_says_why(cluster: Cluster):
    """The message of a sidecar that ended has the end of its log."""
    replica = cluster.start().replica()
    (cluster.components / "bad.yaml").write_text(BAD)
    replica.spawn()

    with pytest.raises(StartupError, match=r"(?s)daprd ended .*level=fatal"):
        replica.sidecar.wait_ready()


def test_a_replica_without_a_sidecar_says_why(cluster: Cluster):
    """The message of a replica that did not become ready has the logs of both its halves."""
    replica = cluster.start().replica(
        command=[sys.executable, "-c", "import time; print('deaf', flush=True); time.sleep(60)"]
    )

    with pytest.raises(StartupError, match=r"(?s)not ready within 2 s.*deaf\ndaprd: .*level=info"):
        replica.start(within=2.0)


@pytest.mark.parametrize("broken", ["redis", "placement", "scheduler", "daprd"])
def test_a_failed_start_leaves_no_process(engine: Engine, folder: Path, broken: str):
    """When a server does not start, those that did are stopped."""
    servers = dataclasses.replace(engine.require(), **{broken: Path(sys.executable)})
    dapr = LocalDapr(folder, free_port(), components=COMPONENTS, servers=servers)

    with pytest.raises(StartupError, match=f"{broken} ended"):
        dapr.__enter__()

    children = (dapr.redis, dapr.plane.placement, dapr.plane.scheduler, dapr.sidecar)
    assert [child.name for child in children if child.alive] == []


async def test_a_run_finds_what_the_run_before_has_kept(
    engine: Engine, folder: Path, tmp_path: Path
):
    """State and reminders of `LocalDapr` are in its folder, whatever ports the next run takes."""
    servers, port = engine.require(), free_port()
    app = Child([*APP, "--port", str(port)], log=tmp_path / "app.log")
    state = [{"operation": "upsert", "request": {"key": "k", "value": 7}}]

    async def ask(run: LocalDapr, method: str, path: str, **body: Any) -> httpx2.Response:
        actor = f"http://127.0.0.1:{run.sidecar.http_port}/v1.0/actors/Counter/a"
        return await http.request(method, f"{actor}/{path}", **body)

    async def called(run: LocalDapr) -> bool:
        return (await ask(run, "POST", "method/add")).status_code == 200

    async def reminded() -> bool:
        seen = (await http.get(f"http://127.0.0.1:{port}/seen")).json()
        return "a/method/remind/ring" in seen

    async with httpx2.AsyncClient(trust_env=False, timeout=10.0) as http:
        try:
            app.start()
            with LocalDapr(folder, port, components=COMPONENTS, servers=servers) as first:
                await eventually(lambda: called(first), "the actor answers")
                for path, body in (("state", state), ("reminders/ring", {"dueTime": "2s"})):
                    (await ask(first, "POST", path, json=body)).raise_for_status()
            with LocalDapr(folder, port, components=COMPONENTS, servers=servers) as second:
                await eventually(reminded, "the reminder fires")

                assert (await ask(second, "GET", "state/k")).json() == 7
        finally:
            app.kill()
