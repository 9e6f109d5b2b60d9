"""The manifests are hardened: one row for each rule, with a value that breaks it."""

import copy
import re
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from typing import Any

import pytest

from agent_actors.settings import Settings
from tests.deploy.manifests import (
    GONE,
    OPTIONS,
    OVERLAYS,
    PLAIN,
    SHOWN,
    Objects,
    annotations,
    at,
    containers,
    edited,
    name_of,
    of_kind,
    pod,
    put,
    rendered,
    service_container,
    the,
    workloads,
)

EVERYWHERE = (PLAIN, *OVERLAYS, *OPTIONS, SHOWN)
NOT_IN_DEV = (PLAIN, "prod", SHOWN)
KUSTOMIZED = (*OVERLAYS, *OPTIONS, SHOWN)
OBSERVED = ("observed", SHOWN)
NAMESPACED = {
    "Component", "ConfigMap", "Configuration", "Deployment", "HorizontalPodAutoscaler",
    "NetworkPolicy", "PodDisruptionBudget", "Resiliency", "Secret", "Service", "ServiceAccount",
    "StatefulSet", "Subscription",
}  # fmt: skip
VOLUMES = {"name", "configMap", "emptyDir", "persistentVolumeClaim", "projected", "secret"}
SPREAD = {"kubernetes.io/hostname", "topology.kubernetes.io/zone"}
PASSWORD = {"name": "redisPassword", "secretKeyRef": {"name": "valkey", "key": "password"}}

Parts = Callable[[Objects], list[Any]]


def pods(objects: Objects) -> list[Any]:
    return [pod(each) for each in workloads(objects)]


def all_containers(objects: Objects) -> list[Any]:
    return [each for _, each in containers(objects)]


def service(objects: Objects) -> list[Any]:
    return [service_container(objects)]


def spec(kind: str, name: str = "") -> Parts:
    """The specs of all objects of a kind, or of the one with that name."""
    return lambda objects: [
        each["spec"] for each in of_kind(objects, kind) if name in ("", each["metadata"]["name"])
    ]


def whole(*kinds: str) -> Parts:
    """All objects of these kinds, or simply all."""
    return lambda objects: of_kind(objects, *kinds) if kinds else objects


def sidecar(objects: Objects) -> list[Any]:
    """The annotations for Dapr's injector."""
    return [the(objects, "Deployment", "agent-actors")["spec"]["template"]["metadata"]]


def redis(objects: Objects) -> list[Any]:
    """The metadata of the components that use Redis."""
    specs = [each["spec"] for each in of_kind(objects, "Component")]
    return [each["metadata"] for each in specs if each["metadata"][0]["name"] == "redisHost"]


def names_peers_and_ports(policy: Any) -> bool:
    """Every rule of a policy says who, and by which port."""
    rules = [(each, each.get("from")) for each in policy.get("ingress", ())]
    rules += [(each, each.get("to")) for each in policy.get("egress", ())]
    return all(peers and rule.get("ports") for rule, peers in rules)


@dataclass(frozen=True)
class Rule:
    """What one field must be in all parts of the manifests of one sort.

    `right` is a value, or a function of the field; `wrong` is a value that breaks the rule.
    """

    sentence: str
    parts: Parts
    path: str
    right: Any
    wrong: Any
    where: tuple[str, ...] = EVERYWHERE

    def holds(self, part: Any) -> bool:
        value = at(part, self.path)
        return bool(self.right(value) if callable(self.right) else value == self.right)


def missing(value: Any) -> bool:
    return value is GONE


def present(value: Any) -> bool:
    return value is not GONE


DENY = spec("NetworkPolicy", "default-deny")
HPA = spec("HorizontalPodAutoscaler", "agent-actors")
DEPLOYMENT = spec("Deployment", "agent-actors")
BUDGET = spec("PodDisruptionBudget", "agent-actors")
VALKEY = spec("StatefulSet", "valkey")
SEEN = spec("Service", "agent-actors-replicas")

# fmt: off
RULES = [
    # Pod security: the profile `restricted`, and no token of the API server.
    Rule("no pod runs as root", pods, "securityContext runAsNonRoot", True, GONE),
    Rule("the user of a pod is a number", pods, "securityContext runAsUser",
         lambda user: user > 0, 0),
    Rule("a pod has a seccomp profile, and so has its sidecar", pods,
         "securityContext seccompProfile type", "RuntimeDefault", "Unconfined"),
    Rule("a container has no capability", all_containers,
         "securityContext capabilities", {"drop": ["ALL"]},
         {"drop": ["ALL"], "add": ["NET_ADMIN"]}),
    Rule("a container cannot gain privileges", all_containers,
         "securityContext allowPrivilegeEscalation", False, GONE),
    Rule("a container is not privileged", all_containers,
         "securityContext privileged", missing, True),
    Rule("a container cannot write to its image", all_containers,
         "securityContext readOnlyRootFilesystem", True, False, NOT_IN_DEV),
    Rule("a pod has no token of the API server", pods, "automountServiceAccountToken", False, GONE),
    Rule("a service account gives no token of the API server", whole("ServiceAccount"),
         "automountServiceAccountToken", False, True),
    *(Rule(f"a pod does not use {each} of its node", pods, each, missing, True)
      for each in ("hostNetwork", "hostPID", "hostIPC")),
    Rule("a pod mounts no folder of its node", pods, "volumes",
         lambda found: found is GONE or VOLUMES.issuperset(key for each in found for key in each),
         [{"name": "node", "hostPath": {"path": "/"}}]),
    Rule("Kubernetes sets no variables named after Services, such as AGENT_ACTORS_PORT", pods,
         "enableServiceLinks", False, GONE),
    # Resources and probes.
    Rule("a container requests CPU", all_containers, "resources requests cpu", present, GONE),
    Rule("a container requests memory", all_containers, "resources requests memory", present, GONE),
    Rule("a container has a memory limit", all_containers,
         "resources limits memory", present, GONE),
    Rule("no container has a CPU limit", all_containers, "resources limits cpu", missing, "1"),
    *(Rule(f"the sidecar has a {each}", sidecar,
           f"annotations dapr.io/sidecar-{each}", present, GONE)
      for each in ("cpu-request", "memory-request", "memory-limit")),
    Rule("the sidecar has no CPU limit", sidecar,
         "annotations dapr.io/sidecar-cpu-limit", missing, "1"),
    *(Rule(f"every container has a {each}", all_containers, each, present, GONE)
      for each in ("startupProbe", "livenessProbe", "readinessProbe")),
    Rule("startup asks whether the process answers", service,
         "startupProbe httpGet path", "/livez", "/readyz"),
    Rule("liveness does not depend on Dapr", service,
         "livenessProbe httpGet path", "/livez", "/readyz"),
    Rule("readiness depends on the actors", service,
         "readinessProbe httpGet path", "/readyz", "/livez"),
    Rule("a slow start has a minute", service, "startupProbe",
         lambda probe: probe["periodSeconds"] * probe["failureThreshold"] >= 60,
         {"periodSeconds": 2, "failureThreshold": 3}),
    # Replicas.
    Rule("a new replica starts before an old one stops", DEPLOYMENT,
         "strategy rollingUpdate maxUnavailable", 0, 1),
    Rule("replicas are spread over nodes and zones", DEPLOYMENT,
         "template spec topologySpreadConstraints",
         lambda found: {each["topologyKey"] for each in found} == SPREAD, []),
    Rule("only the autoscaler sets the number of replicas", DEPLOYMENT,
         "replicas", missing, 2, NOT_IN_DEV),
    Rule("there are at least two replicas", HPA, "minReplicas", 2, 1, NOT_IN_DEV),
    Rule("there can be more than two replicas", HPA,
         "maxReplicas", lambda number: number > 2, 2, NOT_IN_DEV),
    Rule("a drain evicts one replica at a time", BUDGET, "maxUnavailable", 1, 0, NOT_IN_DEV),
    Rule("the budget is not given twice", BUDGET, "minAvailable", missing, 1, NOT_IN_DEV),
    Rule("Prometheus scrapes each replica by itself", SEEN, "clusterIP", "None", GONE, OBSERVED),
    Rule("Prometheus scrapes replicas that are not ready", SEEN,
         "publishNotReadyAddresses", True, GONE, OBSERVED),
    # Dapr. Annotations that move ports are refused: the network table has the default ports.
    Rule("the sidecar is injected", sidecar, "annotations dapr.io/enabled", "true", "false"),
    Rule("the sidecar calls the service by HTTP", sidecar,
         "annotations dapr.io/app-protocol", "http", "grpc"),
    Rule("the sidecar stops after the service", sidecar,
         "annotations dapr.io/enable-native-sidecar", "true", "false"),
    Rule("the sidecar logs JSON", sidecar, "annotations dapr.io/log-as-json", "true", "false"),
    Rule("the sidecar has metrics", sidecar, "annotations dapr.io/enable-metrics", "true", "false"),
    Rule("the sidecar has its metrics on port 9090", sidecar,
         "annotations dapr.io/metrics-port", "9090", "9091"),
    *(Rule(f"the sidecar keeps its default {each}", sidecar,
           f"annotations dapr.io/{each}", missing, "1")
      for each in ("http-port", "grpc-port", "internal-grpc-port", "sidecar-listen-addresses")),
    Rule("Dapr's objects belong to this app", whole("Component", "Subscription", "Resiliency"),
         "scopes", ["agents"], GONE, KUSTOMIZED),
    Rule("Redis is the Valkey of this namespace", redis, "0",
         {"name": "redisHost", "value": "valkey:6379"},
         {"name": "redisHost", "value": "localhost:6379"}, KUSTOMIZED),
    Rule("the password of Redis comes from a Secret", redis, "1", PASSWORD,
         {"name": "redisPassword", "value": "x"}, KUSTOMIZED),
    # Data and secrets.
    Rule("Valkey's data outlives its pod", VALKEY,
         "volumeClaimTemplates 0 metadata name", "data", GONE),
    Rule("Valkey's data is on that disk", VALKEY, "template spec containers 0 volumeMounts",
         lambda mounts: {"name": "data", "mountPath": "/data"} in mounts, []),
    Rule("Valkey has a minute to write its data", VALKEY,
         "template spec terminationGracePeriodSeconds", lambda given: given >= 60, 30),
    Rule("no Secret is in a file", whole(),
         "kind", lambda kind: kind != "Secret", "Secret", NOT_IN_DEV),
    Rule("no secret is written into the environment", all_containers, "env",
         lambda env: env is GONE or not [
             each for each in env
             if re.search("TOKEN|KEY|PASSWORD|AUTH$", each["name"]) and "valueFrom" not in each],
         [{"name": "OPENAI_API_KEY", "value": "sk"}]),
    Rule("an image has a tag that does not move", all_containers, "image",
         lambda image: image.rpartition("/")[2].partition(":")[2] not in {"", "latest"},
         "agent-actors:latest", KUSTOMIZED),
    # Namespaces and network policies.
    Rule("every object lives in a namespace", whole(),
         "kind", NAMESPACED.__contains__, "ClusterRole"),
    Rule("no object names its namespace", whole(), "metadata namespace", missing, "default"),
    Rule("what no policy allows is refused", DENY,
         "policyTypes", lambda types: {*types} == {"Ingress", "Egress"}, ["Ingress"]),
    Rule("the default holds for every pod", DENY,
         "podSelector", {}, {"matchLabels": {"a": "b"}}),
    *(Rule(f"the default has no {each}", DENY, each, missing, [{}])
      for each in ("ingress", "egress")),
    Rule("every rule of a policy names peers and ports", whole("NetworkPolicy"),
         "spec", names_peers_and_ports, {"ingress": [{}]}),
]
# fmt: on


@pytest.mark.parametrize("name", EVERYWHERE)
def test_the_manifests_are_hardened(name: str):
    """Every rule holds in each overlay that it applies to."""
    objects = rendered(name)
    broken = [
        rule.sentence
        for rule in RULES
        if name in rule.where and not all(map(rule.holds, rule.parts(objects)))
    ]

    assert not broken


@pytest.mark.parametrize("rule", RULES, ids=[rule.sentence for rule in RULES])
def test_a_rule_refuses_its_opposite(rule: Rule):
    """Every rule applies to some part of the manifests, and refuses a wrong value there."""
    *_, last = rule.parts(copy.deepcopy(rendered(rule.where[-1])))
    assert rule.holds(last)
    put(last, rule.path, rule.wrong)

    assert not rule.holds(last)


def test_only_the_service_of_dev_writes_its_image():
    """Live update needs one exception, and there is one."""
    writable = [
        owner
        for owner, each in containers(rendered("observed"))
        if each["securityContext"]["readOnlyRootFilesystem"] is not True
    ]

    assert writable == ["agent-actors"]


def stop_has_its_time(objects: Objects) -> None:
    """The service drains while its sidecar runs, and both end within the grace period."""
    waits = service_container(objects)["lifecycle"]["preStop"]["sleep"]["seconds"]
    drain = Settings.model_fields["drain"].default
    sidecar_time = int(annotations(objects)["graceful-shutdown-seconds"])
    # cli/service.py keeps connections open for a second longer than the drain, after it.
    needed = waits + drain + ceil(drain) + 1 + sidecar_time

    assert pod(the(objects, "Deployment", "agent-actors"))["terminationGracePeriodSeconds"] > needed


def annotations_match_the_pod(objects: Objects) -> None:
    """The sidecar calls the service's port, reads a Configuration that exists, has its token."""
    given, container = annotations(objects), service_container(objects)
    token = next(item for item in container["env"] if item["name"] == "APP_API_TOKEN")

    assert given["app-port"] in [str(port["containerPort"]) for port in container["ports"]]
    assert f"Configuration {given['config']}" in map(name_of, objects)
    assert token["valueFrom"]["secretKeyRef"] == {"name": given["app-token-secret"], "key": "token"}


@pytest.mark.parametrize("name", EVERYWHERE)
def test_pod_and_sidecar_fit_together(name: str):
    """What the annotations say agrees with the pod, in each overlay."""
    stop_has_its_time(rendered(name))
    annotations_match_the_pod(rendered(name))


TEMPLATE = "spec template metadata annotations dapr.io/"


@pytest.mark.parametrize(
    ("check", "path", "value"),
    [
        (stop_has_its_time, "spec template spec terminationGracePeriodSeconds", 20),
        (stop_has_its_time, f"{TEMPLATE}graceful-shutdown-seconds", "30"),
        (annotations_match_the_pod, f"{TEMPLATE}config", "observability"),
        (annotations_match_the_pod, f"{TEMPLATE}app-port", "8080"),
        (annotations_match_the_pod, f"{TEMPLATE}app-token-secret", "another"),
    ],
)
def test_a_pod_and_sidecar_that_do_not_fit_are_noticed(
    check: Callable[[Objects], None], path: str, value: Any
):
    """A careless edit of the Deployment fails the check."""
    objects = edited(PLAIN, "Deployment agent-actors", path, value)

    with pytest.raises(AssertionError):
        check(objects)
