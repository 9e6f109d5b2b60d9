"""The pods that the controllers and the sidecar injector create."""

import json
from collections.abc import Iterator
from itertools import pairwise

import pytest

from tests.kubernetes.cluster import Object, eventually
from tests.kubernetes.kubelet import Kubelet, container_of
from tests.kubernetes.overlays import K8S, Overlays
from tests.kubernetes.plane import DaprPlane

PROD = K8S / "overlays" / "prod"
OPTIONS = {
    "app-id": "--app-id",
    "app-port": "--app-port",
    "app-protocol": "--app-protocol",
    "config": "--config",
    "graceful-shutdown-seconds": "--dapr-graceful-shutdown-seconds",
    "max-body-size": "--max-body-size",
    "metrics-port": "--metrics-port",
}
"""Annotations that become an option with a value."""
SWITCHES = {
    "disable-builtin-k8s-secret-store": "--disable-builtin-k8s-secret-store",
    "enable-metrics": "--enable-metrics",
    "log-as-json": "--log-as-json",
}
ELSEWHERE = {
    "app-token-secret",
    "enable-native-sidecar",
    "enabled",
    "env",
    "sidecar-cpu-request",
    "sidecar-memory-limit",
    "sidecar-memory-request",
    "sidecar-seccomp-profile-type",
}
"""Annotations that become something other than an option."""


@pytest.fixture(scope="module")
def pod(overlays: Overlays) -> Object:
    """A pod of production that the controllers created."""
    namespace = overlays.namespace("injected")
    overlays.apply(overlays.build(PROD), namespace)
    return overlays.pods(namespace)[0]


def test_the_sidecar_gets_what_the_annotations_ask_for(pod: Object):
    """Every annotation becomes an option of the sidecar, or another test here checks it."""
    prefix = "dapr.io/"
    annotations = pod["metadata"]["annotations"]
    asked = {key.removeprefix(prefix): annotations[key] for key in annotations if prefix in key}
    args = container_of(pod, "daprd")["args"]
    valued = dict(pairwise(args))

    assert set(asked) == set(OPTIONS) | set(SWITCHES) | ELSEWHERE
    assert {key: valued.get(option) for key, option in OPTIONS.items()} == {
        key: asked[key] for key in OPTIONS
    }
    assert {option for key, option in SWITCHES.items() if asked[key] == "true"} <= set(args)
    assert "--enable-mtls" in args


def test_the_sidecar_gets_the_token_and_its_bounds(pod: Object):
    """The sidecar has the app token of the Secret, its memory limit, and no CPU limit."""
    sidecar = container_of(pod, "daprd")
    env = {each["name"]: each for each in sidecar["env"]}
    token = {"name": "agent-actors-app-token", "key": "token"}

    assert env["APP_API_TOKEN"]["valueFrom"]["secretKeyRef"] == token
    assert env["GOMEMLIMIT"]["value"] == "460MiB"
    assert env["NAMESPACE"]["value"] == pod["metadata"]["namespace"]
    assert sidecar["resources"] == {
        "requests": {"cpu": "100m", "memory": "128Mi"},
        "limits": {"memory": "512Mi"},
    }


def test_the_service_gets_the_same_token(pod: Object):
    """Service and sidecar read the app token from the same Secret."""
    env = {each["name"]: each for each in container_of(pod, "agent-actors")["env"]}
    theirs = {each["name"]: each for each in container_of(pod, "daprd")["env"]}

    assert env["APP_API_TOKEN"] == theirs["APP_API_TOKEN"]


def test_the_sidecar_outlives_the_service(pod: Object):
    """The sidecar starts before the service and stops after it."""
    first = [container["name"] for container in pod["spec"]["initContainers"]]

    assert first == ["daprd"]
    assert container_of(pod, "daprd")["restartPolicy"] == "Always"


def test_no_container_may_ask_the_api_server(pod: Object):
    """No container has a token for the API server; the sidecar's token is for sentry only."""
    sources = [
        source["serviceAccountToken"]["audience"]
        for volume in pod["spec"]["volumes"]
        for source in volume.get("projected", {}).get("sources", [])
        if "serviceAccountToken" in source
    ]

    assert sources == ["spiffe://cluster.local/ns/dapr-system/dapr-sentry"]


def test_two_namespaces_stand_side_by_side(overlays: Overlays, pod: Object):
    """A second namespace gets its own objects, and those of the first stay."""
    before = overlays.pods("injected")
    second = overlays.namespace("beside")
    overlays.apply(overlays.build(PROD), second)
    there = overlays.pods(second)[0]

    env = {each["name"]: each.get("value") for each in container_of(there, "daprd")["env"]}
    assert env["NAMESPACE"] == second
    assert {each["metadata"]["uid"] for each in before} <= {
        each["metadata"]["uid"] for each in overlays.pods("injected")
    }


def test_one_pod_at_a_time_may_be_disrupted(overlays: Overlays, kubelet: Kubelet):
    """The autoscaler plans two pods; of two ready pods one may be evicted, and not the second."""
    namespace = overlays.namespace("disrupted")
    overlays.apply(overlays.build(PROD), namespace)
    pods = eventually(lambda: at_least(2, overlays.pods(namespace)))
    for each in pods:
        kubelet.mark_running(each)
    eventually(lambda: allowed(overlays, namespace) == 1 or None)

    first, second = pods[:2]
    assert evict(overlays, first) == ""
    assert "disruption budget" in evict(overlays, second)


def at_least(number: int, things: list[Object]) -> list[Object] | None:
    """The things, if there are enough."""
    return things if len(things) >= number else None


def allowed(overlays: Overlays, namespace: str) -> int:
    """The number of pods that may be evicted now."""
    budget = overlays.cluster.get("poddisruptionbudget", "agent-actors", namespace)
    number: int = budget.get("status", {}).get("disruptionsAllowed", 0)
    return number


def evict(overlays: Overlays, pod: Object) -> str:
    """Evicts a pod, as a drain of its node does; returns the API server's objection, if any."""
    metadata = {key: pod["metadata"][key] for key in ("name", "namespace")}
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata}
    path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}/eviction"
    words = ["create", "--raw", path, "-f", "-"]
    return overlays.cluster.run("kubectl", *words, given=json.dumps(eviction)).err


@pytest.fixture
def default_injector(plane: DaprPlane) -> Iterator[None]:
    """The injector with the chart's default for capabilities, for one test."""
    plane.helm("upgrade", "--set", "dapr_sidecar_injector.sidecarDropALLCapabilities=false")
    plane.restart_injector()
    yield
    plane.helm("upgrade")
    plane.restart_injector()


def test_the_charts_default_is_refused(overlays: Overlays, default_injector: None):
    """Without `sidecarDropALLCapabilities`, `restricted` refuses every pod of ours."""
    namespace = overlays.namespace("by-default")
    overlays.apply(overlays.build(PROD), namespace)
    reason = eventually(lambda: failure(overlays, namespace))

    assert 'container "daprd" must set securityContext.capabilities.drop=["ALL"]' in reason
    assert overlays.cluster.objects("pods", namespace, "app.kubernetes.io/name=agent-actors") == []


def failure(overlays: Overlays, namespace: str) -> str | None:
    """The reason why a ReplicaSet of ours creates no pods."""
    for each in overlays.cluster.objects("replicasets", namespace):
        for condition in each.get("status", {}).get("conditions", []):
            if condition["type"] == "ReplicaFailure":
                message: str = condition["message"]
                return message
    return None
