"""The files of `k8s/components/observability`, and the programs that check them."""

import functools
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import yaml

from tests.deploy.manifests import K8S, Object, documents, of_kind, pod

FOLDER = K8S / "components/observability"
DASHBOARD: Any = json.loads((FOLDER / "dashboard.json").read_text(encoding="utf-8"))
PANELS = [each for each in DASHBOARD["panels"] if each["type"] != "row"]
CURVES: list[str] = [target["expr"] for panel in PANELS for target in panel["targets"]]
TIME = 60.0
"""Seconds that one run of a program may take on a busy machine."""


@functools.cache
def read(file: str) -> Any:
    """The parsed text of a file of the component."""
    return yaml.safe_load((FOLDER / file).read_text(encoding="utf-8"))


RULES: list[dict[str, Any]] = [
    rule for group in read("rules.yaml")["groups"] for rule in group["rules"]
]


def metrics(expression: str) -> set[str]:
    """Our metrics in an expression, without the suffixes of a histogram's series."""
    names = re.findall(r"\bagent_actors_\w+", expression)
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in names}


class Program:
    """promtool or the collector."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self, *arguments: str | Path, given: str = "") -> tuple[bool, str]:
        """Whether the program accepts what it is given, and what it prints."""
        done = subprocess.run(
            [self.path, *arguments], input=given, capture_output=True, text=True, timeout=TIME
        )
        return done.returncode == 0, done.stdout + done.stderr


def container(file: str) -> Object:
    """The container of the Deployment in a file of the component."""
    (deployment,) = of_kind(documents((FOLDER / file).read_text("utf-8")), "Deployment")
    (found,) = pod(deployment)["containers"]
    return dict(found)


def version(file: str) -> str:
    """The tag of that container's image, without the `v`."""
    return str(container(file)["image"].rpartition(":")[2].removeprefix("v"))


def laid_out(file: str, config_map: str, folder: Path) -> list[str]:
    """Writes the files of a ConfigMap into a folder, as the pod mounts them.

    Returns:
        The arguments of the pod, with that folder instead of its own.
    """
    found = container(file)
    (place,) = (each["mountPath"] for each in found["volumeMounts"] if each["name"] == "config")
    for made in read("kustomization.yaml")["configMapGenerator"]:
        for entry in made["files"] if made["name"] == config_map else ():
            name, _, source = entry.partition("=")
            text = (FOLDER / (source or name)).read_text(encoding="utf-8")
            (folder / name).write_text(text.replace(f"{place}/", f"{folder}/"), encoding="utf-8")
    return [argument.replace(f"{place}/", f"{folder}/") for argument in found["args"]]
