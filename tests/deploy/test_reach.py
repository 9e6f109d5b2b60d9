"""What the network policies of each overlay let through together: what is listed, and no more."""

import subprocess
from pathlib import Path

import pytest

from tests.deploy.manifests import (
    K8S,
    Objects,
    annotations,
    composed,
    documents,
    need_kubectl,
    of_kind,
    rendered,
    the,
)
from tests.deploy.neighbours import (
    AROUND,
    CONTROL_PLANE,
    INSIDE,
    METADATA,
    OUTSIDE,
    PORTS,
    PUBLIC,
    SERVICE,
    Way,
    asked,
    open_ways,
)
from tests.deploy.network import Port
from tests.deploy.test_policy import GONE, Change, put

DEV, OBSERVED, PROD = "dev", "observed", "prod"
SHOWN, TWILIO = "prod and observability", "prod and twilio"
BINDINGS = "prod and bindings"
ALL = (DEV, OBSERVED, PROD, SHOWN, TWILIO, BINDINGS)
"""Three overlays, and the pattern of production with what it may take besides."""

Names = tuple[str, ...]

FACTS: list[tuple[Names, Names, tuple[int, ...], Names]] = [
    # Who, whom, by which ports, in which overlays. A port is the pod's own, not its Service's.
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
    """The ways that the table leaves open in an overlay, and those of everybody."""
    return everywhere() | {
        (who, whom, Port(port))
        for callers, callees, ports, where in FACTS
        if name in where
        for who in callers
        for whom in callees
        if who != whom
        for port in ports
    }


def everywhere() -> set[Way]:
    """All ask the DNS; and the one with a policy of its own meets all that have none."""
    names = {(who, "dns", Port(53, protocol)) for who in INSIDE for protocol in ("TCP", "UDP")}
    own = {("open stranger", whom, port) for whom in (*AROUND, *OUTSIDE) for port in PORTS}
    return names | own | {(whom, who, port) for who, whom, port in own}


def made(name: str) -> Objects:
    """The objects of an overlay, or of production with one component."""
    overlay, _, component = name.partition(" and ")
    if not component:
        return rendered(overlay)
    need_kubectl()
    return documents(composed(overlay, component))


@pytest.mark.parametrize("name", ALL)
def test_what_is_listed_is_open_and_nothing_else_is(name: str):
    """Each way between pods of ours, others and addresses is open where the table says so."""
    found, wanted = open_ways(made(name)), listed(name)

    assert sorted(map(str, found - wanted)) == []
    assert sorted(map(str, wanted - found)) == []


@pytest.mark.parametrize(
    ("caller", "callee", "port"),
    [
        *(("service", each, port) for each in METADATA for port in (80, 443)),
        ("service", "10.96.0.1", 443),  # The API server.
        ("service", "1.1.1.1", 80),
        ("stranger", "valkey", 6379),
        ("false agent-actors", "valkey", 6379),
        *(("stranger", "service", port) for port in (3500, 3501, 8000, 50001, 50002)),
        *(("open stranger", "service", port) for port in (3500, 3501, 8000, 50001, 50002)),
        *(("gateway", "service", port) for port in (3500, 9090, 50001, 50002)),
        ("false caller", "service", 8000),
        ("false prometheus", "service", 8000),
        ("caller", "valkey", 6379),
        ("gateway", "grafana", 3000),
        ("service", "jaeger", 4317),  # By the collector only.
    ],
)
def test_walls_are_asked_for(caller: str, callee: str, port: int):
    """What must never be open is among what is tried, and no overlay lists it."""
    way = (caller, callee, Port(port))

    assert (caller, callee) in asked((*INSIDE, *AROUND, *OUTSIDE))
    assert Port(port) in PORTS
    assert not [name for name in ALL if way in listed(name)]


def test_the_sidecar_finds_dapr_behind_its_services():
    """The ports that are open are those of the pods behind the chart's Services, which differ."""
    chart = dapr()
    behind = {
        (each["metadata"]["name"], port["port"]): port.get("targetPort", port["port"])
        for each in of_kind(chart, "Service")
        for port in each["spec"]["ports"]
    }
    dialled = (
        ("dapr-api", 443),
        ("dapr-sentry", 443),
        ("dapr-placement-server", 50005),
        ("dapr-scheduler-server-a", 443),
        ("dapr-scheduler-server", 50006),  # Each of its pods by its own name.
    )
    (opened,) = [ports for who, whom, ports, _ in FACTS if (who, whom) == (SERVICE, CONTROL_PLANE)]

    assert sorted(opened) == sorted({behind[each] for each in dialled})


@pytest.mark.parametrize("name", ALL)
def test_the_sidecar_listens_where_its_injector_says(name: str):
    """No annotation moves it away from 3500, 3501, 50001 and 50002, which the table has."""
    moved = {"http-port", "grpc-port", "internal-grpc-port", "sidecar-listen-addresses"}

    assert not moved & set(annotations(made(name)))
    assert annotations(made(name))["metrics-port"] == "9090"


def dapr() -> Objects:
    """Dapr's chart with our values, as `make kubernetes` has put it there."""
    (helm, *_) = [*Path.home().glob(".cache/agent-actors/kubernetes-*/helm"), None]
    if helm is None:
        pytest.skip("Dapr's chart is not here: `make kubernetes` copies it")
    words = ["template", "dapr", str(helm.parent / "chart"), "-f", str(K8S / "dapr-values.yaml")]
    done = subprocess.run(
        [str(helm), *words], capture_output=True, text=True, timeout=60, check=True
    )
    return documents(done.stdout)


def policy(name: str, path: str, value: object) -> Change:
    """An edit of one policy."""
    return put("NetworkPolicy", name, f"spec/{path}", value)


def gone(name: str) -> Change:
    """Takes a policy away."""
    return lambda objects: objects.remove(the(objects, "NetworkPolicy", name))


def one_peer_of_two(objects: Objects) -> None:
    """A dash is left out: who may call is now a labelled pod in a labelled namespace."""
    (rule, *_) = the(objects, "NetworkPolicy", "agent-actors")["spec"]["ingress"]
    pods, namespaces = rule["from"]
    rule["from"] = [pods | namespaces]


BLOCK = "egress/3/to/0/ipBlock"
SERVICES = "ingress/0/from/0/podSelector"
CARELESS: dict[str, tuple[str, Change]] = {
    "exceptions dropped": (PROD, policy("agent-actors", f"{BLOCK}/except", GONE)),
    "a range forgotten": (PROD, policy("agent-actors", f"{BLOCK}/except/2", GONE)),
    "a range too wide": (PROD, policy("agent-actors", f"{BLOCK}/except/3", "172.0.0.0/8")),
    "any port outside": (PROD, policy("agent-actors", "egress/3/ports", GONE)),
    "a span of ports": (PROD, policy("agent-actors", "egress/3/ports/0/endPort", 9000)),
    "UDP for TCP": (PROD, policy("agent-actors", "egress/1/ports/0/protocol", "UDP")),
    "version 6 as well": (PROD, policy("agent-actors", "egress/3/to/0/ipBlock", {"cidr": "::/0"})),
    "sidecars of anybody": (PROD, policy("agent-actors", "ingress/1/from/0/podSelector", {})),
    "a label misspelt": (
        PROD,
        policy(
            "agent-actors",
            "ingress/0/from/1/namespaceSelector",
            {"matchLabels": {"agent-actors/may_call": "true"}},
        ),
    ),
    "callers of anywhere": (PROD, policy("agent-actors", "ingress/0/from/1/namespaceSelector", {})),
    "a peer removed": (PROD, policy("agent-actors", "ingress/0/from/0", GONE)),
    "a dash left out": (PROD, one_peer_of_two),
    "the port of a Service": (PROD, policy("agent-actors", "egress/2/ports/0/port", 443)),
    "placement forgotten": (PROD, policy("agent-actors", "egress/2/ports/1", GONE)),
    "Dapr in any namespace": (PROD, policy("agent-actors", "egress/2/to/0/namespaceSelector", {})),
    "one direction only": (PROD, policy("agent-actors", "policyTypes", ["Egress"])),
    "DNS of our namespace": (PROD, policy("dns", "egress/0/to/0/namespaceSelector", GONE)),
    "all of kube-system": (PROD, policy("dns", "egress/0/to/0/podSelector", GONE)),
    "DNS by TCP only": (PROD, policy("dns", "egress/0/ports/0", GONE)),
    "another Valkey": (
        PROD,
        policy("valkey", "podSelector", {"matchLabels": {"app.kubernetes.io/name": "redis"}}),
    ),
    "a Valkey for all": (PROD, policy("valkey", SERVICES, {})),
    "a wall with one side": (PROD, policy("default-deny", "policyTypes", ["Egress"])),
    "a wall around some": (
        PROD,
        policy(
            "default-deny",
            "podSelector/matchLabels",
            {"app.kubernetes.io/part-of": "agent-actors"},
        ),
    ),
    "no wall": (PROD, gone("default-deny")),
    "callers kept in": (PROD, gone("agent-actors-callers")),
    "callers let out": (PROD, policy("agent-actors-callers", "egress/0/to", GONE)),
    "a dashboard for all": (DEV, policy("dashboard", "ingress/0/from/0/namespaceSelector", {})),
    "spans to anybody": (OBSERVED, policy("otel-collector", "egress/0/to/0/podSelector", {})),
    "traces of anybody": (OBSERVED, policy("jaeger", SERVICES, {})),
    "metrics unseen": (OBSERVED, policy("prometheus", "egress/0/ports/1", GONE)),
    "a broker of our namespace": (
        BINDINGS,
        policy("agent-actors-kafka", "egress/0/to/0/namespaceSelector", GONE),
    ),
    "any broker": (BINDINGS, policy("agent-actors-kafka", "egress/0/to/0/podSelector", GONE)),
}


@pytest.mark.parametrize("edit", CARELESS)
def test_a_careless_edit_is_seen(edit: str):
    """Each such edit opens a way that the table does not list, or shuts one that it does."""
    name, change = CARELESS[edit]
    objects = made(name)
    change(objects)

    assert open_ways(objects) != listed(name)
