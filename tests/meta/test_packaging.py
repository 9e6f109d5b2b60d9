"""The project file, its locks and what is installed agree."""

import importlib.metadata
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import agent_actors

ROOT = Path(__file__).parents[2]
LOCKS = ["requirements.lock", "requirements-dev.lock"]
OF_THE_IMAGE = ["requirements-image.lock", "requirements-build.lock"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def locked(name: str) -> dict[str, str]:
    text = (ROOT / name).read_text(encoding="utf-8")
    return {
        canonicalize_name(package): version
        for package, version in re.findall(r"^([\w.-]+)==([^\s;]+)", text, flags=re.MULTILINE)
    }


def test_no_legacy_dapr_extension_is_installed():
    """No `dapr-ext-*` is installed: it would write over files of `dapr` 1.19."""
    names = [dist.metadata["Name"].lower() for dist in importlib.metadata.distributions()]

    assert not [name for name in names if name.startswith("dapr-ext")]


@pytest.mark.parametrize("lock", [*LOCKS, *OF_THE_IMAGE])
def test_a_lock_names_no_legacy_dapr_extension(lock: str):
    """No lock brings `dapr-ext-*`."""
    assert not [name for name in locked(lock) if name.startswith("dapr-ext")]


@pytest.mark.parametrize("lock", [*LOCKS, *OF_THE_IMAGE])
def test_a_lock_names_no_host_and_no_machine(lock: str):
    """A lock holds no address, no index option and no absolute path."""
    text = (ROOT / lock).read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("    --hash=")]

    assert not [line for line in lines if re.search(r"://|^\s*-|\s/\w|@ ", line)]


@pytest.mark.parametrize("lock", [*LOCKS, *OF_THE_IMAGE])
def test_every_locked_package_has_a_hash(lock: str):
    """A package without a hash would let pip install another file."""
    text = (ROOT / lock).read_text(encoding="utf-8")
    entries = re.split(r"^(?=[a-zA-Z0-9])", text, flags=re.MULTILINE)[1:]

    assert entries
    assert not [entry.split("\n")[0] for entry in entries if "--hash=sha256:" not in entry]


def test_the_locks_satisfy_the_ranges():
    """Every range of the project file holds for the version that is locked."""
    wanted = {
        "requirements.lock": PROJECT["project"]["dependencies"],
        "requirements-dev.lock": PROJECT["project"]["dependencies"]
        + PROJECT["dependency-groups"]["dev"],
        "requirements-image.lock": PROJECT["project"]["dependencies"]
        + PROJECT["project"]["optional-dependencies"]["otel"],
        "requirements-build.lock": PROJECT["dependency-groups"]["build"],
    }
    broken = []
    for lock, ranges in wanted.items():
        versions = locked(lock)
        for requirement in map(Requirement, ranges):
            version = versions.get(canonicalize_name(requirement.name))
            if version is None or not requirement.specifier.contains(version):
                broken.append(f"{lock}: {requirement} is {version}")

    assert not broken


def test_the_development_lock_extends_the_lock():
    """Tests run on the very versions that the service runs on."""
    service, development = (locked(lock) for lock in LOCKS)

    assert service.items() <= development.items()


def test_the_image_has_the_versions_of_the_lock():
    """What runs in a cluster is what was tested, and tests' own packages are not in it."""
    service, development, image = map(locked, [*LOCKS, "requirements-image.lock"])

    assert service.items() <= image.items() <= development.items()
    assert "pytest" not in image


def test_the_installed_version_is_the_projects():
    """The installed package, the project file and the module name one version."""
    version = PROJECT["project"]["version"]

    assert importlib.metadata.version("agent-actors") == version
    assert agent_actors.__version__ == version
