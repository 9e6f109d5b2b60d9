"""The manifests of `k8s/` as a cluster gets them, and parts of them by name.

kubectl contains kustomize. Without kubectl, only the plain files of `k8s/base` are read.
"""

import copy
import functools
import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
K8S = ROOT / "k8s"
PAGE = (ROOT / "docs/kubernetes.md").read_text(encoding="utf-8")
PLAIN = "plain"
"""The base before kustomize: what can be read without kubectl."""
OVERLAYS = ("dev", "observed", "prod")
OPTIONS = ("dev and bindings", "dev and kafka", "dev and twilio")
SHOWN = "prod and observability"
"""The overlay `prod` with everything that the manifests can deploy, except for the bindings."""
GONE = object()
"""Stands for a field that is not there."""

Object = dict[str, Any]
Objects = list[Object]

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@functools.cache
def rendered(name: str) -> Objects:
    """The objects of an overlay, of an overlay "and" a component, or of the plain base.

    They are cached and shared: `edited` returns a copy to change.
    """
    if name == PLAIN:
        skipped = {"kustomization.yaml", "valkey-patch.yaml"}
        files = [*(K8S / "base").glob("*.yaml"), *(ROOT / "components").glob("*.yaml")]
        texts = (each.read_text("utf-8") for each in sorted(files) if each.name not in skipped)
        return documents("\n---\n".join(texts))
    return documents(built(name))


@functools.cache
def built(name: str) -> str:
    """The output of kustomize for an overlay, with a component on top of it if one is named."""
    overlay, _, component = name.partition(" and ")
    if not component:
        return kustomized(K8S / "overlays" / overlay)
    with TemporaryDirectory() as folder:
        return kustomized(
            Path(folder), overlay, {"components": [f"{_k8s(folder)}/components/{component}"]}
        )


def kustomized(folder: Path, overlay: str = "", kustomization: Object | None = None) -> str:
    """The output of kustomize for a folder, with a kustomization on top of an overlay if given."""
    if kustomization is not None:
        base = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}
        written = base | kustomization | {"resources": [f"{_k8s(folder)}/overlays/{overlay}"]}
        (folder / "kustomization.yaml").write_text(yaml.safe_dump(written), encoding="utf-8")
    program = kubectl()
    done = subprocess.run(
        [program, "kustomize", folder], capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 0, done.stderr
    return done.stdout


def kubectl() -> str:
    """The kubectl on PATH or of `make kubernetes`; skips the test if there is none."""
    cached = sorted(Path.home().glob(".cache/agent-actors/kubernetes-*/kubectl"))
    found = shutil.which("kubectl") or next(map(str, reversed(cached)), None)
    if found is None:
        pytest.skip("kubectl is not installed: `make kubernetes` builds it")
    return found


def _k8s(folder: str | Path) -> str:
    """The path from a folder to `k8s/`; kustomize takes only relative paths."""
    return os.path.relpath(K8S, Path(folder).resolve())


def documents(text: str) -> Objects:
    """The documents of a YAML text."""
    return [each for each in yaml.load_all(text, Loader=_LOADER) if each]


def edited(name: str, target: str, path: str, value: Any) -> Objects:
    """A copy of an overlay's objects with one field changed.

    Args:
        name: As for `rendered`.
        target: Kind and name of the object to change.
        path: Keys and list indexes, separated by spaces.
        value: What to put there; `GONE` removes the field, a pair `(old, new)` replaces a text.
    """
    objects = copy.deepcopy(rendered(name))
    kind, _, called = target.partition(" ")
    put(the(objects, kind, called), path, value)
    return objects


def put(part: Any, path: str, value: Any) -> None:
    """Changes one field of a manifest, as `edited` describes it."""
    *way, last = [int(word) if word.isdigit() else word for word in path.split(" ")]
    for step in way:
        part = part[step]
    if value is GONE:
        del part[last]
    elif isinstance(value, tuple):
        old, new = value
        assert old in part[last]
        part[last] = part[last].replace(old, new)
    else:
        part[last] = value


def at(part: Any, path: str) -> Any:
    """A field of a manifest, or `GONE`."""
    for word in path.split(" "):
        try:
            part = part[int(word) if word.isdigit() else word]
        except (KeyError, IndexError):
            return GONE
    return part


def of_kind(objects: Iterable[Object], *kinds: str) -> Objects:
    """The objects of these kinds."""
    return [each for each in objects if each["kind"] in kinds]


def the(objects: Iterable[Object], kind: str, name: str) -> Object:
    """The object of that kind and name; a hash of kustomize may follow the name."""
    (found,) = (
        each
        for each in of_kind(objects, kind)
        if each["metadata"]["name"] == name
        or (each["metadata"]["name"][:-11], each["metadata"]["name"][-11:-10]) == (name, "-")
    )
    return found


def name_of(each: Object) -> str:
    """Kind and name of an object."""
    return f"{each['kind']} {each['metadata']['name']}"


def workloads(objects: Iterable[Object]) -> Objects:
    """The objects that make pods."""
    return of_kind(objects, "Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "Pod")


def pod(workload: Object) -> Object:
    """The pod spec of a workload."""
    spec: Object = workload["spec"]["template"]["spec"]
    return spec


def containers(objects: Iterable[Object]) -> Iterator[tuple[str, Object]]:
    """Every container, with the name of its workload."""
    for each in workloads(objects):
        for container in (*pod(each).get("initContainers", ()), *pod(each)["containers"]):
            yield each["metadata"]["name"], container


def service_container(objects: Iterable[Object]) -> Object:
    """The container of the service."""
    (container,) = pod(the(objects, "Deployment", "agent-actors"))["containers"]
    found: Object = container
    return found


def annotations(objects: Iterable[Object]) -> dict[str, str]:
    """The annotations for Dapr's injector, without `dapr.io/`."""
    template = the(objects, "Deployment", "agent-actors")["spec"]["template"]
    return {
        name.removeprefix("dapr.io/"): value
        for name, value in template["metadata"]["annotations"].items()
        if name.startswith("dapr.io/")
    }


def settings(objects: Iterable[Object]) -> dict[str, str]:
    """The environment of the service, without its secrets."""
    container = service_container(objects)
    own = {item["name"]: item["value"] for item in container.get("env", ()) if "value" in item}
    (source,) = container["envFrom"]
    shared: dict[str, str] = the(objects, "ConfigMap", source["configMapRef"]["name"])["data"]
    return shared | own
