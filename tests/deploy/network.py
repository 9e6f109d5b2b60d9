"""Who reaches whom by NetworkPolicies, as Kubernetes documents them.

The rules are those of "Network Policies" in its documentation, and of the comments beside the types
`NetworkPolicySpec`, `NetworkPolicyPeer` and `NetworkPolicyPort` of `k8s.io/api/networking/v1`:

* a pod that no policy of a direction selects is open in that direction; policies add up;
* a connection needs the egress of who calls, and the ingress of who is called;
* `from` and `to`, or `ports`, that are empty or missing are everybody, or every port;
* two selectors in one peer are both asked; one of pods alone is of the policy's namespace;
* a pod reaches itself.

The node that a pod runs on reaches it whatever is said (the kubelet's probes, a port-forward), so
no node is drawn here. What is not known here raises, since half a policy is another policy.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import Any, Literal

Labels = Mapping[str, str]
Direction = Literal["Ingress", "Egress"]
Address = IPv4Address | IPv6Address
Object = Mapping[str, Any]

PROTOCOLS = ("TCP", "UDP", "SCTP")
_RULES: dict[Direction, tuple[str, str]] = {
    "Ingress": ("ingress", "from"),
    "Egress": ("egress", "to"),
}


class UnknownFormError(ValueError):
    """A policy says something that is not understood here, or that Kubernetes would refuse."""


@dataclass(frozen=True)
class Port:
    """Where something may listen; the name is that of a container's port."""

    number: int
    protocol: str = "TCP"
    name: str = ""


@dataclass(frozen=True)
class Namespace:
    """Has pods and policies. Kubernetes itself adds the label that says its name."""

    name: str
    given: Labels = field(default_factory=dict)

    @property
    def labels(self) -> Labels:
        """All of its labels."""
        return {**self.given, "kubernetes.io/metadata.name": self.name}


@dataclass(frozen=True)
class Pod:
    """One end of a connection that policies may select."""

    name: str
    namespace: Namespace
    labels: Labels
    address: Address
    ports: tuple[Port, ...] = ()


End = Pod | Address
"""A pod, or an address outside of the cluster."""

_Holds = Callable[[Labels], bool]
_Peer = Callable[[End], bool]
_Opens = Callable[[End, Port], bool]


@dataclass(frozen=True)
class _Rule:
    peers: tuple[_Peer, ...]
    ports: tuple[_Opens, ...]

    def allows(self, other: End, callee: End, port: Port) -> bool:
        return (not self.peers or any(peer(other) for peer in self.peers)) and (
            not self.ports or any(opens(callee, port) for opens in self.ports)
        )


@dataclass(frozen=True)
class _Policy:
    namespace: Namespace
    holds: _Holds
    rules: Mapping[Direction, tuple[_Rule, ...]]

    def selects(self, pod: Pod, direction: Direction) -> bool:
        mine = pod.namespace == self.namespace and direction in self.rules
        return mine and self.holds(pod.labels)


class Network:
    """What some policies let through together.

    Args:
        policies: With the namespace that they lie in.

    Raises:
        UnknownFormError: One of them is not understood.
    """

    def __init__(self, policies: Iterable[tuple[Namespace, Object]]) -> None:
        self._policies = [_policy(namespace, each) for namespace, each in policies]

    def allows(self, caller: End, callee: End, port: Port) -> bool:
        """Whether the one may open a connection to that port of the other."""
        if caller == callee:
            return True
        sends = self._lets(caller, "Egress", callee, callee, port)
        return sends and self._lets(callee, "Ingress", caller, callee, port)

    def _lets(self, end: End, direction: Direction, other: End, callee: End, port: Port) -> bool:
        if not isinstance(end, Pod):
            return True
        chosen = [each for each in self._policies if each.selects(end, direction)]
        rules = [rule for each in chosen for rule in each.rules[direction]]
        return not chosen or any(rule.allows(other, callee, port) for rule in rules)


def _policy(namespace: Namespace, policy: Object) -> _Policy:
    spec = _known(policy["spec"], "podSelector", "policyTypes", "ingress", "egress")
    types = spec.get("policyTypes") or ["Ingress", *(["Egress"] if spec.get("egress") else [])]
    rules: dict[Direction, tuple[_Rule, ...]] = {}
    for direction in types:
        if direction not in _RULES:
            raise UnknownFormError(f"policy type {direction!r}")
        key, peers = _RULES[direction]
        rules[direction] = tuple(_rule(namespace, each, peers) for each in spec.get(key, ()))
    return _Policy(namespace, selector(spec.get("podSelector", {})), rules)


def _rule(namespace: Namespace, rule: Object, peers: str) -> _Rule:
    _known(rule, peers, "ports")
    return _Rule(
        tuple(_peer(namespace, each) for each in rule.get(peers, ())),
        tuple(_opens(each) for each in rule.get("ports", ())),
    )


def _peer(namespace: Namespace, peer: Object) -> _Peer:
    _known(peer, "podSelector", "namespaceSelector", "ipBlock")
    if "ipBlock" in peer and len(peer) > 1:
        raise UnknownFormError(f"an ipBlock with a selector: {peer!r}")
    if "ipBlock" in peer:
        return _block(peer["ipBlock"])
    if not peer:
        raise UnknownFormError("a peer that says nothing")
    pods = selector(peer.get("podSelector", {}))
    if "namespaceSelector" not in peer:
        return lambda end: isinstance(end, Pod) and end.namespace == namespace and pods(end.labels)
    spaces = selector(peer["namespaceSelector"])
    return lambda end: isinstance(end, Pod) and spaces(end.namespace.labels) and pods(end.labels)


def _block(block: Object) -> _Peer:
    """Addresses, of pods as well: most networks ask no more than the number."""
    _known(block, "cidr", "except")
    inside, outside = ip_network(block["cidr"]), [ip_network(x) for x in block.get("except", ())]
    for each in outside:
        if each.version != inside.version or not inside.supernet_of(each):  # type: ignore[arg-type]
            raise UnknownFormError(f"{each} is not within {inside}")

    def holds(end: End) -> bool:
        address = end.address if isinstance(end, Pod) else end
        return address in inside and not any(address in each for each in outside)

    return holds


def _opens(port: Object) -> _Opens:
    _known(port, "port", "endPort", "protocol")
    protocol, first = port.get("protocol", "TCP"), port.get("port")
    last = port.get("endPort", first)
    if protocol not in PROTOCOLS:
        raise UnknownFormError(f"protocol {protocol!r}")
    match first, last:
        case None, None:
            return lambda _, asked: asked.protocol == protocol
        case int(), int() if first <= last:
            return lambda _, asked: asked.protocol == protocol and first <= asked.number <= last
        case str(), _ if last is first and not first.isdecimal():
            return lambda callee, asked: (
                isinstance(callee, Pod)
                and asked.protocol == protocol
                and Port(asked.number, protocol, first) in callee.ports
            )
    raise UnknownFormError(f"port {port!r}")


def selector(given: Object) -> _Holds:
    """Whether labels are those that a selector asks for; an empty one asks for none.

    Raises:
        UnknownFormError: It has an operator, or a key, that is not known.
    """
    _known(given, "matchLabels", "matchExpressions")
    wanted = given.get("matchLabels", {}).items()
    expressions = [_expression(each) for each in given.get("matchExpressions", ())]
    return lambda labels: wanted <= labels.items() and all(holds(labels) for holds in expressions)


def _expression(given: Object) -> _Holds:
    _known(given, "key", "operator", "values")
    key, values = given["key"], given.get("values", [])
    match given["operator"], bool(values):
        case "In", True:
            return lambda labels: labels.get(key) in values
        case "NotIn", True:
            return lambda labels: labels.get(key) not in values
        case "Exists", False:
            return lambda labels: key in labels
        case "DoesNotExist", False:
            return lambda labels: key not in labels
    raise UnknownFormError(f"expression {given!r}")


def _known(given: Any, *keys: str) -> Object:
    """The same, if it has these keys only, and a value for each that it has."""
    if not isinstance(given, Mapping) or set(given) - set(keys):
        raise UnknownFormError(f"{given!r} is more than {keys}")
    if None in given.values():
        raise UnknownFormError(f"{given!r} has a key without a value")
    return given
