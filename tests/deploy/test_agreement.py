"""The manifests and the code name the same things: settings, ports, routes, topics, secrets."""

import re
from pathlib import Path

import pytest
import yaml

from agent_actors import __version__
from agent_actors.app import create_app
from agent_actors.cli import main
from agent_actors.engine.components import SHIPPED
from agent_actors.engine.local import LocalDapr
from agent_actors.engine.sidecar import SidecarProcess
from agent_actors.observability import exporter
from agent_actors.protocol import wire
from agent_actors.routes.sidecar.subscriptions import PATHS
from agent_actors.runtime.embedded.files import components
from agent_actors.settings import Settings, read
from agent_actors.settings.unknown import variable
from tests.deploy.manifests import (
    K8S,
    OPTIONS,
    OVERLAYS,
    PLAIN,
    ROOT,
    annotations,
    of_kind,
    pod,
    rendered,
    service_container,
    settings,
    the,
)
from tests.fakes import FakeRuntime

NAMES = {variable(name) for name in Settings.model_fields}
OF_OTHERS = {*exporter.ENDPOINTS, "OTEL_SERVICE_NAME"}
"""Variables of the environment that OpenTelemetry reads."""
EVERYWHERE = [*OVERLAYS, *OPTIONS]


@pytest.mark.parametrize("name", EVERYWHERE)
def test_every_variable_is_a_setting(name: str):
    """The environment of the service has nothing that nobody reads."""
    container = service_container(rendered(name))
    given = {*settings(rendered(name)), *(item["name"] for item in container["env"])}

    assert not given - NAMES - OF_OTHERS


@pytest.mark.parametrize("name", EVERYWHERE)
def test_every_setting_is_of_its_form(name: str, monkeypatch: pytest.MonkeyPatch):
    """The service reads its environment without an error."""
    for each, value in settings(rendered(name)).items():
        monkeypatch.setenv(each, value)

    assert read().require_token is True
    assert read().log_format == "json"


def test_access_is_off_by_name_or_required():
    """Dev says that nobody is asked for a token, production that everybody is."""
    assert settings(rendered("dev"))["AGENT_ACTORS_ACCESS"] == "off"
    assert settings(rendered("observed"))["AGENT_ACTORS_ACCESS"] == "off"
    assert settings(rendered("prod"))["AGENT_ACTORS_ACCESS"] == "required"
    assert "AGENT_ACTORS_ACCESS=required" in (K8S / "base/settings.env").read_text()


def test_the_tokens_of_production_are_mounted():
    """The file that is named lies in a Secret that the service's user may read."""
    objects = rendered("prod")
    named = Path(settings(objects)["AGENT_ACTORS_ACCESS_TOKENS_FILE"])
    mounts = {each["mountPath"]: each for each in service_container(objects)["volumeMounts"]}
    volumes = {
        each["name"]: each for each in pod(the(objects, "Deployment", "agent-actors"))["volumes"]
    }
    mount = mounts[str(named.parent)]

    assert mount["readOnly"] is True
    assert volumes[mount["name"]]["secret"] == {
        "secretName": "agent-actors-access",
        "defaultMode": 0o440,
    }


@pytest.mark.parametrize("name", ["dev", "prod"])
def test_the_command_is_one_of_ours(name: str):
    """It starts the service on the port that sidecar, Service and probes know, for all to reach."""
    container = service_container(rendered(name))
    program, command, *words = container["command"]
    parsed = main.commands[command].make_context(command, words).params
    ports = {each["name"]: each["containerPort"] for each in container["ports"]}
    (port,) = the(rendered(name), "Service", "agent-actors")["spec"]["ports"]

    assert program == "agent-actors"
    assert parsed["host"] == "0.0.0.0"
    assert parsed["runtime"] == "dapr"
    assert parsed["port"] == ports["http"] == port["port"]
    assert annotations(rendered(name))["app-port"] == str(parsed["port"])


def test_probes_ask_routes_that_are_there():
    """Each path of a probe is one of the service."""
    paths = create_app(Settings(data=Path("not made")), runtime=FakeRuntime()).openapi()["paths"]
    container = service_container(rendered(PLAIN))
    asked = {
        container[probe]["httpGet"]["path"]
        for probe in ("startupProbe", "livenessProbe", "readinessProbe")
    }

    assert asked <= set(paths)


def test_the_sidecar_is_as_on_a_laptop():
    """App id and largest body are those of `agent-actors dev`: the id is part of every key."""
    said = annotations(rendered(PLAIN))
    local = LocalDapr.__init__.__kwdefaults__ or {}

    assert said["app-id"] == local["app_id"]
    assert said["max-body-size"] == SidecarProcess._addresses(_Ports())["max-body-size"]


class _Ports(SidecarProcess):
    """A sidecar of which only the options are asked."""

    def __init__(self) -> None:
        self.http_port = self.grpc_port = 1


@pytest.mark.parametrize("name", EVERYWHERE)
def test_every_subscription_leads_to_a_route(name: str):
    """Topics, brokers and routes are those of the code, and dead letters have theirs."""
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


@pytest.mark.parametrize("name", EVERYWHERE)
def test_every_secret_is_made_or_documented(name: str):
    """Whatever Secret is needed is in the overlay, or `docs/kubernetes.md` says how it is made."""
    objects = rendered(name)
    text = str(objects)
    needed = set(re.findall(r"'(?:secretKeyRef|secretRef)': \{[^}]*'name': '([\w-]+)'", text))
    needed |= set(re.findall(r"'secretName': '([\w-]+)'", text))
    needed.add(annotations(objects)["app-token-secret"])
    made = {each["metadata"]["name"] for each in of_kind(objects, "Secret")}
    page = (ROOT / "docs/kubernetes.md").read_text()

    assert {"valkey", "agent-actors-app-token", "model-keys"} <= needed
    for each in needed - made:
        assert f"create secret generic {each}" in page, each


def test_the_components_are_those_of_a_laptop():
    """Kustomize takes every file of `components/`, and changes nothing but where Redis is."""
    listed = yaml.safe_load((ROOT / "components/kustomization.yaml").read_text())["resources"]
    files = {path.name for path in (ROOT / "components").glob("*.yaml")}

    assert set(listed) == files - {"kustomization.yaml"}
    theirs = {
        each["metadata"]["name"]: each["spec"] for each in of_kind(rendered("prod"), "Component")
    }
    for each in of_kind(rendered(PLAIN), "Component"):
        own, other = each["spec"]["metadata"], theirs[each["metadata"]["name"]]["metadata"]
        assert own[0]["value"] == SHIPPED
        assert [item["name"] for item in own] == [item["name"] for item in other]
        assert own[2:] == other[2:]


def test_a_kustomization_is_no_component():
    """The embedded runtime reads the folder as if the file for kustomize were not there."""
    there = components.read(ROOT / "components")

    assert there.pubsubs == {wire.PUBSUB, wire.LESSON_PUBSUB}
    assert {each.name for each in components.read(ROOT / "components/bindings").bindings} == {
        "kafka-binding",
        "twilio-binding",
    }


@pytest.mark.parametrize(
    ("name", "bindings", "sms"),
    [
        ("dev", set(), None),
        ("kafka", {"kafka-binding"}, None),
        ("twilio", {"twilio-binding"}, "twilio-binding"),
        ("bindings", {"kafka-binding", "twilio-binding"}, "twilio-binding"),
    ],
)
def test_bindings_are_there_when_they_are_chosen(name: str, bindings: set[str], sms: str | None):
    """An overlay has the bindings that it takes, and the setting that names one of them."""
    objects = rendered(name)
    found = {each["metadata"]["name"] for each in of_kind(objects, "Component")}

    assert {each for each in found if each.endswith("-binding")} == bindings
    assert settings(objects).get("AGENT_ACTORS_SMS_BINDING") == sms


def test_the_image_of_production_is_this_version():
    """The tag is the project's version."""
    _, _, tag = service_container(rendered("prod"))["image"].partition(":")

    assert tag == __version__


def test_the_page_names_what_is_there():
    """Each folder and file of this repository that `docs/kubernetes.md` names exists."""
    page = (ROOT / "docs/kubernetes.md").read_text()
    named = set(re.findall(r"(?:k8s|tests)/[\w./-]*\w", page))
    files = set(re.findall(r"`(test_\w+\.py)`", page))

    assert {"k8s/overlays/dev", "k8s/namespace.yaml", "tests/deploy/test_image.py"} <= named
    assert not [path for path in named if not (ROOT / path).exists()]
    assert not [name for name in files if not [*(ROOT / "tests").rglob(name)]]


def test_two_namespaces_do_not_meet():
    """Every address in the manifests is a short name, which means the own namespace."""
    for name in OVERLAYS:
        assert not re.search(r"\.svc\b", str(rendered(name)))
