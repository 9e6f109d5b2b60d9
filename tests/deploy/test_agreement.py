"""The manifests, the code and the page name the same settings, ports, routes, topics and files."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent_actors import __version__
from agent_actors.app import create_app
from agent_actors.cli import main
from agent_actors.engine.components import SHIPPED
from agent_actors.engine.local import APP_ID
from agent_actors.engine.sidecar import LARGEST_BODY
from agent_actors.observability import exporter
from agent_actors.protocol import wire
from agent_actors.routes.sidecar.subscriptions import PATHS
from agent_actors.settings import Settings, read
from agent_actors.settings.unknown import variable
from tests.deploy.manifests import (
    K8S,
    OPTIONS,
    OVERLAYS,
    PAGE,
    PLAIN,
    ROOT,
    Objects,
    annotations,
    documents,
    kustomized,
    of_kind,
    pod,
    rendered,
    service_container,
    settings,
    the,
)
from tests.fakes import FakeRuntime

NAMES = {variable(name) for name in Settings.model_fields}
OTEL = {*exporter.ENDPOINTS, "OTEL_SERVICE_NAME"}
"""Variables of the environment that OpenTelemetry reads."""
EVERYWHERE = [*OVERLAYS, *OPTIONS]
OWN, ISSUER = (
    yaml.safe_load(block)
    for block in re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
)
"""The overlays that the page shows."""


def test_the_environment_is_what_the_service_reads(monkeypatch: pytest.MonkeyPatch):
    """In each overlay every variable is a setting, and the service reads it without an error."""
    for name in EVERYWHERE:
        given = settings(rendered(name))
        variables = {item["name"] for item in service_container(rendered(name))["env"]}

        assert not {*given, *variables} - NAMES - OTEL
        with monkeypatch.context() as environment:
            for each, value in given.items():
                environment.setenv(each, value)
            assert read().require_token is True
            assert read().log_format == "json"


@pytest.mark.parametrize(
    ("name", "access"), [("dev", "off"), ("observed", "off"), ("prod", "required")]
)
def test_access_is_off_by_name_or_required(name: str, access: str):
    """Dev says that nobody needs a token, production that everybody does."""
    assert settings(rendered(name))["AGENT_ACTORS_ACCESS"] == access
    assert "AGENT_ACTORS_ACCESS=required" in (K8S / "base/settings.env").read_text()


def test_the_tokens_of_production_are_mounted():
    """The file of the setting is in a Secret that the service's user can read."""
    objects = rendered("prod")
    folder = str(Path(settings(objects)["AGENT_ACTORS_ACCESS_TOKENS_FILE"]).parent)
    (mount,) = [
        each for each in service_container(objects)["volumeMounts"] if each["mountPath"] == folder
    ]
    volumes = pod(the(objects, "Deployment", "agent-actors"))["volumes"]
    secret = {"secretName": "agent-actors-access", "defaultMode": 0o440}

    assert mount["readOnly"] is True
    assert {"name": mount["name"], "secret": secret} in volumes


@pytest.mark.parametrize("name", ["dev", "prod"])
def test_the_command_is_one_of_ours(name: str):
    """It starts the service on the port that sidecar, Service and probes know, for all to reach."""
    container = service_container(rendered(name))
    program, command, *words = container["command"]
    parsed = main.commands[command].make_context(command, words).params
    ports = {each["name"]: each["containerPort"] for each in container["ports"]}
    (port,) = the(rendered(name), "Service", "agent-actors")["spec"]["ports"]

    assert (program, parsed["host"], parsed["runtime"]) == ("agent-actors", "0.0.0.0", "dapr")
    assert parsed["port"] == ports["http"] == port["port"]
    assert annotations(rendered(name))["app-port"] == str(parsed["port"])


def test_probes_ask_routes_that_exist():
    """Each path of a probe is a route of the service."""
    paths = create_app(Settings(data=Path("not made")), runtime=FakeRuntime()).openapi()["paths"]
    container = service_container(rendered(PLAIN))

    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"]["path"] in paths


def test_the_sidecar_is_as_on_a_laptop():
    """App id and largest body are those of `agent-actors dev`: the id is part of every key."""
    given = annotations(rendered(PLAIN))

    assert given["app-id"] == APP_ID
    assert given["max-body-size"] == LARGEST_BODY


@pytest.mark.parametrize("name", EVERYWHERE)
def test_every_subscription_leads_to_a_route(name: str):
    """Topics, brokers and routes are those of the code; each dead-letter topic has a reader."""
    objects = rendered(name)
    brokers = {each["metadata"]["name"] for each in of_kind(objects, "Component")}
    subscriptions = [each["spec"] for each in of_kind(objects, "Subscription")]
    topics = {(each["pubsubname"], each["topic"]) for each in subscriptions}

    assert {each["routes"]["default"] for each in subscriptions} == PATHS - {"/receive-message"}
    assert {each["pubsubname"] for each in subscriptions} <= brokers
    assert (wire.PUBSUB, wire.USER_CHAT) in topics
    for each in subscriptions:
        if "deadLetterTopic" in each:
            assert (each["pubsubname"], each["deadLetterTopic"]) in topics


def test_the_components_are_those_of_a_laptop():
    """Kustomize takes every file of `components/`, and changes only the address of Redis."""
    listed = yaml.safe_load((ROOT / "components/kustomization.yaml").read_text())["resources"]
    files = {path.name for path in (ROOT / "components").glob("*.yaml")}
    theirs = {
        each["metadata"]["name"]: each["spec"]["metadata"]
        for each in of_kind(rendered("prod"), "Component")
    }

    assert set(listed) == files - {"kustomization.yaml"}
    for each in of_kind(rendered(PLAIN), "Component"):
        own, other = each["spec"]["metadata"], theirs[each["metadata"]["name"]]
        assert own[0]["value"] == SHIPPED
        assert [item["name"] for item in own] == [item["name"] for item in other]
        assert own[2:] == other[2:]


@pytest.mark.parametrize(
    ("name", "bindings", "sms"),
    [
        ("dev", set(), None),
        ("dev and kafka", {"kafka-binding"}, None),
        ("dev and twilio", {"twilio-binding"}, "twilio-binding"),
        ("dev and bindings", {"kafka-binding", "twilio-binding"}, "twilio-binding"),
    ],
)
def test_an_overlay_has_the_bindings_that_it_takes(name: str, bindings: set[str], sms: str | None):
    """With them comes the setting that names the one for SMS."""
    objects = rendered(name)
    found = {each["metadata"]["name"] for each in of_kind(objects, "Component")}

    assert {each for each in found if each.endswith("-binding")} == bindings
    assert settings(objects).get("AGENT_ACTORS_SMS_BINDING") == sms


def test_the_image_of_production_is_this_version():
    """The tag is the project's version."""
    assert service_container(rendered("prod"))["image"] == f"agent-actors:{__version__}"


def test_namespaces_do_not_meet():
    """Every address in the manifests is a short name, which means the own namespace.

    `*.svc` in AGENT_ACTORS_HOSTS is no address: others may call the service by its long name.
    """
    for name in OVERLAYS:
        assert not re.search(r"(?<!\*)\.svc\b", str(rendered(name)))


def test_the_page_names_what_exists():
    """Each folder and file of this repository that `docs/kubernetes.md` names exists."""
    named = set(re.findall(r"(?:k8s|tests)/[\w./-]*\w", PAGE))
    files = set(re.findall(r"`(test_\w+\.py)`", PAGE))

    assert {"k8s/overlays/dev", "k8s/namespace.yaml", "tests/deploy/alerts"} <= named
    assert not [path for path in named if not (ROOT / path).exists()]
    assert not [name for name in files if not [*(ROOT / "tests").rglob(name)]]


@pytest.mark.parametrize("given", [OWN, OWN | ISSUER], ids=["own", "issuer"])
def test_the_overlays_of_the_page_are_overlays(
    given: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Each is production with another image and the page's settings, which the service reads."""
    objects: Objects = documents(kustomized(tmp_path, "prod", given))
    (image,) = OWN["images"]
    for name, value in settings(objects).items():
        monkeypatch.setenv(name, value)
    literals = given["configMapGenerator"][0]["literals"]
    wanted = dict(each.split("=", 1) for each in literals)

    assert OWN["resources"] == ["../prod"]
    assert service_container(objects)["image"] == f"{image['newName']}@{image['digest']}"
    assert read().access_on
    assert settings(objects).items() >= wanted.items()
    assert read().jwt_issuer == wanted.get("AGENT_ACTORS_JWT_ISSUER")


def test_one_version_of_dapr_is_named():
    """The page and the chart's values name the version that the Tiltfile installs."""
    (version,) = re.findall(r"DAPR, DASHBOARD = '([\d.]+)'", (ROOT / "Tiltfile").read_text())

    for text in (PAGE, (K8S / "dapr-values.yaml").read_text()):
        assert set(re.findall(r"--version (\S+)", text)) == {version}


def test_the_values_of_the_chart_say_what_we_rely_on():
    """Sidecars pass `restricted`, a missing one is noticed, and certificates are on."""
    values = yaml.safe_load((K8S / "dapr-values.yaml").read_text())

    assert values["dapr_sidecar_injector"]["sidecarDropALLCapabilities"] is True
    assert values["dapr_operator"]["watchInterval"] not in {"0", "0s"}
    assert values["global"]["mtls"]["enabled"] is True
