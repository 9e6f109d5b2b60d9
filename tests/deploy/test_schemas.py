"""Every field of the manifests is one that Kubernetes or Dapr has."""

import functools
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from kubernetes_validate import ValidationError, validate

from tests.deploy.manifests import (
    K8S,
    PLAIN,
    ROOT,
    SHOWN,
    Object,
    Objects,
    documents,
    edited,
    rendered,
    the,
)

KUBERNETES = ["1.30", "1.34", "1.37"]
"""The oldest with what the manifests use, that of the real tests, and the newest that is known."""
EVERYTHING = ["dev", SHOWN, "prod and bindings"]
"""Together they have every manifest and every patch."""


def different(*, dapr: bool) -> Objects:
    """Each object of Dapr's kinds, or of the others, once: overlays have most in common."""
    found = [each for name in EVERYTHING for each in rendered(name)]
    found += documents((K8S / "namespace.yaml").read_text(encoding="utf-8"))
    texts = {json.dumps(each, sort_keys=True) for each in found if is_dapr(each) is dapr}
    return [json.loads(each) for each in sorted(texts)]


def is_dapr(each: Object) -> bool:
    return bool(each["apiVersion"].startswith("dapr.io/"))


@pytest.mark.parametrize("version", KUBERNETES)
def test_kubernetes_knows_every_field(version: str):
    """Each object of Kubernetes matches its strict schema, and a misspelt field does not."""
    for each in different(dapr=False):
        validate(each, version, strict=True)
    wrong = edited(
        PLAIN, "Deployment agent-actors", "spec template spec containers 0 readinesProbe", {}
    )

    with pytest.raises(ValidationError, match="readinesProbe"):
        validate(the(wrong, "Deployment", "agent-actors"), version, strict=True)


def test_dapr_knows_every_field():
    """Each object matches the definition of its kind in Dapr's chart, where Go has fetched it."""
    objects = different(dapr=True)

    assert {each["kind"] for each in objects} == {
        "Component", "Configuration", "Resiliency", "Subscription"
    }  # fmt: skip
    for each in objects:
        assert mistakes(each) == []


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("Component pubsub", "spec tipe"),
        ("Component pubsub", "scope"),
        ("Subscription message-subscription", "spec route"),
        ("Resiliency agent-actors", "spec policies retry"),
        ("Configuration agent-actors", "spec tracing samplngRate"),
    ],
)
def test_a_misspelt_field_of_dapr_is_noticed(target: str, path: str):
    """Dapr's definitions do not know it."""
    kind, _, name = target.partition(" ")

    assert mistakes(the(edited(PLAIN, target, path, "1"), kind, name))


def mistakes(each: Object) -> list[str]:
    """What Dapr's definition of its kind says about an object."""
    definition = dapr_definitions()[each["kind"], each["apiVersion"].partition("/")[2]]
    return [error.message for error in Draft202012Validator(definition).iter_errors(each)]


@functools.cache
def dapr_definitions() -> dict[tuple[str, str], Any]:
    """The schema of each kind and version, from the module that `make engine` builds daprd from."""
    go = shutil.which("go")
    if go is None:
        pytest.skip("Go is not installed; it would say where Dapr's module is")
    done = subprocess.run(
        [go, "list", "-m", "-f", "{{.Dir}}", "github.com/dapr/dapr"],
        cwd=ROOT / "tools/dapr",
        env=os.environ | {"GOFLAGS": "-mod=mod", "GOPROXY": "off"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    folder = Path(done.stdout.strip() or "nowhere", "charts/dapr/crds")
    if not folder.is_dir():
        pytest.skip("Dapr's module is not installed: `make engine` builds daprd from it")
    return {
        (each["spec"]["names"]["kind"], version["name"]): closed(
            version["schema"]["openAPIV3Schema"], root=True
        )
        for path in sorted(folder.glob("*.yaml"))
        for each in documents(path.read_text(encoding="utf-8"))
        for version in each["spec"]["versions"]
    }


def closed(schema: Any, *, root: bool = False) -> Any:
    """A schema that refuses unknown fields, as the API server does."""
    if not isinstance(schema, dict):
        return schema
    made = {key: value for key, value in schema.items() if key != "properties"}
    made |= {key: closed(made[key]) for key in ("items", "additionalProperties") if key in made}
    if "properties" in schema:
        made["properties"] = {name: closed(each) for name, each in schema["properties"].items()}
        made["properties"] |= {"metadata": {"type": "object"}} if root else {}
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            made.setdefault("additionalProperties", False)
    return made
