"""Who stands around a service: its own namespace, others of the cluster, and addresses outside.

Pods of an overlay have the labels that it gives them. What it does not have is drawn all the same,
under the label that it would have: nothing should be open to a name that is not taken yet. One pod
of the namespace has a policy of its own that lets everything through, so that a connection of ours
to it, or to us from it, is refused by our policies alone, and not by two of which one would do.
"""

from collections.abc import Iterable
from ipaddress import ip_address

import yaml

from tests.deploy.manifests import K8S, Objects, of_kind, workloads
from tests.deploy.network import Address, End, Labels, Namespace, Network, Pod, Port

NAME = "app.kubernetes.io/name"
MAY_CALL = {"agent-actors/may-call": "true"}

_NAMESPACE = yaml.safe_load((K8S / "namespace.yaml").read_text(encoding="utf-8"))
OURS = Namespace(_NAMESPACE["metadata"]["name"], _NAMESPACE["metadata"]["labels"])
DAPR = Namespace("dapr-system")
KUBE = Namespace("kube-system")
GATEWAY = Namespace("gateway", MAY_CALL)
ELSEWHERE = Namespace("elsewhere")

SERVICE = ("service", "replica")
INSIDE: dict[str, Labels] = {
    "service": {NAME: "agent-actors"},
    "replica": {NAME: "agent-actors"},
    "valkey": {NAME: "valkey"},
    "collector": {NAME: "otel-collector"},
    "jaeger": {NAME: "jaeger"},
    "prometheus": {NAME: "prometheus"},
    "grafana": {NAME: "grafana"},
    "broker here": {NAME: "kafka"},
    "caller": {NAME: "shop"} | MAY_CALL,
    "stranger": {NAME: "stranger"},
    "open stranger": {NAME: "open"},
}
"""Pods of the service's own namespace."""

_OPEN = {
    "spec": {
        "podSelector": {"matchLabels": {NAME: "open"}},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{}],
        "egress": [{}],
    }
}

CONTROL_PLANE = ("operator", "placement", "scheduler", "sentry", "injector", "dashboard")
AROUND: dict[str, tuple[Namespace, Labels]] = {
    "dns": (KUBE, {"k8s-app": "kube-dns"}),
    "metrics server": (KUBE, {"k8s-app": "metrics-server"}),
    **{each: (DAPR, {NAME: "dapr", "app": f"dapr-{each}"}) for each in CONTROL_PLANE},
    "gateway": (GATEWAY, {NAME: "ingress-nginx"}),
    "broker": (ELSEWHERE, {NAME: "kafka"}),
    # Labels are free: whoever makes pods elsewhere may give them ours.
    "false dns": (ELSEWHERE, {"k8s-app": "kube-dns"}),
    "false caller": (ELSEWHERE, MAY_CALL),
    "false operator": (ELSEWHERE, {NAME: "dapr", "app": "dapr-operator"}),
    **{
        f"false {name}": (ELSEWHERE, {NAME: name})
        for name in ("agent-actors", "valkey", "otel-collector", "jaeger", "prometheus", "grafana")
    },
}
"""Pods of other namespaces, which have no policies."""

PUBLIC = (
    *("1.1.1.1", "9.255.255.255", "11.0.0.1", "100.63.255.255", "100.128.0.1", "169.253.0.1"),
    *("169.255.0.1", "172.15.0.1", "172.32.0.1", "192.0.1.1", "192.167.0.1", "192.169.0.1"),
    *("198.17.0.1", "198.20.0.1"),
)
"""Servers of models are such; most are beside a range that is not public."""

CLUSTER = ("10.96.0.1", "10.255.255.255", "172.16.0.1", "172.31.0.1", "192.168.49.2", "100.64.0.1")
"""The API server, and whatever else lies in the ranges that clusters and offices take."""

RARE = ("192.0.0.192", "198.18.0.1", "198.19.255.255", "240.0.0.1")
"""No addresses of anybody's on the internet, and so taken for pods and services by some clouds."""

METADATA = ("169.254.169.254", "169.254.170.2", "100.100.100.200", "fd00:ec2::254")
"""Clouds tell a machine its credentials there."""

SIX = ("2606:4700:4700::1111", "fd00::1", "fe80::1")
"""The policies name no address of version 6, so none is reached."""

OUTSIDE = (*PUBLIC, *CLUSTER, *RARE, *METADATA, *SIX)

PORTS = (
    *(Port(53, protocol) for protocol in ("TCP", "UDP")),
    *(Port(443, protocol) for protocol in ("TCP", "UDP")),
    *(Port(number) for number in (22, 80, 2379, 3000, 3500, 3501, 4000, 4317, 4318, 6379, 6500)),
    *(Port(number) for number in (8000, 8080, 8201, 9090, 9092, 16686)),
    *(Port(number) for number in (50001, 50002, 50005, 50006)),
)
"""Every port that something here listens on, and some that nothing does."""

Way = tuple[str, str, Port]
"""Who, whom, and by which port."""


def open_ways(objects: Objects) -> set[Way]:
    """Every way from or to a pod of our namespace that the policies of an overlay leave open."""
    everybody = _ends(objects)
    network = Network((OURS, each) for each in (*of_kind(objects, "NetworkPolicy"), _OPEN))
    return {
        (caller, callee, port)
        for caller, callee in asked(everybody)
        for port in PORTS
        if network.allows(everybody[caller], everybody[callee], port)
    }


def asked(everybody: Iterable[str]) -> list[tuple[str, str]]:
    """Pairs of which one at least is in our namespace; nobody is asked about itself."""
    names = list(everybody)
    return [
        (one, other)
        for one in names
        for other in names
        if one != other and not INSIDE.keys().isdisjoint((one, other))
    ]


def _ends(objects: Objects) -> dict[str, End]:
    given = _given(objects)
    own = {name: (OURS, given.get(labels[NAME], labels)) for name, labels in INSIDE.items()}
    pods: dict[str, End] = {
        name: Pod(name, namespace, labels, _address(number))
        for number, (name, (namespace, labels)) in enumerate((own | AROUND).items())
    }
    return pods | {each: ip_address(each) for each in OUTSIDE}


def _given(objects: Objects) -> dict[str, Labels]:
    """The labels of the pods that an overlay makes, by their workload's name."""
    return {
        each["metadata"]["name"]: each["spec"]["template"]["metadata"]["labels"]
        for each in workloads(objects)
    }


def _address(number: int) -> Address:
    return ip_address(f"10.244.0.{number + 1}")
