"""promtool and a collector, of the versions in our images, as tests ask them."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.deploy.manifests import K8S, Object, of_kind, pod
from tools import observability_tools
from tools.observability_tools import OTELCOL, PROMTOOL, NotThere

FOLDER = K8S / "components/observability"
TIME = 60.0
"""What one question may take, in seconds, on a machine that does other things as well."""


class Answer:
    """What a program said to one question, and whether it agreed."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        self.agrees = done.returncode == 0
        self.text = done.stdout + done.stderr


class Program:
    """One of them."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self, *arguments: str | Path, given: str = "") -> Answer:
        """What it says to these arguments, and to what is written to it."""
        return Answer(
            subprocess.run(
                [self.path, *arguments], input=given, capture_output=True, text=True, timeout=TIME
            )
        )


@pytest.fixture(scope="session")
def programs() -> Path:
    """The folder of both programs; without them a skip, or in CI a failure."""
    try:
        return observability_tools.find()
    except NotThere as reason:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(str(reason))


@pytest.fixture(scope="session")
def promtool(programs: Path) -> Program:
    return Program(programs / PROMTOOL)


@pytest.fixture(scope="session")
def otelcol(programs: Path) -> Program:
    return Program(programs / OTELCOL)


def container(file: str) -> Object:
    """The one of the Deployment in a file of the component."""
    objects = yaml.safe_load_all((FOLDER / file).read_text(encoding="utf-8"))
    (deployment,) = of_kind(objects, "Deployment")
    (found,) = pod(deployment)["containers"]
    return dict(found)


def version(file: str) -> str:
    """The tag of its image, without the `v`."""
    _, _, tag = container(file)["image"].rpartition(":")
    return str(tag).removeprefix("v")


def laid_out(file: str, config_map: str, folder: Path) -> list[str]:
    """Writes a ConfigMap as the pod has it, with a folder of ours for its own.

    Returns:
        The pod's own arguments, for that folder.
    """
    pods = container(file)
    (place,) = (each["mountPath"] for each in pods["volumeMounts"] if each["name"] == "config")
    for name, text in _entries(config_map):
        (folder / name).write_text(text.replace(f"{place}/", f"{folder}/"), encoding="utf-8")
    return [argument.replace(f"{place}/", f"{folder}/") for argument in pods["args"]]


def _entries(config_map: str) -> Iterator[tuple[str, str]]:
    kustomization = yaml.safe_load((FOLDER / "kustomization.yaml").read_text(encoding="utf-8"))
    for made in kustomization["configMapGenerator"]:
        for each in made.get("files", ()) if made["name"] == config_map else ():
            name, _, source = each.partition("=")
            yield name, (FOLDER / (source or name)).read_text(encoding="utf-8")
