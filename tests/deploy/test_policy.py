"""The manifests are hardened, and each rule of that is seen to refuse its opposite."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.deploy import policy
from tests.deploy.manifests import (
    OPTIONS,
    OVERLAYS,
    PLAIN,
    Objects,
    pod,
    rendered,
    service_container,
    the,
)
from tests.deploy.policy import ALWAYS, BY_KUSTOMIZE, NOT_IN_DEV, Check


def named(check: Check) -> str:
    return check.__name__


@pytest.mark.parametrize("check", ALWAYS, ids=named)
@pytest.mark.parametrize("name", [PLAIN, *OVERLAYS, *OPTIONS])
def test_the_manifests_are_hardened(name: str, check: Check):
    """Each rule holds of each overlay."""
    assert not [*check(rendered(name))]


@pytest.mark.parametrize("check", NOT_IN_DEV, ids=named)
@pytest.mark.parametrize("name", [PLAIN, "prod"])
def test_production_is_hardened_further(name: str, check: Check):
    """What a laptop is excused from holds in production."""
    assert not [*check(rendered(name))]


@pytest.mark.parametrize("check", BY_KUSTOMIZE, ids=named)
@pytest.mark.parametrize("name", [*OVERLAYS, *OPTIONS])
def test_kustomize_completes_the_components(name: str, check: Check):
    """Components of a cluster have an owner, a password that is elsewhere, and pinned images."""
    assert not [*check(rendered(name))]


def test_only_the_service_of_dev_writes_its_image():
    """Live update needs one exception, and there is one."""
    found = [*policy.containers_cannot_write_their_image(rendered("observed"))]

    assert found == ["agent-actors can write its image"]


Change = Callable[[Objects], None]
GONE = object()


def put(kind: str, name: str, path: str, value: object) -> Change:
    """What sets, or takes away, one field of one object; numbers in the path are places."""

    def change(objects: Objects) -> None:
        *way, last = [int(word) if word.isdigit() else word for word in path.split("/")]
        place: Any = the(objects, kind, name)
        for step in way:
            place = place[step]
        if value is GONE:
            del place[last]
        else:
            place[last] = value

    return change


def deployment(path: str, value: object) -> Change:
    return put("Deployment", "agent-actors", f"spec/template/spec/{path}", value)


def container(path: str, value: object) -> Change:
    return deployment(f"containers/0/{path}", value)


def annotated(name: str, value: object) -> Change:
    def change(objects: Objects) -> None:
        metadata = the(objects, "Deployment", "agent-actors")["spec"]["template"]["metadata"]
        metadata["annotations"][f"dapr.io/{name}"] = value

    return change


def add(kind: str) -> Change:
    def change(objects: Objects) -> None:
        objects.append({"apiVersion": "v1", "kind": kind, "metadata": {"name": "more"}})

    return change


def written_down(objects: Objects) -> None:
    service_container(objects)["env"].append({"name": "OPENAI_API_KEY", "value": "sk"})


def of_the_node(objects: Objects) -> None:
    volumes = pod(the(objects, "Deployment", "agent-actors"))["volumes"]
    volumes.append({"name": "node", "hostPath": {"path": "/"}})


WORSE: list[tuple[Check, Change]] = [
    (policy.pods_are_nobody, deployment("securityContext/runAsNonRoot", GONE)),
    (policy.pods_are_nobody, deployment("securityContext/runAsUser", 0)),
    (policy.pods_have_seccomp, deployment("securityContext/seccompProfile", GONE)),
    (
        policy.containers_have_no_capabilities,
        container("securityContext/capabilities/add", ["NET_ADMIN"]),
    ),
    (policy.containers_have_no_capabilities, container("securityContext/capabilities", GONE)),
    (
        policy.containers_have_no_capabilities,
        container("securityContext/allowPrivilegeEscalation", True),
    ),
    (
        policy.containers_cannot_write_their_image,
        container("securityContext/readOnlyRootFilesystem", False),
    ),
    (policy.pods_have_no_token, deployment("automountServiceAccountToken", GONE)),
    (
        policy.pods_have_no_token,
        put("ServiceAccount", "agent-actors", "automountServiceAccountToken", True),
    ),
    (policy.pods_share_nothing_with_the_node, deployment("hostNetwork", True)),
    (policy.pods_share_nothing_with_the_node, of_the_node),
    (policy.nobody_else_sets_our_settings, deployment("enableServiceLinks", GONE)),
    (policy.resources_are_bounded, container("resources/limits/cpu", "1")),
    (policy.resources_are_bounded, container("resources/limits/memory", GONE)),
    (policy.resources_are_bounded, container("resources/requests", GONE)),
    (policy.resources_are_bounded, annotated("sidecar-cpu-limit", "1")),
    (policy.containers_are_probed, container("startupProbe", GONE)),
    (policy.probes_ask_the_right_thing, container("livenessProbe/httpGet/path", "/readyz")),
    (policy.probes_ask_the_right_thing, container("startupProbe/failureThreshold", 3)),
    (policy.stopping_has_its_time, deployment("terminationGracePeriodSeconds", 20)),
    (policy.stopping_has_its_time, annotated("enable-native-sidecar", "false")),
    (
        policy.rollouts_keep_all_replicas,
        put("Deployment", "agent-actors", "spec/strategy/rollingUpdate/maxUnavailable", 1),
    ),
    (policy.replicas_are_apart, deployment("topologySpreadConstraints/1", GONE)),
    (
        policy.one_replica_may_go,
        put("PodDisruptionBudget", "agent-actors", "spec/maxUnavailable", 0),
    ),
    (
        policy.one_replica_may_go,
        put("PodDisruptionBudget", "agent-actors", "spec/selector/matchLabels", {"a": "b"}),
    ),
    (
        policy.there_are_two_replicas,
        put("HorizontalPodAutoscaler", "agent-actors", "spec/minReplicas", 1),
    ),
    (policy.there_are_two_replicas, put("Deployment", "agent-actors", "spec/replicas", 2)),
    (
        policy.nothing_may_speak_by_default,
        put("NetworkPolicy", "default-deny", "spec/policyTypes", ["Ingress"]),
    ),
    (
        policy.nothing_may_speak_by_default,
        put("NetworkPolicy", "default-deny", "spec/egress", [{}]),
    ),
    (policy.no_policy_is_open, put("NetworkPolicy", "valkey", "spec/ingress", [{}])),
    (policy.no_policy_is_open, put("NetworkPolicy", "agent-actors", "spec/egress/0/ports", GONE)),
    (policy.nothing_is_of_the_whole_cluster, add("ClusterRole")),
    (
        policy.nothing_is_of_the_whole_cluster,
        put("Service", "agent-actors", "metadata/namespace", "default"),
    ),
    (policy.no_secret_is_written_down, written_down),
    (policy.no_secret_is_written_down, add("Secret")),
    (policy.dapr_is_told_what_it_needs, annotated("config", "observability")),
    (policy.dapr_is_told_what_it_needs, annotated("app-port", "8080")),
    (policy.dapr_is_told_what_it_needs, annotated("app-token-secret", "another")),
    (policy.dapr_is_told_what_it_needs, annotated("enabled", "false")),
    (policy.dapr_is_told_what_it_needs, annotated("log-as-json", "false")),
    (
        policy.valkey_forgets_nothing,
        put("StatefulSet", "valkey", "spec/volumeClaimTemplates", []),
    ),
    (policy.components_are_of_this_app, put("Component", "statestore", "scopes", GONE)),
    (
        policy.components_have_no_password,
        put("Component", "statestore", "spec/metadata/1", {"name": "redisPassword", "value": "x"}),
    ),
    (
        policy.components_have_no_password,
        put("Component", "pubsub", "spec/metadata/0/value", "localhost:6379"),
    ),
    (policy.images_are_pinned, container("image", "agent-actors:latest")),
]


@pytest.mark.parametrize(
    ("check", "change"),
    WORSE,
    ids=[f"{check.__name__}-{number}" for number, (check, _) in enumerate(WORSE)],
)
def test_a_rule_refuses_its_opposite(check: Check, change: Change):
    """Manifests that break a rule are seen to break it."""
    objects = rendered("prod" if check in BY_KUSTOMIZE else PLAIN)
    change(objects)

    assert [*check(objects)]


def test_every_rule_has_its_opposite():
    """No rule is there that has never refused anything."""
    assert {check for check, _ in WORSE} == {*ALWAYS, *NOT_IN_DEV, *BY_KUSTOMIZE}
