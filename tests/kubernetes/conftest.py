"""One cluster with Dapr for all tests of this folder; `make test-kubernetes` runs them.

Otherwise they are not collected: without their own network (`apart.py`), a hundred pods would share
one with everything else that listens on this machine.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent_actors.engine import binaries
from tests.kubernetes.apart import APART
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.kubelet import Kubelet
from tests.kubernetes.overlays import Overlays
from tests.kubernetes.plane import DaprPlane
from tools import kubernetes_servers

ROOT = Path(__file__).parents[2]
PLACE = Path("/mnt")
"""An empty folder of the system; in their own mounts, the tests can use it."""

if not os.environ.get(APART):
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="session")
def place() -> Path:
    """A temporary folder that every user may enter."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", PLACE], check=True)
    return PLACE


@pytest.fixture(scope="session")
def cluster(place: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A real API server with its controllers."""
    cluster = Cluster(kubernetes_servers.find(), tmp_path_factory.mktemp("cluster"))
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.close()


@pytest.fixture(scope="session")
def kubelet(cluster: Cluster, place: Path) -> Kubelet:
    """The node that runs containers of the cluster's pods."""
    programs: dict[str, Path] = {}
    folders = {"kubernetes": cluster.servers, "dapr": binaries.dapr()}
    names = {"kubernetes": kubernetes_servers.CONTROL_PLANE, "dapr": binaries.SERVERS}
    for folder, source in folders.items():
        # Other users may not enter the home folder that contains them.
        _bind(source, place / folder)
        programs |= {name: place / folder / name for name in names[folder]}
    redis = binaries.redis()
    assert redis is not None
    programs["valkey-server"] = redis
    programs["agent-actors"] = Path(sys.executable).with_name("agent-actors")
    sees = [place, Path(sys.base_prefix), Path(sys.prefix), ROOT / "src", ROOT / "components"]
    return Kubelet(cluster, place / "pods", programs, sees)


def _bind(source: Path, target: Path) -> None:
    target.mkdir()
    subprocess.run(["mount", "--bind", source, target], check=True)


@pytest.fixture(scope="session")
def plane(cluster: Cluster, kubelet: Kubelet) -> DaprPlane:
    """Dapr's control plane, installed by its chart with our values."""
    plane = DaprPlane(cluster, kubelet)
    plane.start()
    return plane


@pytest.fixture(scope="session")
def overlays(cluster: Cluster, plane: DaprPlane) -> Overlays:
    """The overlays, on a cluster that has Dapr."""
    return Overlays(cluster)
