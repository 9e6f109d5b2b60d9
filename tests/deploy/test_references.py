"""Whatever the manifests name exists: the API server accepts a misspelt name, and nobody notices.

One table of the edits that must be noticed is at the end.
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

PROVISIONING = "/etc/grafana/provisioning"
WITHOUT_PATHS = {"rules.yaml", "agent-actors.json"}
"""Files of ConfigMaps with texts for people, whose slashes are not paths."""
BROKER = "kafka:9092"
"""The address of a Service that whoever deploys adds."""
WORKLOADS = ("Deployment", "StatefulSet")


def missing(objects: Objects) -> list[Reference]:
    """The references that lead nowhere."""
    there = set(existing(objects))
    return [(who, sort, name) for who, sort, name in named(objects) if (sort, name) not in there]


def named(objects: Objects) -> Iterator[Reference]:
    """Everything that some object names."""
    for each in workloads(objects):
        yield from named_by_workload(each)
        for container in all_containers(each):
            yield from named_by_container(name_of(each), container)
            yield from named_files(objects, each, container)
    for each in of_kind(objects, "Component"):
        yield from keys(name_of(each), each["spec"]["metadata"])
    yield "the sidecar", "key of Secret", f"{annotations(objects)['app-token-secret']} token"
    for each in of_kind(objects, "Service", "PodDisruptionBudget", "HorizontalPodAutoscaler"):
        yield from named_by_selector(objects, each)
    for each in of_kind(objects, "Component", "Configuration", "ConfigMap", *WORKLOADS):
        yield from named_in_texts(each)


def existing(objects: Objects) -> Iterator[tuple[str, str]]:
    """The sort and name of everything that there is."""
    for each in objects:
        yield each["kind"], each["metadata"]["name"]
    for sort, name, found in given_keys(objects):
        yield sort, name
        yield from ((f"key of {sort}", f"{name} {key}") for key in found)
    for each in workloads(objects):
        yield from offered_by_workload(each)
    yield "address", BROKER
    for each in of_kind(objects, "Service"):
        yield "headless Service", each["metadata"]["name"] if headless(each) else ""
        for port in each["spec"]["ports"]:
            yield "address", f"{each['metadata']['name']}:{port['port']}"
    for source in provisioned(objects, "datasources").get("datasources", ()):
        yield "data source", f"{source['uid']} {source['type']}"


def offered_by_workload(each: Object) -> Iterator[tuple[str, str]]:
    """What others, and its own parts, may name of a workload."""
    owner = name_of(each)
    yield "pods of", owner
    yield from ((f"label of {owner}", f"{pair}") for pair in labels_of(each).items())
    yield from ((f"volume of {owner}", name) for name in volumes_of(each))
    for container in all_containers(each):
        yield from ((f"mount of {owner}", mount["name"]) for mount in mounts_of(container))
        for resource in container["resources"]["requests"]:
            yield f"request of {owner}", f"{container['name']} {resource}"
        for port in container["ports"]:
            yield f"port of {owner}", str(port["containerPort"])
            yield f"port of {owner}", str(port.get("name"))


def named_by_workload(each: Object) -> Iterator[Reference]:
    """Account, Service, volumes with their sources, and labels of the workload's own pods."""
    owner, spec = name_of(each), pod(each)
    if "serviceAccountName" in spec:
        yield owner, "ServiceAccount", spec["serviceAccountName"]
    if each["kind"] == "StatefulSet":
        yield owner, "headless Service", each["spec"]["serviceName"]
    for name in volumes_of(each):
        yield owner, f"mount of {owner}", name
    for volume in spec.get("volumes", ()):
        yield from ((owner, sort, name) for sort, name in sources_of(volume))
    spread = spec.get("topologySpreadConstraints", ())
    for selector in (each["spec"]["selector"], *(one["labelSelector"] for one in spread)):
        assert selector.keys() == {"matchLabels"}
        yield from ((owner, f"label of {owner}", f"{x}") for x in selector["matchLabels"].items())


def named_by_container(owner: str, container: Object) -> Iterator[Reference]:
    """Volumes, ports of probes, ConfigMaps and Secrets with their keys."""
    for mount in mounts_of(container):
        yield owner, f"volume of {owner}", mount["name"]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        asked = [handler["port"] for handler in container[probe].values() if "port" in str(handler)]
        yield from ((owner, f"port of {owner}", str(port)) for port in asked)
    for source in container.get("envFrom", ()):
        yield owner, "ConfigMap", source["configMapRef"]["name"]
    yield from keys(owner, container.get("env", ()))


def named_files(objects: Objects, each: Object, container: Object) -> Iterator[Reference]:
    """The files that a command, the environment or a configuration names, and are not mounted."""
    files = files_of(objects, each, container)
    paths = {*written_paths(objects, container), *configured_paths(objects, each, container)}
    if each["metadata"]["name"] == "grafana":
        paths |= {f"{PROVISIONING}/{kind}/{kind}.yaml" for kind in ("datasources", "dashboards")}
    for path in paths:
        known = [folder for folder in files if PurePosixPath(path).is_relative_to(folder)]
        if not any(path == folder or files[folder] is None for folder in known):
            yield name_of(each), "file", path


def named_by_selector(objects: Objects, each: Object) -> Iterator[Reference]:
    """The pods that a Service, a budget or an autoscaler is about, and what it needs of them."""
    owner, spec = name_of(each), each["spec"]
    if each["kind"] == "HorizontalPodAutoscaler":
        target = f"{spec['scaleTargetRef']['kind']} {spec['scaleTargetRef']['name']}"
        yield owner, "pods of", target
        for metric in spec["metrics"]:
            wanted = metric["containerResource"]
            yield owner, f"request of {target}", f"{wanted['container']} {wanted['name']}"
        return
    wanted = spec["selector"].get("matchLabels", spec["selector"])
    chosen = [one for one in workloads(objects) if wanted.items() <= labels_of(one).items()]
    yield owner, "pods of", " and ".join(map(name_of, chosen))
    for port in spec.get("ports", ()) if chosen else ():
        yield owner, f"port of {name_of(chosen[0])}", str(port.get("targetPort", port["port"]))


def named_in_texts(each: Object) -> Iterator[Reference]:
    """The addresses in any text of an object, and the data source of each panel of a dashboard."""
    for name, port in re.findall(r"(?<![\w.-])([a-z][a-z-]*[a-z]):(\d{4,5})\b", text_of(each)):
        yield name_of(each), "address", f"{name}:{port}"
    if "agent-actors.json" in each.get("data", {}):
        for panel in json.loads(each["data"]["agent-actors.json"])["panels"]:
            if source := panel.get("datasource"):
                yield panel["title"], "data source", f"{source['uid']} {source['type']}"


def keys(owner: str, items: Objects) -> Iterator[Reference]:
    """The keys that variables of an environment, or the metadata of a component, need."""
    for item in items:
        source = item.get("valueFrom", item)
        for form, sort in (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")):
            if form in source:
                yield owner, sort, source[form]["name"]
            if form in source and not source[form].get("optional"):
                yield owner, f"key of {sort}", f"{source[form]['name']} {source[form]['key']}"


def given_keys(objects: Objects) -> Iterator[tuple[str, str, set[str]]]:
    """Each ConfigMap and Secret with its keys: of the manifests, or of a command of the page."""
    for each in of_kind(objects, "ConfigMap", "Secret"):
        found = {*each.get("data", ()), *each.get("stringData", ())}
        yield each["kind"], each["metadata"]["name"], found
    for name, rest in re.findall(r"create secret generic ([\w-]+)(.*)", PAGE):
        yield "Secret", name, set(re.findall(r"--from-(?:literal|file)=([\w.]+)", rest))


def files_of(objects: Objects, each: Object, container: Object) -> dict[str, Any]:
    """The mounted paths; the value is None for a folder that anything can be written into."""
    given = {(sort, name): found for sort, name, found in given_keys(objects)}
    volumes = {volume["name"]: volume for volume in pod(each).get("volumes", ())}
    found: dict[str, Any] = {}
    for mount in mounts_of(container):
        sources = [*sources_of(volumes.get(mount["name"], {}))]
        names = {key for source in sources for key in given.get(source, ())}
        if "subPath" in mount:
            found |= {mount["mountPath"]: ""} if mount["subPath"] in names else {}
        elif sources:
            found |= {mount["mountPath"]: ""} | {f"{mount['mountPath']}/{x}": "" for x in names}
        else:
            found[mount["mountPath"]] = None
    return found


def written_paths(objects: Objects, container: Object) -> Iterator[str]:
    """The paths in a container's command and environment."""
    texts = [each.get("value", "") for each in container.get("env", ())]
    for source in container.get("envFrom", ()):
        for each in of_kind(objects, "ConfigMap"):
            if each["metadata"]["name"] == source["configMapRef"]["name"]:
                texts += each["data"].values()
    for text in (*container.get("command", ()), *container.get("args", ()), *texts):
        yield from re.findall(r"(?:^|[\s=])(/[\w.-][\w./-]*)", text)


def configured_paths(objects: Objects, each: Object, container: Object) -> Iterator[str]:
    """The paths that end a line of a mounted configuration."""
    mounted = {mount["name"] for mount in mounts_of(container)}
    volumes = [volume for volume in pod(each).get("volumes", ()) if volume["name"] in mounted]
    sources = [source for volume in volumes for source in sources_of(volume)]
    path = r"^(?!\s*#|\s*metrics_path:).*\s(/[\w.-][\w./-]*)$"
    for one in of_kind(objects, "ConfigMap"):
        if ("ConfigMap", one["metadata"]["name"]) in sources:
            for name in one["data"].keys() - WITHOUT_PATHS:
                yield from re.findall(path, one["data"][name], re.MULTILINE)


def sources_of(volume: Object) -> Iterator[tuple[str, str]]:
    """Kind and name of the ConfigMap or Secret that a volume holds."""
    assert "items" not in str(volume), "keys under other names are not supported here"
    if "configMap" in volume:
        yield "ConfigMap", volume["configMap"]["name"]
    if "secret" in volume:
        yield "Secret", volume["secret"]["secretName"]


def all_containers(each: Object) -> Objects:
    return [*pod(each).get("initContainers", ()), *pod(each)["containers"]]


def mounts_of(container: Object) -> Objects:
    return list(container.get("volumeMounts", ()))


def volumes_of(each: Object) -> list[str]:
    claims = [claim["metadata"]["name"] for claim in each["spec"].get("volumeClaimTemplates", ())]
    return claims + [volume["name"] for volume in pod(each).get("volumes", ())]


def labels_of(each: Object) -> dict[str, str]:
    labels: dict[str, str] = each["spec"]["template"]["metadata"]["labels"]
    return labels


def headless(service: Object) -> bool:
    return bool(service["spec"].get("clusterIP") == "None")


def provisioned(objects: Objects, kind: str) -> Any:
    """One of the two files that Grafana reads when it starts, if the overlay has it."""
    found = [each for each in of_kind(objects, "ConfigMap") if f"{kind}.yaml" in each["data"]]
    return yaml.safe_load(found[0]["data"][f"{kind}.yaml"]) if found else {}


def text_of(each: Any) -> str:
    """All texts of an object, one a line, without the comments of configurations."""
    if isinstance(each, dict):
        each = [*each.values()]
    if isinstance(each, list):
        return "\n".join(map(text_of, each))
    return re.sub(r"^\s*#.*$", "", str(each), flags=re.MULTILINE)


@pytest.mark.parametrize("name", [*OVERLAYS, SHOWN, "prod and bindings", "prod and twilio"])
def test_everything_that_is_named_exists(name: str):
    """No reference of an overlay leads nowhere."""
    assert not missing(rendered(name))


@pytest.mark.parametrize("name", [*OVERLAYS, SHOWN])
def test_no_path_is_mounted_twice(name: str):
    """One volume would hide another."""
    for each in workloads(rendered(name)):
        for container in all_containers(each):
            paths = [mount["mountPath"] for mount in mounts_of(container)]
            assert len(paths) == len(set(paths)), name_of(each)


@pytest.mark.parametrize("name", ["observed", SHOWN])
def test_grafana_finds_a_dashboard(name: str):
    """The folder of its provider holds one."""
    objects = rendered(name)
    grafana = the(objects, "Deployment", "grafana")
    (provider,) = provisioned(objects, "dashboards")["providers"]
    files = files_of(objects, grafana, all_containers(grafana)[0])

    assert f"{provider['options']['path']}/agent-actors.json" in files


SERVICE, REPLICAS = "Deployment agent-actors", "Service agent-actors"
HPA, VALKEY = "HorizontalPodAutoscaler agent-actors", "StatefulSet valkey"
POD = "spec template spec"
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
    ("ConfigMap valkey", "data valkey.conf", ("dir /data", "dir /disk"), "file"),
    ("ConfigMap prometheus", "data prometheus.yml", ("/rules.yaml", "/alerts.yaml"), "file"),
    ("ConfigMap agent-actors", "data AGENT_ACTORS_ACCESS_TOKENS_FILE", ("tokens", "token"), "file"),
    ("Deployment grafana", f"{BOX} volumeMounts 2 subPath", "datasource.yaml", "file"),
    ("Deployment grafana", f"{BOX} volumeMounts 4 mountPath", "/etc/dashboards", "file"),
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
