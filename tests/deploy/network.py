"""Who reaches whom by the NetworkPolicies of one namespace, as Kubernetes documents them.

The rules are those of "Network Policies" in its documentation:

* a pod that no policy of a direction selects is open in that direction; policies add up;
* a connection needs the egress of the caller and the ingress of the callee;
* `from` and `to`, or `ports`, that are empty or missing mean everybody, or every port;
* a peer with two selectors matches both; a selector of pods alone is of the policy's namespace;
* a pod reaches itself.

The node of a pod always reaches it (probes of the kubelet, a port-forward), so nodes are left out.
Our policies use a part of the API only, and everything else is refused: half a policy is another
policy.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import Any, Literal

from jsonschema import Draft202012Validator

Object = Mapping[str, Any]
Labels = Mapping[str, str]
Direction = Literal["Ingress", "Egress"]
Port = tuple[int, str]

_RULES: dict[Direction, tuple[str, str]] = {
    "Ingress": ("ingress", "from"),
    "Egress": ("egress", "to"),
}


def _form(*required: str, **optional: Object) -> dict[str, Any]:
    """The schema of an object without other keys."""
    form = {"type": "object", "properties": optional, "additionalProperties": False}
    return form | {"required": required, "minProperties": len(required)}


_SELECTOR = _form(matchLabels={"type": "object"})
_BLOCK = _form("cidr", cidr={"type": "string"}, **{"except": {"type": "array"}})
_PEER: Object = {
    "oneOf": [
        _form(podSelector=_SELECTOR, namespaceSelector=_SELECTOR) | {"minProperties": 1},
        _form("ipBlock", ipBlock=_BLOCK),
    ]
}
_PORT = _form("port", "protocol", port={"type": "integer"}, protocol={"enum": ["TCP", "UDP"]})


def _rules(key: str) -> Object:
    lists = {
        name: {"type": "array", "items": form} for name, form in ((key, _PEER), ("ports", _PORT))
    }
    return {"type": "array", "items": _form(**lists)}


SUPPORTED = Draft202012Validator(
    _form(
        *("podSelector", "policyTypes"),
        podSelector=_SELECTOR,
        policyTypes={"items": {"enum": ["Ingress", "Egress"]}},
        ingress=_rules("from"),
        egress=_rules("to"),
    )
)
"""The forms of a policy that are understood here."""


@dataclass(frozen=True, eq=False)
class End:
    """A pod, or an address outside of the cluster, which has neither labels nor a namespace."""

    address: IPv4Address | IPv6Address
    namespace: str = ""
    labels: Labels = field(default_factory=dict)
    given: Labels = field(default_factory=dict)
    """The labels of its namespace; Kubernetes adds the one with the name."""


@dataclass(frozen=True)
class _Rule:
    """One rule of a policy; no peers are everybody, and no ports every port."""

    peers: tuple[Object, ...]
    ports: frozenset[Port]


class Network:
    """The policies of one namespace, together.

    Args:
        namespace: Where they are.
        policies: The objects.
        ports: All that are of interest.

    Raises:
        ValidationError: A policy has a form that is not supported.
    """

    def __init__(self, namespace: str, policies: Iterable[Object], ports: Iterable[Port]) -> None:
        self._namespace = namespace
        self._every = frozenset(ports)
        self._policies = [_policy(each["spec"]) for each in policies]
        self._rules = cache(self._rules_of)

    def ports(self, caller: End, callee: End) -> frozenset[Port]:
        """The ports at which the one may connect to the other."""
        if caller is callee:
            return self._every
        return self._let(caller, "Egress", callee) & self._let(callee, "Ingress", caller)

    def _let(self, end: End, direction: Direction, other: End) -> frozenset[Port]:
        rules = self._rules(end, direction)
        if rules is None:
            return self._every
        matching = [rule for rule in rules if self._matches(rule, other)]
        return frozenset().union(*(rule.ports or self._every for rule in matching))

    def _rules_of(self, end: End, direction: Direction) -> list[_Rule] | None:
        """The rules of all policies that select a pod; None if no policy does."""
        chosen = [
            rules[direction]
            for labels, rules in self._policies
            if direction in rules
            and end.namespace == self._namespace
            and labels.items() <= end.labels.items()
        ]
        return [rule for rules in chosen for rule in rules] if chosen else None

    def _matches(self, rule: _Rule, end: End) -> bool:
        return not rule.peers or any(self._is(peer, end) for peer in rule.peers)

    def _is(self, peer: Object, end: End) -> bool:
        if "ipBlock" in peer:  # Addresses of pods as well: most networks look at the number only.
            block = peer["ipBlock"]
            outside = any(end.address in ip_network(each) for each in block.get("except", ()))
            return end.address in ip_network(block["cidr"]) and not outside
        here = {"matchLabels": {"kubernetes.io/metadata.name": self._namespace}}
        spaces = peer.get("namespaceSelector", here).get("matchLabels", {})
        own = {**end.given, "kubernetes.io/metadata.name": end.namespace}
        pods = peer.get("podSelector", {}).get("matchLabels", {})
        return bool(
            end.namespace and spaces.items() <= own.items() and pods.items() <= end.labels.items()
        )


def _policy(spec: Object) -> tuple[Labels, dict[Direction, list[_Rule]]]:
    """The labels that a policy selects, and its rules for each of its directions."""
    SUPPORTED.validate(spec)
    rules: dict[Direction, list[_Rule]] = {}
    for direction in spec["policyTypes"]:
        key, peers = _RULES[direction]
        rules[direction] = [
            _Rule(
                tuple(each.get(peers, ())),
                frozenset((port["port"], port["protocol"]) for port in each.get("ports", ())),
            )
            for each in spec.get(key, ())
        ]
    return spec["podSelector"].get("matchLabels", {}), rules
