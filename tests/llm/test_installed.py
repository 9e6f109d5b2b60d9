"""The packages of the model servers are pinned and hashed, without addresses."""

import json
import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]


def text_of(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def test_the_node_lock_is_whole_and_names_no_address():
    """Every package of tools/llm has an exact version and a hash, without an address."""
    text = text_of("tools/llm/package-lock.json")
    packages = json.loads(text)["packages"]
    wanted = json.loads(text_of("tools/llm/package.json"))["devDependencies"]

    assert "://" not in text
    assert wanted == packages[""]["devDependencies"]
    for name, version in wanted.items():
        assert packages[f"node_modules/{name}"]["version"] == version
    assert all(entry["integrity"] for path, entry in packages.items() if path)


def test_the_real_models_lock_is_whole_and_names_no_address():
    """requirements-real-model.lock has the project file's packages, hashes and no address."""
    text = text_of("requirements-real-model.lock")
    groups = tomllib.loads(text_of("pyproject.toml"))["dependency-groups"]
    entries = re.split(r"^(?=[a-z])", text, flags=re.MULTILINE)[1:]

    assert "://" not in text
    assert [entry.split(" ")[0] for entry in entries] == groups["real-model"]
    assert all("--hash=sha256:" in entry for entry in entries)


def test_nothing_of_the_real_model_is_among_the_packages_of_the_tests():
    """The packages of the real model are installed in a folder of their own."""
    groups = tomllib.loads(text_of("pyproject.toml"))["dependency-groups"]
    heavy = {Requirement(line).name for line in groups["real-model"]}
    locked = text_of("requirements-dev.lock")

    assert heavy
    assert not [name for name in heavy if re.search(rf"^{name}==", locked, flags=re.MULTILINE)]
