"""The overlays that `docs/kubernetes.md` shows are overlays, and their settings are ours."""

import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent_actors.settings import read
from tests.deploy.manifests import (
    K8S,
    ROOT,
    Objects,
    documents,
    kustomized,
    need_kubectl,
    service_container,
    settings,
)

PAGE = (ROOT / "docs/kubernetes.md").read_text(encoding="utf-8")
OWN, ISSUER = (
    yaml.safe_load(block)
    for block in re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
)


def made(folder: Path, kustomization: dict[str, Any]) -> Objects:
    """What kustomize makes of it in a folder elsewhere."""
    prod = os.path.relpath(K8S / "overlays" / "prod", folder.resolve())
    written = kustomization | {"resources": [prod]}
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(written), encoding="utf-8")
    return documents(kustomized(folder))


@pytest.mark.parametrize("given", [OWN, OWN | ISSUER], ids=["own", "issuer"])
def test_an_overlay_of_ones_own_is_one(
    given: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """It is production with another image and the page's settings, which the service takes."""
    need_kubectl()
    objects = made(tmp_path, given)
    (image,) = OWN["images"]
    for name, value in settings(objects).items():
        monkeypatch.setenv(name, value)

    assert OWN["resources"] == ["../prod"]
    assert service_container(objects)["image"] == f"{image['newName']}@{image['digest']}"
    assert read().access_on
    for literal in given["configMapGenerator"][0]["literals"]:
        name, _, value = literal.partition("=")
        assert settings(objects)[name] == value


def test_an_issuer_may_be_named(monkeypatch: pytest.MonkeyPatch):
    """The three settings of the page are those that JWTs need."""
    for literal in ISSUER["configMapGenerator"][0]["literals"]:
        name, _, value = literal.partition("=")
        monkeypatch.setenv(name, value)

    assert read().access_on
    assert read().jwt_issuer == "https://login.example.org/realms/agents"
