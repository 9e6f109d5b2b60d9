"""What containers are given (ConfigMaps, Secrets, the files of both), and what they name of it."""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from tests.deploy.manifests import ROOT, Object, Objects, annotations, of_kind, pod, the, workloads
from tests.deploy.policy import name_of

FOR_PEOPLE = {"rules.yaml", "agent-actors.json"}
"""Files with texts in them that are no configuration."""

_PATH = re.compile(r"(?:^|[\s=])(/[\w.-][\w./-]*)")

Need = tuple[str, str, str, str]
"""Who, the kind and name of what it needs, and the key, if only one is needed."""


def both(workload: Object) -> Objects:
    """Its containers, those that start first among them."""
    return [*pod(workload).get("initContainers", ()), *pod(workload)["containers"]]


def needed(objects: Objects) -> Iterator[Need]:
    """Who needs which ConfigMap or Secret, and which key of it, if only one."""
    for each in workloads(objects):
        for volume in pod(each).get("volumes", ()):
            yield from ((name_of(each), *source, "") for source in _sources(volume))
        for container in both(each):
            yield from _whole(container.get("envFrom", ()), name_of(each))
            yield from _keys(container.get("env", ()), name_of(each))
    for each in of_kind(objects, "Component"):
        yield from _keys(each["spec"]["metadata"], name_of(each))
    yield "the sidecar", "Secret", annotations(objects)["app-token-secret"], "token"


def _whole(sources: Objects, owner: str) -> Iterator[Need]:
    for source in sources:
        for form, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
            if form in source:
                yield owner, kind, source[form]["name"], ""


def _keys(items: Objects, owner: str) -> Iterator[Need]:
    """Of variables of an environment, and of metadata of a component, which are of one form."""
    for item in items:
        source = item.get("valueFrom", item)
        for form, kind in (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")):
            if form in source and not source[form].get("optional"):
                yield owner, kind, source[form]["name"], source[form]["key"]


def _sources(volume: Object) -> Iterator[tuple[str, str]]:
    assert "items" not in str(volume), "a key under another name is not understood here"

    if "configMap" in volume:
        yield "ConfigMap", volume["configMap"]["name"]
    if "secret" in volume:
        yield "Secret", volume["secret"]["secretName"]


def keys_of(objects: Objects) -> dict[str, dict[str, set[str]]]:
    """The keys of each ConfigMap and Secret, by kind and name: those made here, or by the page."""
    given: dict[str, dict[str, set[str]]] = {"ConfigMap": {}, "Secret": documented()}
    for each in of_kind(objects, "ConfigMap", "Secret"):
        keys = {*each.get("data", ()), *each.get("stringData", ())}
        given[each["kind"]][each["metadata"]["name"]] = keys
    return given


def documented() -> dict[str, set[str]]:
    """The Secrets that `docs/kubernetes.md` makes by hand, with their keys."""
    made: dict[str, set[str]] = {}
    page = (ROOT / "docs/kubernetes.md").read_text(encoding="utf-8")
    for name, rest in re.findall(r"create secret generic ([\w-]+)(.*)", page):
        made.setdefault(name, set()).update(re.findall(r"--from-(?:literal|file)=([\w.]+)", rest))
    return made


Inside = set[str] | None
"""The files of a folder; None where whatever is written is there. One file has none in it."""


def files(objects: Objects, workload: Object, container: Object) -> dict[str, Inside]:
    """What a container has mounted, by its path."""
    given = keys_of(objects)
    volumes = {each["name"]: each for each in pod(workload).get("volumes", ())}
    found: dict[str, Inside] = {}
    for mount in container.get("volumeMounts", ()):
        sources = [*_sources(volumes.get(mount["name"], {}))]
        keys = {key for kind, name in sources for key in given[kind].get(name, ())}
        found[mount["mountPath"]] = keys if sources else None
        if "subPath" in mount:
            del found[mount["mountPath"]]
            if mount["subPath"] in keys:
                found[mount["mountPath"]] = set()
    return found


def has(path: str, folder: str, inside: Inside) -> bool:
    """Whether a path is that of what is mounted, or in it."""
    if path == folder:
        return True
    below = PurePosixPath(path).is_relative_to(folder)
    return below and (inside is None or str(PurePosixPath(path).relative_to(folder)) in inside)


def said(objects: Objects, container: Object) -> Iterator[str]:
    """The paths in its command and environment."""
    own = [each.get("value", "") for each in container.get("env", ())]
    for source in container.get("envFrom", ()):
        own += the(objects, "ConfigMap", source["configMapRef"]["name"])["data"].values()
    for text in (*container.get("command", ()), *container.get("args", ()), *own):
        yield from _PATH.findall(text)


def configured(objects: Objects, workload: Object, container: Object) -> Iterator[str]:
    """The paths that end a line of a configuration that it has mounted."""
    mounted = {mount["name"] for mount in container.get("volumeMounts", ())}
    for volume in pod(workload).get("volumes", ()):
        if volume["name"] not in mounted or "configMap" not in volume:
            continue
        for name, text in the(objects, "ConfigMap", volume["configMap"]["name"])["data"].items():
            for line in () if name in FOR_PEOPLE else text.splitlines():
                if not line.lstrip().startswith(("#", "metrics_path:")):
                    yield from re.findall(r"\s(/[\w.-][\w./-]*)$", line)
