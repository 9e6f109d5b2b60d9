"""What the network policies of each overlay allow together: what the table lists, and no more."""

import subprocess
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import ValidationError

from tests.deploy.manifests import (
    GONE,
    K8S,
    SHOWN,
    Objects,
    documents,
    edited,
    of_kind,
    rendered,
    workloads,
)
from tests.deploy.network import End, Labels, Network, Object, Port

DEV, OBSERVED, PROD = "dev", "observed", "prod"
TWILIO, BINDINGS = "prod and twilio", "prod and bindings"
ALL = (DEV, OBSERVED, PROD, SHOWN, TWILIO, BINDINGS)

# --- Who is there.
NAME = "app.kubernetes.io/name"
MAY_CALL = {"agent-actors/may-call": "true"}
NAMESPACE: Object = yaml.safe_load((K8S / "namespace.yaml").read_text(encoding="utf-8"))["metadata"]
DAPR, KUBE, GATEWAY, ELSEWHERE = "dapr-system", "kube-system", "gateway", "elsewhere"

SERVICE = ("service", "replica")
INSIDE: dict[str, Labels] = {
    **{each: {NAME: "agent-actors"} for each in SERVICE},
    **{each: {NAME: each} for each in ("valkey", "jaeger", "prometheus", "grafana", "stranger")},
    "collector": {NAME: "otel-collector"},
    "broker here": {NAME: "kafka"},
    "caller": {NAME: "shop"} | MAY_CALL,
    "open stranger": {NAME: "open"},
}
"""Pods of the service's namespace, also those that an overlay lacks: a free name is open to nobody.

A policy of its own lets the open stranger through, so that only our policies refuse it.
"""
OPEN = {
    "podSelector": {"matchLabels": {NAME: "open"}},
    "policyTypes": ["Ingress", "Egress"],
    "ingress": [{}],
    "egress": [{}],
}
CONTROL_PLANE = ("operator", "placement", "scheduler", "sentry", "injector", "dashboard")
AROUND: dict[str, tuple[str, Labels]] = {
    "dns": (KUBE, {"k8s-app": "kube-dns"}),
    "metrics server": (KUBE, {"k8s-app": "metrics-server"}),
    **{each: (DAPR, {NAME: "dapr", "app": f"dapr-{each}"}) for each in CONTROL_PLANE},
    "gateway": (GATEWAY, {NAME: "ingress-nginx"}),
    "broker": (ELSEWHERE, {NAME: "kafka"}),
    # Anybody can label pods of another namespace like ours.
    "false dns": (ELSEWHERE, {"k8s-app": "kube-dns"}),
    "false caller": (ELSEWHERE, MAY_CALL),
    "false operator": (ELSEWHERE, {NAME: "dapr", "app": "dapr-operator"}),
    **{
        f"false {each}": (ELSEWHERE, {NAME: each})
        for each in ("agent-actors", "valkey", "otel-collector", "jaeger", "prometheus", "grafana")
    },
}
"""Pods of other namespaces, which have no policies."""

PUBLIC = (  # Servers of models; most of these addresses are next to a range that is not public.
    *("1.1.1.1", "9.255.255.255", "11.0.0.1", "100.63.255.255", "100.128.0.1", "169.253.0.1"),
    *("169.255.0.1", "172.15.0.1", "172.32.0.1", "192.0.1.1", "192.167.0.1", "192.169.0.1"),
    *("198.17.0.1", "198.20.0.1"),
)
METADATA = ("169.254.169.254", "169.254.170.2", "100.100.100.200", "fd00:ec2::254")
"""Clouds give a machine its credentials there."""
PRIVATE = (
    # The API server, and ranges that clusters and offices use.
    *("10.96.0.1", "10.255.255.255", "172.16.0.1", "172.31.0.1", "192.168.49.2", "100.64.0.1"),
    # Reserved ranges, which some clouds use for pods and services.
    *("192.0.0.192", "198.18.0.1", "198.19.255.255", "240.0.0.1"),
    # The policies name no address of version 6, so none is reached.
    *("2606:4700:4700::1111", "fd00::1", "fe80::1"),
)
OUTSIDE = (*PUBLIC, *METADATA, *PRIVATE)
PORTS: list[Port] = [
    *((number, protocol) for number in (53, 443) for protocol in ("TCP", "UDP")),
    *((number, "TCP") for number in (22, 80, 2379, 3000, 3500, 3501, 4000, 4317, 4318, 6379)),
    *((number, "TCP") for number in (6500, 8000, 8080, 8201, 9090, 9092, 16686)),
    *((number, "TCP") for number in (50001, 50002, 50005, 50006)),
]
"""Every port that something listens on, and some that nothing does."""

# --- What is open.
Way = tuple[str, str, Port]
"""Caller, callee and port."""
Names = tuple[str, ...]
OPEN_WAYS: list[tuple[Names, Names, tuple[int, ...], Names]] = [
    # Callers, callees, ports and overlays. A port is the pod's, not that of its Service.
    (SERVICE, ("valkey",), (6379,), ALL),
    (SERVICE, SERVICE, (50002,), ALL),  # Sidecars of other replicas, for the actors there.
    (SERVICE, CONTROL_PLANE, (6500, 50001, 50005, 50006), ALL),
    (SERVICE, PUBLIC, (443,), ALL),
    (("caller", "gateway"), SERVICE, (8000,), ALL),
    (CONTROL_PLANE, SERVICE, (3501,), (DEV, OBSERVED)),  # Dapr's dashboard is one of them.
    (SERVICE, ("collector",), (4317, 4318), (OBSERVED, SHOWN)),
    (("collector",), ("jaeger",), (4317,), (OBSERVED, SHOWN)),
    (("prometheus",), SERVICE, (8000, 9090), (OBSERVED, SHOWN)),
    (("grafana",), ("prometheus",), (9090,), (OBSERVED, SHOWN)),
    (("grafana",), ("jaeger",), (16686,), (OBSERVED, SHOWN)),
    (SERVICE, ("broker", "broker here"), (9092,), (BINDINGS,)),
]


def listed(name: str) -> set[Way]:
    """The ways that are open in an overlay by the table, and those that are open in all."""
    dns = {(who, "dns", (53, protocol)) for who in INSIDE for protocol in ("TCP", "UDP")}
    own = {("open stranger", whom, port) for whom in (*AROUND, *OUTSIDE) for port in PORTS}
    return (
        dns
        | own
        | {(whom, who, port) for who, whom, port in own}
        | {
            (who, whom, (port, "TCP"))
            for callers, callees, ports, where in OPEN_WAYS
            if name in where
            for who in callers
            for whom in callees
            if who != whom
            for port in ports
        }
    )


def pairs() -> list[tuple[str, str]]:
    """Callers and callees of which at least one is in our namespace."""
    names = (*INSIDE, *AROUND, *OUTSIDE)
    return [(a, b) for a in names for b in names if a != b and (a in INSIDE or b in INSIDE)]


def open_ways(objects: Objects) -> set[Way]:
    """Every way from or to our namespace that the policies of an overlay leave open."""
    given = {each["metadata"]["name"]: labels_of(each) for each in workloads(objects)}
    own = {
        name: (NAMESPACE["name"], given.get(labels[NAME], labels))
        for name, labels in INSIDE.items()
    }
    spaces: dict[str, Labels] = {GATEWAY: MAY_CALL, NAMESPACE["name"]: NAMESPACE["labels"]}
    ends = {each: End(ip_address(each)) for each in OUTSIDE}
    for number, (name, (space, labels)) in enumerate((own | AROUND).items(), start=1):
        ends[name] = End(ip_address(f"10.244.0.{number}"), space, labels, spaces.get(space, {}))
    policies = [*of_kind(objects, "NetworkPolicy"), {"spec": OPEN}]
    network = Network(NAMESPACE["name"], policies, PORTS)
    return {(a, b, port) for a, b in pairs() for port in network.ports(ends[a], ends[b])}


def labels_of(workload: Mapping[str, Any]) -> Labels:
    labels: Labels = workload["spec"]["template"]["metadata"]["labels"]
    return labels


@pytest.mark.parametrize("name", ALL)
def test_what_is_listed_is_open_and_nothing_else_is(name: str):
    """For every pair of pods and addresses, the table says which ports are open."""
    found, wanted = open_ways(rendered(name)), listed(name)

    assert sorted(map(str, found - wanted)) == []
    assert sorted(map(str, wanted - found)) == []


@pytest.mark.parametrize(
    ("callers", "callees", "ports"),
    [
        (("service",), METADATA, (80, 443)),
        (("service",), ("10.96.0.1",), (443,)),  # The API server.
        (("service",), ("1.1.1.1",), (80,)),
        (("stranger", "false agent-actors", "caller"), ("valkey",), (6379,)),
        (("stranger", "open stranger"), ("service",), (3500, 3501, 8000, 50001, 50002)),
        (("gateway",), ("service",), (3500, 9090, 50001, 50002)),
        (("false caller", "false prometheus"), ("service",), (8000,)),
        (("gateway",), ("grafana",), (3000,)),
        (("service",), ("jaeger",), (4317,)),  # Through the collector only.
    ],
)
def test_what_must_never_be_open_is_tried(callers: Names, callees: Names, ports: tuple[int, ...]):
    """These ways are among those that are tried, and no overlay lists one."""
    for way in [(a, b, (port, "TCP")) for a in callers for b in callees for port in ports]:
        assert way[:2] in pairs()
        assert way[2] in PORTS
        assert not [name for name in ALL if way in listed(name)]


def test_the_sidecar_finds_dapr_behind_its_services():
    """The open ports are those of the pods behind the Services of Dapr's chart."""
    behind = {
        (each["metadata"]["name"], port["port"]): port.get("targetPort", port["port"])
        for each in of_kind(dapr(), "Service")
        for port in each["spec"]["ports"]
    }
    called = (
        ("dapr-api", 443),
        ("dapr-sentry", 443),
        ("dapr-placement-server", 50005),
        ("dapr-scheduler-server-a", 443),
        ("dapr-scheduler-server", 50006),  # Each of its pods by its own name.
    )
    (opened,) = [ports for a, b, ports, _ in OPEN_WAYS if (a, b) == (SERVICE, CONTROL_PLANE)]

    assert sorted(opened) == sorted({behind[each] for each in called})


def dapr() -> Objects:
    """Dapr's chart with our values; `make kubernetes` copies it."""
    (helm, *_) = [*Path.home().glob(".cache/agent-actors/kubernetes-*/helm"), None]
    if helm is None:
        pytest.skip("Dapr's chart is not installed: `make kubernetes` copies it")
    words = ["template", "dapr", str(helm.parent / "chart"), "-f", str(K8S / "dapr-values.yaml")]
    done = subprocess.run(
        [str(helm), *words], capture_output=True, text=True, timeout=60, check=True
    )
    return documents(done.stdout)


BLOCK = "egress 3 to 0 ipBlock"
PART_OF = {"matchLabels": {"app.kubernetes.io/part-of": "agent-actors"}}
EDITS: list[tuple[str, str, str, Any]] = [
    # The overlay, its policy, and one field with a careless value.
    (PROD, "agent-actors", f"{BLOCK} except", GONE),
    (PROD, "agent-actors", f"{BLOCK} except 2", GONE),
    (PROD, "agent-actors", f"{BLOCK} except 3", "172.0.0.0/8"),
    (PROD, "agent-actors", BLOCK, {"cidr": "::/0"}),
    (PROD, "agent-actors", "egress 3 ports", GONE),
    (PROD, "agent-actors", "egress 1 ports 0 protocol", "UDP"),
    (PROD, "agent-actors", "egress 2 ports 0 port", 443),  # Of the Service, not of the pod.
    (PROD, "agent-actors", "egress 2 ports 1", GONE),
    (PROD, "agent-actors", "egress 2 to 0 namespaceSelector", {}),
    (PROD, "agent-actors", "ingress 1 from 0 podSelector", {}),
    (PROD, "agent-actors", "ingress 0 from 1 namespaceSelector", {}),
    (
        PROD,
        "agent-actors",
        "ingress 0 from",  # A dash is missing: a labelled pod in a labelled namespace.
        [
            {
                "podSelector": {"matchLabels": MAY_CALL},
                "namespaceSelector": {"matchLabels": MAY_CALL},
            }
        ],
    ),
    (PROD, "agent-actors", "policyTypes", ["Egress"]),
    (PROD, "dns", "egress 0 to 0 namespaceSelector", GONE),
    (PROD, "dns", "egress 0 ports 0", GONE),
    (PROD, "valkey", "podSelector", {"matchLabels": {NAME: "redis"}}),
    (PROD, "valkey", "ingress 0 from 0 podSelector", {}),
    (PROD, "default-deny", "policyTypes", ["Egress"]),
    (PROD, "default-deny", "podSelector", PART_OF),
    (PROD, "agent-actors-callers", "egress 0 to", GONE),
    (PROD, "agent-actors-callers", "egress", []),
    (DEV, "dashboard", "ingress 0 from 0 namespaceSelector", {}),
    (OBSERVED, "otel-collector", "egress 0 to 0 podSelector", {}),
    (OBSERVED, "prometheus", "egress 0 ports 1", GONE),
    (BINDINGS, "agent-actors-kafka", "egress 0 to 0 podSelector", GONE),
]


@pytest.mark.parametrize(("name", "policy", "path", "value"), EDITS)
def test_a_careless_edit_is_noticed(name: str, policy: str, path: str, value: Any):
    """It opens a way that the table does not list, or closes one that it does."""
    objects = edited(name, f"NetworkPolicy {policy}", f"spec {path}", value)

    assert open_ways(objects) != listed(name)


# --- The evaluator itself, by small policies.
HERE = "here"
ONE = End(ip_address("10.0.0.1"), HERE, {"app": "one"})
ENDS = {
    "two": End(ip_address("10.0.0.2"), HERE, {"app": "two"}),
    "away": End(ip_address("10.0.1.2"), "there", {"app": "two"}, {"team": "them"}),
    "public": End(ip_address("1.1.1.1")),
}
TWO = {"podSelector": {"matchLabels": {"app": "two"}}}
THREE = {"podSelector": {"matchLabels": {"app": "three"}}}
THEM = {"namespaceSelector": {"matchLabels": {"team": "them"}}}
WEB, DNS = (8000, "TCP"), (53, "UDP")


def small(*specs: Object) -> Network:
    return Network(HERE, ({"spec": {"podSelector": {}, **spec}} for spec in specs), (WEB, DNS))


def into(*rules: Object) -> dict[str, Any]:
    return {"policyTypes": ["Ingress"], "ingress": [*rules]}


def out_of(*rules: Object) -> dict[str, Any]:
    return {"policyTypes": ["Egress"], "egress": [*rules]}


@pytest.mark.parametrize(
    ("specs", "callers"),
    [
        ([], "two away public"),
        ([into()], ""),
        ([into(), into({})], "two away public"),  # What one policy allows, no other takes back.
        ([out_of()], "away public"),  # The caller's egress counts, where policies select it.
        ([out_of({}), into()], ""),
        ([into() | {"podSelector": {"matchLabels": {"app": "two"}}}], "two away public"),
        ([into({"ports": [{"port": 8000, "protocol": "TCP"}]})], "two away public"),
        ([into({"ports": [{"port": 8000, "protocol": "UDP"}]})], ""),
        *(
            ([into({"from": peers})], callers)
            for peers, callers in [
                ([], "two away public"),
                ([{"podSelector": {}}], "two"),
                ([TWO], "two"),
                ([THREE], ""),
                ([{"namespaceSelector": {}}], "two away"),
                ([THEM], "away"),
                ([{**THEM, **TWO}], "away"),
                ([{**THEM, **THREE}], ""),
                ([THEM, TWO], "two away"),
                ([{"ipBlock": {"cidr": "0.0.0.0/0"}}], "two away public"),
                ([{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}}], "public"),
                ([{"ipBlock": {"cidr": "::/0"}}], ""),
            ]
        ),
    ],
)
def test_policies_are_judged_as_kubernetes_documents_them(specs: list[Object], callers: str):
    """Each small set of policies lets exactly these callers reach the web port of one pod."""
    network = small(*specs)

    assert [name for name in ENDS if WEB in network.ports(ENDS[name], ONE)] == callers.split()
    assert network.ports(ONE, ONE) == {WEB, DNS}


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"policyTypes": ["Ingress"], "rules": []},
        {"policyTypes": ["Ingress"], "podSelector": None},
        into({"to": [TWO]}),
        into({"from": None}),
        into({"from": [{}]}),
        into({"from": [{"serviceSelector": {}}]}),
        into({"from": [{"podSelector": {"matchExpressions": []}}]}),
        into({"from": [{"ipBlock": {"cidr": "0.0.0.0/0"}} | TWO]}),
        into({"ports": [{"port": "web", "protocol": "TCP"}]}),
        into({"ports": [{"port": 8000, "endPort": 9000, "protocol": "TCP"}]}),
        into({"ports": [{"port": 8000, "protocol": "ICMP"}]}),
    ],
)
def test_a_form_that_is_not_supported_is_refused(spec: Object):
    """A policy is understood whole, or not at all."""
    with pytest.raises(ValidationError):
        small(spec)
