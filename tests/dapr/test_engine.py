"""The engine itself: real Dapr starts, fails, comes back and goes away as tests need it."""

import dataclasses
import os
import shutil
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import httpx2
import pytest

from agent_actors.engine.child import Child
from agent_actors.engine.local import LocalDapr
from agent_actors.engine.ports import free_port
from agent_actors.engine.redis import RedisServer
from agent_actors.errors import StartupError
from tests.dapr.engine import COMPONENTS, ROOT, Cluster, Engine, Replica

APP = [sys.executable, str(ROOT / "tests" / "dapr" / "app.py")]
DEADLINE = 20.0
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
def http() -> Iterator[httpx2.Client]:
    with httpx2.Client(trust_env=False, timeout=10.0) as client:
        yield client


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "dapr"
    shutil.rmtree(tmp_path / "dapr", ignore_errors=True)  # The scheduler reserves 60 MB at once.


def actor(port: int, actor_id: str, path: str) -> str:
    return f"http://127.0.0.1:{port}/v1.0/actors/Counter/{actor_id}/{path}"


def called(http: httpx2.Client, replica: Replica, actor_id: str) -> Any:
    """The answer of the actor, which is how often it was called; None if there was no answer."""
    return calls(http, replica.sidecar.http_port, actor_id)


def calls(http: httpx2.Client, sidecar: int, actor_id: str) -> Any:
    """The same, through the sidecar at that port."""
    try:
        answer = http.post(actor(sidecar, actor_id, "method/add"))
    except httpx2.TransportError:
        return None
    return answer.json() if answer.status_code == 200 else None


def reminded(http: httpx2.Client, port: int) -> bool:
    seen: dict[str, int] = http.get(f"http://127.0.0.1:{port}/seen").json()
    return "a/method/remind/ring" in seen


def eventually(holds: Callable[[], object], within: float = DEADLINE) -> None:
    end, pause = monotonic() + within, threading.Event()
    while not holds():
        assert monotonic() < end, "it did not happen in time"
        pause.wait(0.05)


def redis_says(redis: RedisServer, command: str) -> str:
    with socket.create_connection(("127.0.0.1", redis.port), 5.0) as connection:
        connection.sendall(f"{command}\r\n".encode())
        return connection.recv(1000).decode()


def gone(pid: int | None) -> bool:
    assert pid is not None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_an_actor_is_one_for_all_replicas(cluster: Cluster, http: httpx2.Client):
    """Calls through every sidecar reach the same actor, wherever placement has put it."""
    one, two = cluster.replica(), cluster.replica()
    cluster.start()

    eventually(lambda: called(http, one, "warm") and called(http, two, "warm"))
    counts = [called(http, replica, "a") for replica in (one, two, one, two)]

    assert counts == [1, 2, 3, 4]


def test_clusters_do_not_see_each_other(
    engine: Engine, cluster: Cluster, tmp_path: Path, http: httpx2.Client
):
    """Two clusters on the one control plane have actors of their own under the same ids."""
    here = cluster.start().replica().start()
    with engine.cluster(tmp_path / "other", command=APP) as other:
        there = other.start().replica().start()

        eventually(lambda: called(http, here, "a"))
        eventually(lambda: called(http, there, "b"))

        assert called(http, there, "a") == 1


def test_a_killed_sidecar_comes_back(cluster: Cluster, http: httpx2.Client):
    """A sidecar that was killed serves the same app on the same port when it is started again."""
    replica = cluster.start().replica().start()
    eventually(lambda: called(http, replica, "a"))

    replica.sidecar.kill()

    assert called(http, replica, "a") is None

    replica.sidecar.start()
    replica.sidecar.wait_ready()
    eventually(lambda: called(http, replica, "a"))


def test_a_frozen_sidecar_thaws(cluster: Cluster, http: httpx2.Client):
    """A frozen sidecar does not answer, and does when it is thawed."""
    replica = cluster.start().replica().start()
    eventually(lambda: called(http, replica, "a"))
    url = f"http://127.0.0.1:{replica.sidecar.http_port}/v1.0/healthz"

    def silent() -> bool:
        try:
            http.get(url, timeout=0.3)
        except httpx2.TimeoutException:
            return True
        return False

    replica.sidecar.freeze()
    eventually(silent)  # One that was busy may answer once more.
    replica.sidecar.thaw()

    assert http.get(url).status_code == 204


def test_redis_keeps_its_data(engine: Engine, tmp_path: Path):
    """What Redis has answered is there after a kill and a restart, on the same port."""
    redis = RedisServer(engine.require().redis, tmp_path)
    try:
        redis.start()
        redis_says(redis, "SET a 1")
        redis.kill()
        redis.start()

        assert redis_says(redis, "GET a").split() == ["$1", "1"]
    finally:
        redis.kill()


def test_a_reminder_survives_the_scheduler(engine: Engine, cluster: Cluster, http: httpx2.Client):
    """A reminder fires though the scheduler was away when it was due.

    It is stopped and not killed: the successor of a killed one waits 20 s before it takes over.
    """
    replica = cluster.start().replica().start()
    eventually(lambda: called(http, replica, "a"))
    reminder = actor(replica.sidecar.http_port, "a", "reminders/ring")
    answer = http.post(reminder, json={"dueTime": "1s"})

    assert answer.status_code == 204, answer.text

    engine.plane.scheduler.stop()
    engine.plane.scheduler.start()

    eventually(lambda: reminded(http, replica.port), within=40.0)


def test_a_closed_cluster_leaves_no_process(cluster: Cluster, engine: Engine):
    """Nothing that a cluster has started is there after it was closed, frozen or not."""
    replica = cluster.start().replica().start()
    replica.sidecar.freeze()
    pids = [child.pid for child in (cluster.redis, replica.app, replica.sidecar)]

    cluster.close()

    assert [gone(pid) for pid in pids] == [True, True, True]
    assert engine.plane.placement.alive


def test_a_sidecar_that_cannot_start_says_why(cluster: Cluster, tmp_path: Path):
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


def test_a_run_finds_what_the_run_before_has_kept(
    engine: Engine, folder: Path, tmp_path: Path, http: httpx2.Client
):
    """State and reminders of `LocalDapr` are in its folder, whatever ports the next run takes."""
    servers, port = engine.require(), free_port()
    app = Child([*APP, "--port", str(port)], log=tmp_path / "app.log")
    state = [{"operation": "upsert", "request": {"key": "k", "value": 7}}]
    try:
        app.start()
        with LocalDapr(folder, port, components=COMPONENTS, servers=servers) as first:
            eventually(lambda: calls(http, first.sidecar.http_port, "a"))
            at = first.sidecar.http_port
            http.post(actor(at, "a", "state"), json=state).raise_for_status()
            http.post(actor(at, "a", "reminders/ring"), json={"dueTime": "2s"}).raise_for_status()
        with LocalDapr(folder, port, components=COMPONENTS, servers=servers) as second:
            eventually(lambda: reminded(http, port), within=40.0)

            assert http.get(actor(second.sidecar.http_port, "a", "state/k")).json() == 7
    finally:
        app.kill()
