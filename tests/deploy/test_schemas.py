"""The manifests are of the forms that Kubernetes and Dapr have for them, with no field too many."""

import functools
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from kubernetes_validate import ValidationError, validate

from tests.deploy.manifests import (
    K8S,
    OPTIONS,
    OVERLAYS,
    PLAIN,
    ROOT,
    Object,
    documents,
    of_kind,
    rendered,
    the,
)

KUBERNETES = ["1.30", "1.34", "1.37"]
"""The oldest with what the manifests use, the one of the real tests, the newest that is known."""
EVERYTHING = [PLAIN, *OVERLAYS, *OPTIONS]


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("name", [PLAIN, "observed", "prod", "bindings"])
def test_kubernetes_knows_every_field(name: str, version: str):
    """Each object of Kubernetes is of its strict schema."""
    objects = [each for each in rendered(name) if not is_dapr(each)]

    assert objects
    for each in [*objects, *documents((K8S / "namespace.yaml").read_text())]:
        validate(each, version, strict=True)


@pytest.mark.parametrize("version", KUBERNETES)
def test_a_misspelt_field_is_noticed(version: str):
    """The schema refuses a field that Kubernetes does not have."""
    deployment = the(rendered(PLAIN), "Deployment", "agent-actors")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    container["readinesProbe"] = container.pop("readinessProbe")

    with pytest.raises(ValidationError, match="readinesProbe"):
        validate(deployment, version, strict=True)


@pytest.mark.parametrize("name", EVERYTHING)
def test_dapr_knows_every_field(name: str):
    """Each object of Dapr is of the form of its kind, with no field too many."""
    objects = [each for each in rendered(name) if is_dapr(each)]

    assert {each["kind"] for each in objects} == set(FORMS)
    assert not [
        f"{each['kind']} {each['metadata']['name']}: {error.message}"
        for each in objects
        for error in Draft202012Validator(FORMS[each["kind"]]).iter_errors(each)
    ]


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        ("Component", {"spec": {"tipe": "state.redis", "version": "v1", "metadata": []}}),
        ("Component", {"scope": ["agents"]}),
        ("Subscription", {"spec": {"pubsubname": "a", "topic": "b", "route": "/c"}}),
        ("Resiliency", {"spec": {"policies": {"retry": {}}, "targets": {}}}),
        ("Configuration", {"spec": {"tracing": {"samplngRate": "1"}}}),
    ],
)
def test_a_field_that_dapr_lacks_is_noticed(kind: str, wrong: Object):
    """The form refuses it."""
    first = of_kind(rendered(PLAIN), kind)[0]

    assert list(Draft202012Validator(FORMS[kind]).iter_errors(first | wrong))


@pytest.mark.parametrize("name", EVERYTHING)
def test_daprs_own_definitions_know_every_field(name: str):
    """The same by the definitions of Dapr's chart, where Go has fetched them."""
    definitions = dapr_definitions()

    for each in filter(is_dapr, rendered(name)):
        form = definitions[each["kind"], each["apiVersion"].partition("/")[2]]
        assert not [error.message for error in Draft202012Validator(form).iter_errors(each)]


def is_dapr(each: Object) -> bool:
    return bool(each["apiVersion"].startswith("dapr.io/"))


@functools.cache
def dapr_definitions() -> dict[tuple[str, str], Any]:
    """The schema of each kind and version, from the module that `make engine` builds daprd of."""
    go = shutil.which("go")
    if go is None:
        pytest.skip("there is no Go, which would say where Dapr's module is")
    command = [go, "list", "-m", "-f", "{{.Dir}}", "github.com/dapr/dapr"]
    offline = os.environ | {"GOFLAGS": "-mod=mod", "GOPROXY": "off"}
    told = subprocess.run(
        command, cwd=ROOT / "tools/dapr", env=offline, capture_output=True, text=True, timeout=60
    )
    folder = Path(told.stdout.strip() or "nowhere", "charts/dapr/crds")
    if not folder.is_dir():
        pytest.skip("Dapr's module is not here: `make engine` builds daprd of it")
    return {
        (each["spec"]["names"]["kind"], version["name"]): closed(
            version["schema"]["openAPIV3Schema"], root=True
        )
        for path in sorted(folder.glob("*.yaml"))
        for each in yaml.safe_load_all(path.read_text())
        for version in each["spec"]["versions"]
    }


def closed(form: Any, *, root: bool = False) -> Any:
    """A schema of Kubernetes as one that refuses unknown fields, as the API server does."""
    if not isinstance(form, dict):
        return form
    made = {key: value for key, value in form.items() if key != "properties"}
    for key in ("items", "additionalProperties"):
        if key in made:
            made[key] = closed(made[key])
    if "properties" in form:
        made["properties"] = {name: closed(each) for name, each in form["properties"].items()}
        if root:
            made["properties"]["metadata"] = {"type": "object"}
        if not form.get("x-kubernetes-preserve-unknown-fields"):
            made.setdefault("additionalProperties", False)
    return made


def _of(**fields: Any) -> Any:
    """An object with these fields and no other."""
    needed = [name.removesuffix("_") for name in fields if not name.endswith("_")]
    properties = {name.removesuffix("_"): form for name, form in fields.items()}
    return {
        "type": "object",
        "properties": properties,
        "required": needed,
        "additionalProperties": False,
    }


def _kind(version: str, spec: Any, **more: Any) -> Any:
    metadata = _of(name=TEXT, labels_={"type": "object", "additionalProperties": TEXT})
    return _of(
        apiVersion={"const": f"dapr.io/{version}"}, kind=TEXT, metadata=metadata, spec=spec, **more
    )


def _each(form: Any) -> Any:
    return {"type": "array", "items": form, "minItems": 1}


def _named(form: Any) -> Any:
    return {"type": "object", "additionalProperties": form, "minProperties": 1}


TEXT = {"type": "string"}
_ITEM = {
    "oneOf": [_of(name=TEXT, value=TEXT), _of(name=TEXT, secretKeyRef=_of(name=TEXT, key=TEXT))]
}
_ALLOWED = _of(name=TEXT, version=TEXT, protocol={"enum": ["http", "grpc"]})
FORMS: dict[str, Any] = {
    "Component": _kind(
        "v1alpha1",
        _of(type=TEXT, version=TEXT, metadata=_each(_ITEM)),
        scopes_=_each(TEXT),
        auth_=_of(secretStore=TEXT),
    ),
    "Subscription": _kind(
        "v2alpha1",
        _of(pubsubname=TEXT, topic=TEXT, routes=_of(default=TEXT), deadLetterTopic_=TEXT),
        scopes_=_each(TEXT),
    ),
    "Resiliency": _kind(
        "v1alpha1",
        _of(
            policies=_of(
                retries=_named(
                    _of(policy={"const": "constant"}, duration=TEXT, maxRetries={"type": "integer"})
                )
            ),
            targets=_of(components=_named(_of(inbound=_of(retry=TEXT)))),
        ),
        scopes_=_each(TEXT),
    ),
    "Configuration": _kind(
        "v1alpha1",
        _of(
            tracing=_of(
                samplingRate=TEXT,
                otel_=_of(endpointAddress=TEXT, isSecure={"type": "boolean"}, protocol=TEXT),
            ),
            accessControl=_of(defaultAction={"const": "deny"}),
            workflow=_of(stateRetentionPolicy=_of(anyTerminal=TEXT)),
            api=_of(allowed=_each(_ALLOWED)),
        ),
    ),
}
"""What we use of each kind of Dapr, and nothing more: where Go has not fetched Dapr's own."""


def test_the_forms_are_schemas():
    """What the forms say is a schema itself."""
    for form in FORMS.values():
        Draft202012Validator.check_schema(form)
