"""The manifests as a cluster gets them: what kustomize makes of `k8s/`, and parts of it by name.

Kustomize is in kubectl. Where there is none, the files of `k8s/base` are still read as they are.
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
PLAIN = "plain"
"""The base before kustomize: what can be read without kubectl."""
OVERLAYS = ("dev", "observed", "prod")
OPTIONS = ("bindings", "kafka", "twilio")
"""Components of kustomize that dev is tried with."""

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # Written in C, where it could be.

Object = dict[str, Any]
Objects = list[Object]


def rendered(name: str) -> Objects:
    """A copy of the objects of an overlay, of dev with one component, or of the plain base."""
    if name != PLAIN:
        need_kubectl()
    return copy.deepcopy(_rendered(name))


def need_kubectl() -> None:
    """Skips the test where there is none, and says what would make one."""
    if kubectl() is None:
        pytest.skip("kubectl is not here: `make kubernetes` builds it")


@functools.cache
def kubectl() -> str | None:
    """Where it is: on PATH, else where `make kubernetes` has put it."""
    built = sorted(Path.home().glob(".cache/agent-actors/kubernetes-*/kubectl"))
    return shutil.which("kubectl") or (str(built[-1]) if built else None)


@functools.cache
def _rendered(name: str) -> Objects:
    if name == PLAIN:
        return list(_plain())
    if name in OVERLAYS:
        return documents(kustomized(K8S / "overlays" / name))
    return documents(composed("dev", name))


@functools.cache
def composed(overlay: str, component: str) -> str:
    """What kustomize makes of an overlay with one component on top."""
    with TemporaryDirectory() as folder:
        here = os.path.relpath(K8S, Path(folder).resolve())
        written = {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "resources": [f"{here}/overlays/{overlay}"],
            "components": [f"{here}/components/{component}"],
        }
        Path(folder, "kustomization.yaml").write_text(yaml.safe_dump(written), encoding="utf-8")
        return kustomized(Path(folder))


def kustomized(folder: Path) -> str:
    """What `kubectl kustomize` says."""
    command = [kubectl() or "kubectl", "kustomize", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 0, done.stderr
    return done.stdout


def _plain() -> Iterator[Object]:
    for path in sorted((*(K8S / "base").glob("*.yaml"), *(ROOT / "components").glob("*.yaml"))):
        if path.name in {"kustomization.yaml", "valkey-patch.yaml"}:
            continue
        yield from documents(path.read_text(encoding="utf-8"))


def documents(text: str) -> Objects:
    """Each document of a YAML text."""
    return [each for each in yaml.load_all(text, Loader=_LOADER) if each]


def of_kind(objects: Iterable[Object], *kinds: str) -> Objects:
    """Those of some kinds."""
    return [each for each in objects if each["kind"] in kinds]


def the(objects: Iterable[Object], kind: str, name: str) -> Object:
    """The one of that kind and name; a generated name may end in its hash."""
    (found,) = (
        each
        for each in of_kind(objects, kind)
        if each["metadata"]["name"] == name or _hashed(each["metadata"]["name"], name)
    )
    return found


def _hashed(name: str, start: str) -> bool:
    return name.startswith(f"{start}-") and len(name) == len(start) + 11


def workloads(objects: Iterable[Object]) -> Objects:
    """What makes pods."""
    return of_kind(objects, "Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "Pod")


def pod(workload: Object) -> Object:
    """The spec of its pods."""
    spec: Object = workload["spec"]["template"]["spec"]
    return spec


def containers(objects: Iterable[Object]) -> Iterator[tuple[str, Object]]:
    """Every container, with the name of its workload."""
    for each in workloads(objects):
        for container in (*pod(each).get("initContainers", ()), *pod(each)["containers"]):
            yield each["metadata"]["name"], container


def service_container(objects: Iterable[Object]) -> Object:
    """The container of the service."""
    (found,) = pod(the(objects, "Deployment", "agent-actors"))["containers"]
    container: Object = found
    return container


def annotations(objects: Iterable[Object]) -> dict[str, str]:
    """What the pods of the service tell Dapr's injector, by the name after `dapr.io/`."""
    template = the(objects, "Deployment", "agent-actors")["spec"]["template"]
    return {
        name.removeprefix("dapr.io/"): value
        for name, value in template["metadata"]["annotations"].items()
        if name.startswith("dapr.io/")
    }


def settings(objects: Iterable[Object]) -> dict[str, str]:
    """The environment of the service that is no secret."""
    container = service_container(objects)
    own = {item["name"]: item["value"] for item in container.get("env", ()) if "value" in item}
    (source,) = container["envFrom"]
    shared: dict[str, str] = the(objects, "ConfigMap", source["configMapRef"]["name"])["data"]
    return shared | own
