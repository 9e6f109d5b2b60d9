"""Dapr's control plane as its chart installs it: our kubelet runs the containers of its pods.

helm ── sentry, then injector, operator, placement and scheduler ── forwarder
"""

import sys
from pathlib import Path

from agent_actors.engine.child import Child
from agent_actors.engine.ports import LOOPBACK, accepts, free_port, status
from tests.kubernetes.cluster import WITHIN, Cluster, Object, eventually
from tests.kubernetes.forwarder import READY
from tests.kubernetes.kubelet import Kubelet
from tools.kubernetes_servers import CHART, dapr_version

ROOT = Path(__file__).parents[2]
VALUES = ROOT / "k8s" / "dapr-values.yaml"
NAMESPACE = "dapr-system"

# Ports of a sidecar stay free: 3500, 3501, 9090, 50001 (sentry's in the chart, too) and 50002.
_SENTRY, _ETCD_PEER = 25_001, 22_380
_PORTS = {
    "dapr-sentry": {443: _SENTRY},
    "dapr-sidecar-injector": {443: 4_000},
    "dapr-webhook": {443: 19_443},
    "dapr-api": {443: 6_500},
    "dapr-scheduler-server-a": {443: 50_006},
}
_LATER = {
    "dapr-sidecar-injector": 4_000,
    "dapr-operator": 6_500,
    "dapr-placement-server": 50_005,
    "dapr-scheduler-server": 50_006,
}


class DaprPlane:
    """The control plane of a cluster.

    Args:
        cluster: The cluster to install it in.
        kubelet: Runs its pods.
    """

    def __init__(self, cluster: Cluster, kubelet: Kubelet) -> None:
        self._cluster = cluster
        self._kubelet = kubelet
        self._pods: dict[str, tuple[Child, int]] = {}

    def start(self) -> None:
        """Installs the chart with our values and waits until all parts serve."""
        self.helm("install", "--create-namespace")
        forwarder = self._cluster.own(self._forwarder())
        forwarder.wait_until(lambda: forwarder.logged(READY), WITHIN)
        self._run("dapr-sentry", f"--port={_SENTRY}")
        self._wait("dapr-sentry", _SENTRY)
        eventually(self._trusted)
        self._run("dapr-sidecar-injector")
        self._run("dapr-operator")
        self._run("dapr-placement-server")
        # The chart plans three; this one is a cluster of its own.
        peer = f"dapr-scheduler-server-0=https://{LOOPBACK}:{_ETCD_PEER}"
        self._run("dapr-scheduler-server", f"--etcd-initial-cluster={peer}")
        for app, port in _LATER.items():
            self._wait(app, port)

    def helm(self, verb: str, *words: str) -> None:
        """Installs or upgrades the chart."""
        chart = str(self._cluster.servers / CHART)
        words = ("-n", NAMESPACE, "-f", str(VALUES), *words)
        version = ["--set", f"global.tag={dapr_version().text}"]
        done = self._cluster.run("helm", verb, "dapr", chart, *words, *version)
        if done.code:
            raise AssertionError(done.err)

    def restart_injector(self) -> None:
        """Restarts the injector from the pod of the latest upgrade."""
        child, _ = self._pods["dapr-sidecar-injector"]
        child.kill()
        old = child.argv[-1]  # It contains the name of the pod.
        self._run("dapr-sidecar-injector", other_than=old)
        self._wait("dapr-sidecar-injector", 4_000)

    def said(self, app: str) -> str:
        """The log of one part."""
        return self._pods[app][0].log.read_text(encoding="utf-8", errors="replace")

    def _run(self, app: str, *change: str, other_than: str = "") -> None:
        pod = eventually(lambda: self._pod(app, other_than))
        health = free_port()
        own = [f"--healthz-port={health}", "--enable-metrics=false", *change]
        name = pod["spec"]["containers"][0]["name"]
        child = self._kubelet.start(pod, name, lambda argv: [*_without_peers(argv), *own])
        self._pods[app] = child, health

    def _pod(self, app: str, other_than: str) -> Object | None:
        pods = self._cluster.objects("pods", NAMESPACE, f"app={app}")
        others = [
            pod for pod in pods if pod["metadata"]["name"] not in other_than and not _later(pod)
        ]
        return max(others, key=lambda pod: pod["metadata"]["creationTimestamp"], default=None)

    def _wait(self, app: str, port: int) -> None:
        child, health = self._pods[app]
        child.wait_until(lambda: status(health, "/healthz") in (200, 204) and accepts(port), WITHIN)

    def _trusted(self) -> str | None:
        found = self._cluster.find("configmap", "dapr-trust-bundle", NAMESPACE) or {}
        bundle: str | None = found.get("data", {}).get("ca.crt")
        return bundle

    def _forwarder(self) -> Child:
        routes = []
        for service, ports in _PORTS.items():
            address = self._cluster.get("service", service, NAMESPACE)["spec"]["clusterIP"]
            routes += [f"{address}:{port}={target}" for port, target in ports.items()]
        script = str(Path(__file__).with_name("forwarder.py"))
        log = self._cluster.folder / "forwarder.log"
        return Child([sys.executable, "-I", script, *routes], log=log)


def _later(pod: Object) -> bool:
    """Whether it is a pod of a StatefulSet, but not the first; they are created in any order."""
    of_a_set = any(each["kind"] == "StatefulSet" for each in pod["metadata"]["ownerReferences"])
    return of_a_set and not pod["metadata"]["name"].endswith("-0")


def _without_peers(argv: list[str]) -> list[str]:
    """Removes the option with the peers, because a second one would add to it."""
    if "--etcd-initial-cluster" not in argv:
        return argv
    at = argv.index("--etcd-initial-cluster")
    return [*argv[:at], *argv[at + 2 :]]
