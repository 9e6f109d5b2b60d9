"""A real API server accepts our manifests, strictly, in a namespace that enforces `restricted`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.kubernetes.cluster import Object, Refused, eventually
from tests.kubernetes.kubelet import documents
from tests.kubernetes.overlays import COMPONENTS, K8S, OVERLAYS, Overlays


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_is_applied(overlays: Overlays, overlay: str):
    """Every overlay is accepted without a warning where pods must be `restricted`."""
    namespace = overlays.namespace(f"apply-{overlay}")
    manifests = overlays.build(K8S / "overlays" / overlay)
    applied = overlays.apply(manifests, namespace)

    assert {"Component", "Deployment", "StatefulSet"} <= {thing["kind"] for thing in applied}
    # No object is cluster-wide, where a second namespace would overwrite it.
    found = overlays.cluster.existing(manifests, namespace)
    assert [thing["metadata"].get("namespace") for thing in found] == [namespace] * len(applied)


@pytest.mark.parametrize("component", COMPONENTS)
def test_a_component_is_applied(overlays: Overlays, component: str, tmp_path: Path):
    """Every optional component is accepted on top of production, without a warning."""
    namespace = overlays.namespace(f"with-{component}")
    manifests = overlays.build(overlays.with_component(component, tmp_path))
    applied = overlays.apply(manifests, namespace)

    plain = documents(overlays.build(K8S / "overlays" / "prod"))
    assert names(applied) != names(plain)


def names(things: list[Object]) -> set[tuple[str, str]]:
    """Their kinds and names."""
    return {(thing["kind"], thing["metadata"]["name"]) for thing in things}


def test_applying_again_changes_nothing(overlays: Overlays):
    """A second apply of production changes nothing, not even the autoscaler's decision."""
    namespace = overlays.namespace("twice")
    manifests = overlays.build(K8S / "overlays" / "prod")
    overlays.apply(manifests, namespace)
    eventually(lambda: replicas(overlays, namespace) == 2)
    before = generations(overlays.cluster.existing(manifests, namespace))
    overlays.apply(manifests, namespace)

    assert generations(overlays.cluster.existing(manifests, namespace)) == before
    assert replicas(overlays, namespace) == 2


def replicas(overlays: Overlays, namespace: str) -> int:
    """The wanted number of pods."""
    number: int = overlays.cluster.get("deployment", "agent-actors", namespace)["spec"]["replicas"]
    return number


def generations(things: list[Object]) -> dict[tuple[str, str], int]:
    """The generation of each object that has one: it counts changes of its spec."""
    metadata = {(thing["kind"], thing["metadata"]["name"]): thing["metadata"] for thing in things}
    return {key: metadata[key].get("generation", 0) for key in metadata}


def misspell(kind: str, *path: str | int) -> Callable[[Object], bool]:
    """An edit that doubles the last letter of a field of the first object of that kind."""

    def change(thing: Object) -> bool:
        if thing["kind"] != kind:
            return False
        here: Any = thing
        *way, last = path
        for part in way:
            here = here[part]
        here[f"{last}{str(last)[-1]}"] = here.pop(last)
        return True

    return change


BROKEN = {
    "a probe": misspell("Deployment", "spec", "template", "spec", "containers", 0, "livenessProbe"),
    "a component's type": misspell("Component", "spec", "type"),
    "a subscription's topic": misspell("Subscription", "spec", "topic"),
    "a policy": misspell("Resiliency", "spec", "policies"),
    "the API's rules": misspell("Configuration", "spec", "accessControl"),
    "the scopes": misspell("Component", "scopes"),
    "a budget": misspell("PodDisruptionBudget", "spec", "maxUnavailable"),
    "a network policy": misspell("NetworkPolicy", "spec", "podSelector"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_misspelt_field_is_refused(overlays: Overlays, what: str):
    """A misspelt field is refused, so the accepted manifests have none."""
    things = documents(overlays.build(K8S / "overlays" / "prod"))
    broken = next(thing for thing in things if BROKEN[what](thing))

    with pytest.raises(Refused, match=r"field not declared in schema|Required value"):
        overlays.cluster.apply(yaml.safe_dump(broken))


def test_our_namespace_refuses_what_may_too_much(overlays: Overlays):
    """`k8s/namespace.yaml` enforces `restricted`: it refuses a pod with the defaults."""
    namespace = overlays.namespace("enforcing")
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "simple"}}
    spec = {"containers": [{"name": "simple", "image": "simple"}]}

    with pytest.raises(Refused, match='violates PodSecurity "restricted'):
        overlays.apply(yaml.safe_dump(pod | {"spec": spec}), namespace)


def test_a_deployment_that_may_too_much_is_noticed(overlays: Overlays):
    """Without its security context, our Deployment causes the warning that fails an apply."""
    namespace = overlays.namespace("too-much")
    things = documents(overlays.build(K8S / "overlays" / "prod"))
    deployment = next(thing for thing in things if thing["kind"] == "Deployment")
    del deployment["spec"]["template"]["spec"]["securityContext"]

    with pytest.raises(Refused, match="would violate PodSecurity"):
        overlays.apply(yaml.safe_dump(deployment), namespace)
