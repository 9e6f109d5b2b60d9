"""The evaluator of NetworkPolicies judges small ones as Kubernetes documents them."""

from ipaddress import ip_address
from typing import Any

import pytest

from tests.deploy.network import Namespace, Network, Object, Pod, Port, UnknownFormError

HERE = Namespace("here", {"team": "us"})
THERE = Namespace("there", {"team": "them"})
WEB, METRICS = Port(8000, name="web"), Port(9090, name="metrics")
ONE = Pod("one", HERE, {"app": "one"}, ip_address("10.0.0.1"), (WEB, METRICS))
TWO = Pod("two", HERE, {"app": "two"}, ip_address("10.0.0.2"))
AWAY = Pod("away", THERE, {"app": "two"}, ip_address("10.0.1.2"), (Port(81, name="web"),))
PUBLIC, METADATA = ip_address("1.1.1.1"), ip_address("169.254.169.254")
APP = {"podSelector": {"matchLabels": {"app": "two"}}}
THEM = {"namespaceSelector": {"matchLabels": {"team": "them"}}}


def network(*specs: Object) -> Network:
    return Network((HERE, {"spec": spec}) for spec in specs)


def into(*rules: Object, of: Object | None = None) -> dict[str, Any]:
    return {"podSelector": of or {}, "policyTypes": ["Ingress"], "ingress": list(rules)}


def out_of(*rules: Object) -> dict[str, Any]:
    return {"podSelector": {}, "policyTypes": ["Egress"], "egress": list(rules)}


def test_without_a_policy_all_is_open():
    """A pod that no policy selects speaks with everybody."""
    assert network().allows(ONE, TWO, WEB)
    assert network(into(of={"matchLabels": {"app": "two"}})).allows(TWO, ONE, WEB)
    assert network(into()).allows(TWO, AWAY, WEB)


def test_a_policy_without_rules_shuts_its_direction():
    """Who is selected is refused what no rule allows, in that direction only, but not itself."""
    shut = network(into(of={"matchLabels": {"app": "one"}}))

    assert not shut.allows(TWO, ONE, WEB)
    assert not shut.allows(PUBLIC, ONE, WEB)
    assert shut.allows(ONE, TWO, WEB)
    assert shut.allows(ONE, ONE, WEB)


def test_policies_add_up():
    """What one policy allows, no other takes back."""
    assert network(into(), into({})).allows(TWO, ONE, WEB)
    assert network(into({}), into()).allows(TWO, ONE, WEB)


def test_both_ends_have_to_agree():
    """A connection needs the egress of the one and the ingress of the other."""
    assert not network(into({}), out_of()).allows(TWO, ONE, WEB)
    assert not network(into(), out_of({})).allows(TWO, ONE, WEB)
    assert network(into({}), out_of({})).allows(TWO, ONE, WEB)


@pytest.mark.parametrize(
    ("spec", "directions"),
    [
        ({"podSelector": {}}, "in"),
        ({}, "in"),
        ({"egress": []}, "in"),
        ({"egress": [{"to": [APP]}]}, "in out"),
        ({"policyTypes": [], "egress": [{"to": [APP]}]}, "in out"),
        ({"policyTypes": ["Egress"]}, "out"),
        ({"policyTypes": ["Egress"], "ingress": [{}]}, "out"),
        ({"policyTypes": ["Ingress", "Egress"]}, "in out"),
    ],
)
def test_directions_have_defaults(spec: Object, directions: str):
    """A policy that names none is of ingress, and of egress if it has such a rule."""
    assert network(spec).allows(PUBLIC, ONE, WEB) is ("in" not in directions)
    assert network(spec).allows(ONE, PUBLIC, WEB) is ("out" not in directions)


@pytest.mark.parametrize(
    ("peers", "allowed"),
    [
        ([], "two away public"),
        ([{"podSelector": {}}], "two"),
        ([APP], "two"),
        ([{"podSelector": {"matchLabels": {"app": "three"}}}], ""),
        ([{"namespaceSelector": {}}], "two away"),
        ([THEM], "away"),
        ([{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "here"}}}], "two"),
        ([THEM | APP], "away"),
        ([THEM | {"podSelector": {"matchLabels": {"app": "three"}}}], ""),
        ([THEM, APP], "two away"),
        ([{"ipBlock": {"cidr": "0.0.0.0/0"}}], "two away public"),
        ([{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}}], "public"),
        ([{"ipBlock": {"cidr": "10.0.1.0/24"}}], "away"),
        ([{"ipBlock": {"cidr": "::/0"}}], ""),
    ],
)
def test_peers_are_chosen(peers: list[Object], allowed: str):
    """Selectors choose pods and blocks addresses; two in one peer are both asked for."""
    others = {"two": TWO, "away": AWAY, "public": PUBLIC}
    entering, leaving = network(into({"from": peers})), network(out_of({"to": peers}))

    for name, other in others.items():
        assert entering.allows(other, ONE, WEB) is (name in allowed), name
        assert leaving.allows(ONE, other, WEB) is (name in allowed), name


@pytest.mark.parametrize(
    ("expressions", "chosen"),
    [
        ([{"key": "app", "operator": "In", "values": ["one", "two"]}], True),
        ([{"key": "app", "operator": "In", "values": ["one"]}], False),
        ([{"key": "tier", "operator": "In", "values": ["one"]}], False),
        ([{"key": "app", "operator": "NotIn", "values": ["two"]}], False),
        ([{"key": "tier", "operator": "NotIn", "values": ["two"]}], True),
        ([{"key": "app", "operator": "Exists"}], True),
        ([{"key": "tier", "operator": "Exists"}], False),
        ([{"key": "app", "operator": "DoesNotExist"}], False),
        ([{"key": "tier", "operator": "DoesNotExist"}], True),
        ([{"key": "app", "operator": "Exists"}, {"key": "tier", "operator": "Exists"}], False),
    ],
)
def test_expressions_choose(expressions: list[Object], chosen: bool):
    """Every expression has to hold; a label that is missing is in no list."""
    peer = {"podSelector": {"matchExpressions": expressions}}

    assert network(into({"from": [peer]})).allows(TWO, ONE, WEB) is chosen


def test_labels_and_expressions_are_both_asked():
    """A selector with both chooses what both choose."""
    exists = {"matchExpressions": [{"key": "app", "operator": "Exists"}]}

    for app, chosen in (("two", True), ("one", False)):
        peer = {"podSelector": {"matchLabels": {"app": app}} | exists}
        assert network(into({"from": [peer]})).allows(TWO, ONE, WEB) is chosen


@pytest.mark.parametrize(
    ("ports", "port", "opened"),
    [
        ([], Port(5), True),
        ([], Port(5, "UDP"), True),
        ([{"port": 8000}], WEB, True),
        ([{"port": 8000}], METRICS, False),
        ([{"port": 8000}], Port(8000, "UDP"), False),
        ([{"port": 53, "protocol": "UDP"}], Port(53, "UDP"), True),
        ([{"port": 53, "protocol": "UDP"}], Port(53), False),
        ([{"protocol": "UDP"}], Port(5, "UDP"), True),
        ([{"protocol": "UDP"}], Port(5), False),
        ([{"port": 8000, "endPort": 8002}], Port(8002), True),
        ([{"port": 8000, "endPort": 8002}], Port(8003), False),
        ([{"port": 8000}, {"port": 9090}], METRICS, True),
        ([{"port": "web"}], WEB, True),
        ([{"port": "web"}], METRICS, False),
        ([{"port": "web"}], Port(81), False),
        ([{"port": "web"}], Port(8000, "UDP"), False),
        ([{"port": "web", "protocol": "UDP"}], WEB, False),
    ],
)
def test_ports_are_chosen(ports: list[Object], port: Port, opened: bool):
    """By number, span, name or protocol, which is TCP unless said otherwise."""
    asked = Port(port.number, port.protocol)

    assert network(into({"ports": ports})).allows(TWO, ONE, asked) is opened


def test_a_named_port_is_the_callees():
    """Where somebody may go, the name is one of the container that is called."""
    leaving = network(out_of({"ports": [{"port": "web"}]}))

    assert leaving.allows(ONE, AWAY, Port(81))
    assert not leaving.allows(ONE, AWAY, Port(8000))
    assert not leaving.allows(ONE, PUBLIC, Port(8000))


def test_what_is_excepted_may_be_allowed_by_another_rule():
    """An exception is one to its own block only."""
    narrow = {"ipBlock": {"cidr": "0.0.0.0/0", "except": ["169.254.0.0/16"]}}
    wide = {"ipBlock": {"cidr": "169.254.169.254/32"}}

    assert not network(out_of({"to": [narrow]})).allows(ONE, METADATA, Port(80))
    assert network(out_of({"to": [narrow, wide]})).allows(ONE, METADATA, Port(80))


@pytest.mark.parametrize(
    "spec",
    [
        {"podSelector": {"matchLabel": {}}},
        {"podSelector": None},
        {"policyTypes": ["Inwards"]},
        {"rules": []},
        into({"to": [APP]}),
        into({"from": None}),
        into({"from": [{}]}),
        into({"from": [{"serviceSelector": {}}]}),
        into({"from": [{"ipBlock": {"cidr": "0.0.0.0/0"}} | APP]}),
        into({"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["11.0.0.0/16"]}}]}),
        into({"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["fd00::/16"]}}]}),
        into({"from": [{"podSelector": {"matchExpressions": [{"key": "a", "operator": "Gt"}]}}]}),
        into({"from": [{"podSelector": {"matchExpressions": [{"key": "a", "operator": "In"}]}}]}),
        into({"ports": [{"port": "8000"}]}),
        into({"ports": [{"port": 8002, "endPort": 8000}]}),
        into({"ports": [{"port": "web", "endPort": 8000}]}),
        into({"ports": [{"endPort": 8000}]}),
        into({"ports": [{"protocol": "ICMP"}]}),
        into({"ports": [{"number": 8000}]}),
    ],
)
def test_what_is_not_understood_is_refused(spec: Object):
    """A form that is unknown, or that Kubernetes would refuse, is never passed over."""
    with pytest.raises(UnknownFormError):
        network(spec)
