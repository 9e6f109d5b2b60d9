"""What the manifests name has to be there: each check names what is missing, or finds nothing.

The API server takes a misspelt one; a pod that never starts finds it out, or nobody does, where a
Service leads nowhere. `test_wiring.py` runs each check on every overlay, and on manifests that were
made worse on purpose.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import yaml

from tests.deploy.given import both, configured, files, has, keys_of, needed, said
from tests.deploy.manifests import Object, Objects, of_kind, pod, the, workloads
from tests.deploy.network import selector
from tests.deploy.policy import Check, name_of

PROBES = ("startupProbe", "livenessProbe", "readinessProbe")
PROVISIONING = "/etc/grafana/provisioning"
BROUGHT = {"kafka"}
"""Services that whoever deploys brings along."""

_ADDRESS = re.compile(r"(?<![\w.-])([a-z][a-z-]*[a-z]):(\d{4,5})\b")


def services_find_their_pods(objects: Objects) -> Iterator[str]:
    """Each selects the pods of one workload, and each of its ports is one of their containers'."""
    for service in of_kind(objects, "Service"):
        chosen = [each for each in workloads(objects) if selects(service["spec"]["selector"], each)]
        if len(chosen) != 1:
            yield f"{name_of(service)} selects {len(chosen)} workloads"
            continue
        known = ports(*pod(chosen[0])["containers"])
        for port in service["spec"]["ports"]:
            if port.get("targetPort", port["port"]) not in known:
                yield f"{name_of(service)} leads to no port of {name_of(chosen[0])}"


def replicas_are_seen_before_they_are_ready(objects: Objects) -> Iterator[str]:
    """Prometheus asks each pod, and a replica that does not become ready is one to look at."""
    for service in of_kind(objects, "Service"):
        if service["metadata"]["name"] != "agent-actors-replicas":
            continue
        if service["spec"].get("publishNotReadyAddresses") is not True:
            yield "a replica that is not ready is not scraped"
        if service["spec"].get("clusterIP") != "None":
            yield "one replica of all is scraped"


def autoscalers_measure_what_is_there(objects: Objects) -> Iterator[str]:
    """Its target exists, and the container that it measures is one of it that asks for CPU."""
    for scaler in of_kind(objects, "HorizontalPodAutoscaler"):
        target = scaler["spec"]["scaleTargetRef"]
        found = [
            each
            for each in workloads(objects)
            if all(_of(each)[key] == target.get(key) for key in ("apiVersion", "kind", "name"))
        ]
        if not found:
            yield f"{name_of(scaler)} scales nothing"
            continue
        requests = {
            each["name"]: each.get("resources", {}).get("requests", {})
            for each in pod(found[0])["containers"]
        }
        for metric in scaler["spec"]["metrics"]:
            asked = metric["containerResource"]
            if asked["name"] not in requests.get(asked["container"], ()):
                yield f"{name_of(scaler)} measures nothing"


def selectors_are_of_own_pods(objects: Objects) -> Iterator[str]:
    """A budget is of some pods; a workload, and how it spreads them, is of its own."""
    for budget in of_kind(objects, "PodDisruptionBudget"):
        holds = selector(budget["spec"]["selector"])
        if not any(holds(labels(each)) for each in workloads(objects)):
            yield f"{name_of(budget)} keeps nothing"
    for each in workloads(objects):
        spread = pod(each).get("topologySpreadConstraints", ())
        for chosen in (each["spec"]["selector"], *(one["labelSelector"] for one in spread)):
            if not selector(chosen)(labels(each)):
                yield f"{name_of(each)} selects other pods"


def workloads_name_what_is_there(objects: Objects) -> Iterator[str]:
    """The account of a pod, and the headless Service of a StatefulSet, are among the manifests."""
    accounts = {each["metadata"]["name"] for each in of_kind(objects, "ServiceAccount")}
    headless = {
        each["metadata"]["name"]
        for each in of_kind(objects, "Service")
        if each["spec"].get("clusterIP") == "None"
    }
    for each in workloads(objects):
        if pod(each).get("serviceAccountName", "default") not in {*accounts, "default"}:
            yield f"{name_of(each)} has no account"
        if each["kind"] == "StatefulSet" and each["spec"]["serviceName"] not in headless:
            yield f"{name_of(each)} has no names for its pods"


def mounts_are_of_volumes(objects: Objects) -> Iterator[str]:
    """Each mount has its volume, each volume is mounted, and no path is mounted twice."""
    for each in workloads(objects):
        mounts = [mount for container in both(each) for mount in container.get("volumeMounts", ())]
        claims = [
            claim["metadata"]["name"] for claim in each["spec"].get("volumeClaimTemplates", ())
        ]
        volumes = [volume["name"] for volume in pod(each).get("volumes", ())] + claims
        for name in {mount["name"] for mount in mounts} ^ set(volumes):
            yield f"{name_of(each)} has {name} as a volume or as a mount, not as both"
        for container in both(each):
            paths = [mount["mountPath"] for mount in container.get("volumeMounts", ())]
            if len(paths) != len(set(paths)):
                yield f"{name_of(each)} mounts one volume over another"


def what_is_named_is_given(objects: Objects) -> Iterator[str]:
    """Each ConfigMap, Secret and key that is needed is made here, or by a command of the page."""
    given = keys_of(objects)
    for owner, kind, name, key in needed(objects):
        if name not in given[kind]:
            yield f"{owner} needs the {kind} {name}, which nobody makes"
        elif key and key not in given[kind][name]:
            yield f"{owner} needs {key} of the {kind} {name}"


def files_that_are_named_are_mounted(objects: Objects) -> Iterator[str]:
    """Each path in a command, the environment or a mounted configuration is one of the container.

    It lies in a volume that is written, or is a key of a ConfigMap or Secret that is mounted.
    """
    for each in workloads(objects):
        for container in both(each):
            mounted = files(objects, each, container)
            for path in {*said(objects, container), *configured(objects, each, container)}:
                if not any(has(path, folder, inside) for folder, inside in mounted.items()):
                    yield f"{name_of(each)} has no {path}"


def probes_ask_ports_that_are_there(objects: Objects) -> Iterator[str]:
    """The port of a probe is one that its container names, or has."""
    for each in workloads(objects):
        for container in both(each):
            for probe in PROBES:
                for how in ("httpGet", "tcpSocket", "grpc"):
                    asked = container.get(probe, {}).get(how)
                    if asked and asked["port"] not in ports(container):
                        yield f"{probe} of {name_of(each)} asks no port"


def addresses_are_of_services(objects: Objects) -> Iterator[str]:
    """Each `name:port` of a component, a setting or a configuration is a Service's."""
    there = {
        (each["metadata"]["name"], port["port"])
        for each in of_kind(objects, "Service")
        for port in each["spec"]["ports"]
    }
    speakers = of_kind(objects, "Component", "Configuration", "ConfigMap")
    for each in [*speakers, *workloads(objects)]:
        for name, port in _ADDRESS.findall(_text(each)):
            if name not in BROUGHT and (name, int(port)) not in there:
                yield f"{name_of(each)} calls {name}:{port}, which is no Service's"


def grafana_reads_what_it_is_given(objects: Objects) -> Iterator[str]:
    """Both kinds of provisioning lie where it looks, and each provider's folder has a dashboard."""
    for workload in workloads(objects):
        if workload["metadata"]["name"] != "grafana":
            continue
        mounted = files(objects, workload, pod(workload)["containers"][0])
        for kind, key in (("datasources", "datasources"), ("dashboards", "providers")):
            if f"{PROVISIONING}/{kind}/{kind}.yaml" not in mounted:
                yield f"Grafana does not read its {kind}"
            if not provisioned(objects, kind).get(key):
                yield f"Grafana is given no {key}"
        for provider in provisioned(objects, "dashboards").get("providers", ()):
            inside = mounted.get(provider["options"]["path"]) or ()
            if not any(name.endswith(".json") for name in inside):
                yield f"the provider {provider['name']} has no dashboard"


def panels_have_their_data(objects: Objects) -> Iterator[str]:
    """Each panel asks a data source that Grafana is given, by its name and as what it is."""
    for each in of_kind(objects, "ConfigMap"):
        for name, text in each["data"].items():
            if not name.endswith(".json"):
                continue
            given = provisioned(objects, "datasources").get("datasources", ())
            sources = {(source["uid"], source["type"]) for source in given}
            for panel in json.loads(text)["panels"]:
                asked = panel.get("datasource")
                if asked and (asked["uid"], asked["type"]) not in sources:
                    yield f"{panel['title']!r} of {name} has no data"


def provisioned(objects: Objects, kind: str) -> dict[str, Any]:
    """One of the two files that Grafana reads at its start."""
    texts = the(objects, "ConfigMap", "grafana-provisioning")["data"]
    found: dict[str, Any] = yaml.safe_load(texts[f"{kind}.yaml"])
    return found


def selects(wanted: dict[str, str], workload: Object) -> bool:
    """Whether a Service's selector is of the workload's pods."""
    return selector({"matchLabels": wanted})(labels(workload))


def labels(workload: Object) -> dict[str, str]:
    """Of its pods."""
    found: dict[str, str] = workload["spec"]["template"]["metadata"]["labels"]
    return found


def ports(*containers: Object) -> set[str | int]:
    """What their ports may be called: by name and by number."""
    return {
        called
        for container in containers
        for port in container.get("ports", ())
        for called in (port["containerPort"], port.get("name", port["containerPort"]))
    }


def _of(each: Object) -> dict[str, str]:
    own = {"apiVersion": each["apiVersion"], "kind": each["kind"]}
    return own | {"name": each["metadata"]["name"]}


def _text(each: Any) -> str:
    """All strings in it, one a line, without comments of configurations."""
    if isinstance(each, dict):
        return "\n".join(_text(value) for value in each.values())
    if isinstance(each, list):
        return "\n".join(_text(value) for value in each)
    return re.sub(r"^\s*#.*$", "", str(each), flags=re.MULTILINE)


WIRING: tuple[Check, ...] = (
    services_find_their_pods,
    replicas_are_seen_before_they_are_ready,
    autoscalers_measure_what_is_there,
    selectors_are_of_own_pods,
    workloads_name_what_is_there,
    mounts_are_of_volumes,
    what_is_named_is_given,
    files_that_are_named_are_mounted,
    probes_ask_ports_that_are_there,
    addresses_are_of_services,
    grafana_reads_what_it_is_given,
    panels_have_their_data,
)
