"""Whatever the manifests name exists: the API server accepts a misspelt name, and nobody notices.

One table has what is named and another what is there; the edits that must be noticed are a third.
"""

import json
import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

import pytest
import yaml

from tests.deploy.manifests import (
    GONE,
    OVERLAYS,
    PAGE,
    SHOWN,
    Object,
    Objects,
    annotations,
    edited,
    name_of,
    of_kind,
    pod,
    rendered,
    the,
    workloads,
)

Reference = tuple[str, str, str]
"""Who names it, what sort of thing it is, and its name."""
Table = list[tuple[str, str, str]]
"""Kinds of objects, the path of a field, and the sort of thing; one "of" is of the object itself.

In a path `*` is each element or value, and `=` each pair of an object.
"""

WORKLOADS = "Deployment StatefulSet"
POD = "spec template spec"
CLAIMS = "spec volumeClaimTemplates * metadata name"
KEYS = (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret"))
BROKER = "kafka:9092"
"""The address of a Service that whoever deploys adds."""


def in_containers(*rows: tuple[str, str]) -> Table:
    """Rows about fields of all containers."""
    both = ("containers", "initContainers")
    return [(WORKLOADS, f"{POD} {each} * {path}", sort) for each in both for path, sort in rows]


NAMED: Table = [
    (WORKLOADS, f"{POD} serviceAccountName", "ServiceAccount"),
    ("StatefulSet", "spec serviceName", "headless Service"),
    (WORKLOADS, f"{POD} volumes * name", "mount of"),
    (WORKLOADS, CLAIMS, "mount of"),
    (WORKLOADS, f"{POD} volumes * configMap name", "ConfigMap"),
    (WORKLOADS, f"{POD} volumes * secret secretName", "Secret"),
    (WORKLOADS, "spec selector matchLabels =", "label of"),
    (WORKLOADS, f"{POD} topologySpreadConstraints * labelSelector matchLabels =", "label of"),
    *in_containers(
        ("volumeMounts * name", "volume of"),
        ("envFrom * configMapRef name", "ConfigMap"),
        *((f"env * valueFrom {kind} name", sort) for kind, sort in KEYS),
        *((f"env * valueFrom {kind}", f"key of {sort}") for kind, sort in KEYS),
        ("startupProbe * port", "port of"),
        ("livenessProbe * port", "port of"),
        ("readinessProbe * port", "port of"),
    ),
    ("Component", "spec metadata * secretKeyRef name", "Secret"),
    ("Component", "spec metadata * secretKeyRef", "key of Secret"),
]
THERE: Table = [
    (WORKLOADS, f"{POD} volumes * name", "volume of"),
    (WORKLOADS, CLAIMS, "volume of"),
    (WORKLOADS, "spec template metadata labels =", "label of"),
    *in_containers(
        ("volumeMounts * name", "mount of"),
        ("ports * containerPort", "port of"),
        ("ports * name", "port of"),
    ),
]


def fields(part: Any, path: str) -> Iterator[Any]:
    """The values at a path."""
    word, _, rest = path.partition(" ")
    if not word:
        yield part
    elif word == "=":
        yield from (f"{key}={value}" for key, value in part.items())
    elif word == "*" and isinstance(part, list | dict):
        for each in part if isinstance(part, list) else part.values():
            yield from fields(each, rest)
    elif isinstance(part, dict) and word in part:
        yield from fields(part[word], rest)


def listed(objects: Objects, table: Table) -> Iterator[Reference]:
    """The things of a table. A reference to a key is one thing, unless it is optional."""
    for kinds, path, sort in table:
        for each in of_kind(objects, *kinds.split()):
            for value in fields(each, path):
                owner = name_of(each)
                what = f"{sort} {owner}" if sort.endswith(" of") else sort
                if not isinstance(value, dict):
                    yield owner, what, str(value)
                elif not value.get("optional"):
                    yield owner, what, f"{value['name']} {value['key']}"


def missing(objects: Objects) -> list[Reference]:
    """The references that lead nowhere."""
    there = set(existing(objects))
    return [each for each in named(objects) if each[1:] not in there]


def named(objects: Objects) -> Iterator[Reference]:
    """Everything that some object names."""
    yield from listed(objects, NAMED)
    yield "the sidecar", "key of Secret", f"{annotations(objects)['app-token-secret']} token"
    for each in workloads(objects):
        yield from named_files(objects, each)
    for each in of_kind(objects, "Service", "PodDisruptionBudget"):
        yield from named_by_selector(objects, each)
    for each in of_kind(objects, "HorizontalPodAutoscaler"):
        target = (
            f"{each['spec']['scaleTargetRef']['kind']} {each['spec']['scaleTargetRef']['name']}"
        )
        yield name_of(each), "pods of", target
        for wanted in fields(each, "spec metrics * containerResource"):
            yield name_of(each), f"request of {target}", f"{wanted['container']} {wanted['name']}"
    for each in of_kind(objects, "Component", "Configuration", "ConfigMap", *WORKLOADS.split()):
        for address in re.findall(r"(?<![\w.-])([a-z][a-z-]*[a-z]:\d{4,5})\b", text_of(each)):
            yield name_of(each), "address", address
    for source in fields(dashboard(objects), "panels * datasource"):
        yield "the dashboard", "data source", f"{source['uid']} {source['type']}"


def existing(objects: Objects) -> Iterator[tuple[str, str]]:
    """The sort and name of everything that there is."""
    yield "address", BROKER
    yield from ((sort, name) for _, sort, name in listed(objects, THERE))
    yield from ((each["kind"], each["metadata"]["name"]) for each in objects)
    for sort, name, found in given_keys(objects):
        yield sort, name
        yield from ((f"key of {sort}", f"{name} {key}") for key in found)
    for each in workloads(objects):
        yield "pods of", name_of(each)
        for container in all_containers(each):
            for resource in container["resources"]["requests"]:
                yield f"request of {name_of(each)}", f"{container['name']} {resource}"
    for each in of_kind(objects, "Service"):
        name, spec = each["metadata"]["name"], each["spec"]
        yield from (("address", f"{name}:{port['port']}") for port in spec["ports"])
        if spec.get("clusterIP") == "None":
            yield "headless Service", name
    for source in provisioned(objects, "datasources").get("datasources", ()):
        yield "data source", f"{source['uid']} {source['type']}"


def named_by_selector(objects: Objects, each: Object) -> Iterator[Reference]:
    """The pods that a Service or a budget is about, which are those of one workload, and ports."""
    spec = each["spec"]
    wanted = spec["selector"].get("matchLabels", spec["selector"])
    chosen = [
        name_of(one)
        for one in workloads(objects)
        if wanted.items() <= one["spec"]["template"]["metadata"]["labels"].items()
    ]
    yield name_of(each), "pods of", " and ".join(chosen)
    for port in spec.get("ports", ()) if chosen else ():
        yield name_of(each), f"port of {chosen[0]}", str(port.get("targetPort", port["port"]))


def given_keys(objects: Objects) -> Iterator[tuple[str, str, set[str]]]:
    """Each ConfigMap and Secret with its keys: of the manifests, or of a command of the page."""
    for each in of_kind(objects, "ConfigMap", "Secret"):
        found = {*each.get("data", ()), *each.get("stringData", ())}
        yield each["kind"], each["metadata"]["name"], found
    for name, rest in re.findall(r"create secret generic ([\w-]+)(.*)", PAGE):
        yield "Secret", name, set(re.findall(r"--from-(?:literal|file)=([\w.]+)", rest))


def named_files(objects: Objects, each: Object) -> Iterator[Reference]:
    """The files that a command or the environment of a container names, and are not mounted."""
    maps = {one["metadata"]["name"]: one["data"] for one in of_kind(objects, "ConfigMap")}
    for container in all_containers(each):
        files = files_of(objects, each, container)
        texts = [*container.get("command", ()), *container.get("args", ())]
        texts += fields(container, "env * value")
        for name in fields(container, "envFrom * configMapRef name"):
            texts += maps.get(name, {}).values()
        for text in texts:
            for path in re.findall(r"(?:^|[\s=])(/[\w.-][\w./-]*)", text):
                known = [one for one in files if PurePosixPath(path).is_relative_to(one)]
                if not any(path == one or files[one] is None for one in known):
                    yield name_of(each), "file", path


def files_of(objects: Objects, each: Object, container: Object) -> dict[str, Any]:
    """The mounted paths; the value is None for a folder that anything can be written into."""
    given = {(sort, name): found for sort, name, found in given_keys(objects)}
    volumes = {volume["name"]: volume for volume in pod(each).get("volumes", ())}
    found: dict[str, Any] = {}
    for mount in container.get("volumeMounts", ()):
        volume = volumes.get(mount["name"], {})
        assert "items" not in str(volume), "keys under other names are not supported here"
        sources = [("ConfigMap", name) for name in fields(volume, "configMap name")]
        sources += [("Secret", name) for name in fields(volume, "secret secretName")]
        names = {key for source in sources for key in given.get(source, ())}
        if "subPath" in mount:
            found |= {mount["mountPath"]: ""} if mount["subPath"] in names else {}
        elif sources:
            found |= {mount["mountPath"]: ""} | {f"{mount['mountPath']}/{x}": "" for x in names}
        else:
            found[mount["mountPath"]] = None
    return found


def all_containers(each: Object) -> Objects:
    return [*pod(each).get("initContainers", ()), *pod(each)["containers"]]


def provisioned(objects: Objects, kind: str) -> Any:
    """One of the two files that Grafana reads when it starts, if the overlay has it."""
    found = [each for each in of_kind(objects, "ConfigMap") if f"{kind}.yaml" in each["data"]]
    return yaml.safe_load(found[0]["data"][f"{kind}.yaml"]) if found else {}


def dashboard(objects: Objects) -> Any:
    found = [each["data"].get("agent-actors.json") for each in of_kind(objects, "ConfigMap")]
    return json.loads(next(filter(None, found), "{}"))


def text_of(each: Any) -> str:
    """All texts of an object, one a line, without the comments of configurations."""
    if isinstance(each, dict):
        each = [*each.values()]
    if isinstance(each, list):
        return "\n".join(map(text_of, each))
    return re.sub(r"^\s*#.*$", "", str(each), flags=re.MULTILINE)


@pytest.mark.parametrize("name", [*OVERLAYS, SHOWN, "prod and bindings", "prod and twilio"])
def test_everything_that_is_named_exists(name: str):
    """No reference of an overlay leads nowhere, and no path is mounted twice."""
    objects = rendered(name)

    assert not missing(objects)
    for each in workloads(objects):
        for container in all_containers(each):
            paths = [*fields(container, "volumeMounts * mountPath")]
            assert len(paths) == len(set(paths)), name_of(each)


@pytest.mark.parametrize("name", ["observed", SHOWN])
def test_grafana_finds_a_dashboard(name: str):
    """The files that it reads when it starts are where it looks, and so is the dashboard."""
    objects = rendered(name)
    grafana = the(objects, "Deployment", "grafana")
    (provider,) = provisioned(objects, "dashboards")["providers"]
    files = files_of(objects, grafana, all_containers(grafana)[0])

    assert f"{provider['options']['path']}/agent-actors.json" in files
    for kind in ("datasources", "dashboards"):
        assert f"/etc/grafana/provisioning/{kind}/{kind}.yaml" in files


SERVICE, REPLICAS = "Deployment agent-actors", "Service agent-actors"
HPA, VALKEY = "HorizontalPodAutoscaler agent-actors", "StatefulSet valkey"
BOX = f"{POD} containers 0"
EDITS = [
    # What is edited, where, how, and the sort of thing that is then missing.
    (REPLICAS, "spec selector", {"app.kubernetes.io/name": "agent"}, "pods of"),
    (REPLICAS, "spec selector", {}, "pods of"),
    (REPLICAS, "spec ports 0 targetPort", "htpp", "port of"),
    (SERVICE, f"{BOX} ports 0 name", "web", "port of"),
    (SERVICE, f"{BOX} readinessProbe httpGet port", "htpp", "port of"),
    (VALKEY, f"{BOX} livenessProbe tcpSocket port", 6380, "port of"),
    (HPA, "spec scaleTargetRef kind", "StatefulSet", "pods of"),
    (HPA, "spec metrics 0 containerResource container", "agents", "request of"),
    (SERVICE, f"{BOX} resources requests cpu", GONE, "request of"),
    ("PodDisruptionBudget agent-actors", "spec selector matchLabels", {"a": "b"}, "pods of"),
    (
        SERVICE,
        f"{POD} topologySpreadConstraints 0 labelSelector matchLabels",
        {"a": "b"},
        "label of",
    ),
    (SERVICE, "spec selector matchLabels", {"a": "b"}, "label of"),
    (SERVICE, f"{POD} serviceAccountName", "agents", "ServiceAccount"),
    (VALKEY, "spec serviceName", "redis", "headless Service"),
    ("Service valkey", "spec clusterIP", GONE, "headless Service"),
    (SERVICE, f"{BOX} volumeMounts 0 name", "temporary", "volume of"),
    (SERVICE, f"{BOX} volumeMounts 0", GONE, "mount of"),
    (SERVICE, f"{BOX} envFrom 0 configMapRef name", "agent-actors-deadbeef00", "ConfigMap"),
    (VALKEY, f"{POD} volumes 0 configMap name", "valkey-deadbeef00", "ConfigMap"),
    (SERVICE, f"{POD} volumes 0 secret secretName", "access", "Secret"),
    (SERVICE, f"{BOX} env 0 valueFrom secretKeyRef key", "tokn", "key of"),
    ("Component pubsub", "spec metadata 1 secretKeyRef key", "secret", "key of"),
    (VALKEY, f"{BOX} command 2", ("valkey.conf", "redis.conf"), "file"),
    ("ConfigMap agent-actors", "data AGENT_ACTORS_ACCESS_TOKENS_FILE", ("tokens", "token"), "file"),
    ("Component statestore", "spec metadata 0 value", "redis:6379", "address"),
    ("Service valkey", "spec ports 0 port", 6380, "address"),
    ("ConfigMap otel-collector", "data config.yaml", ("jaeger:", "jager:"), "address"),
    (
        "ConfigMap grafana-dashboard",
        "data agent-actors.json",
        ('"uid": "prometheus"', '"uid": "prom"'),
        "data source",
    ),
]


@pytest.mark.parametrize(("target", "path", "value", "sort"), EDITS)
def test_a_name_that_leads_nowhere_is_noticed(target: str, path: str, value: Any, sort: str):
    """A careless edit makes a reference of that sort lead nowhere."""
    found = missing(edited(SHOWN, target, path, value))

    assert any(each.startswith(sort) for _, each, _ in found)
