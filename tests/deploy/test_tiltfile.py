"""`tilt up` asks for the right things, in the right order: the Tiltfile runs against stubs."""

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import starlark
import yaml

from agent_actors.engine.ports import free_port
from tests.deploy.manifests import K8S, ROOT, of_kind, the, workloads
from tests.deploy.tiltfile import CONTEXT, TILTFILE, Record, evaluate, exists

KEYS = {"GEMINI_API_KEY": "gemini", "OPENAI_API_KEY": "openai"}


@pytest.fixture(params=["all", "lean"], scope="module")
def record(request: pytest.FixtureRequest) -> Record:
    return evaluate(options={"lean": True} if request.param == "lean" else None)


def before(record: Record, name: str) -> set[str]:
    """All that a resource waits for, directly or not."""
    direct = set(record.resources()[name].get("resource_deps", ()))
    return direct.union(*(before(record, each) for each in direct))


def option(command: list[str], name: str) -> str:
    return command[command.index(name) + 1]


def test_what_is_waited_for_is_there(record: Record):
    """Each dependency of a resource is a resource."""
    names = record.resources().keys()

    for each in record.resources().values():
        assert set(each.get("resource_deps", ())) <= names


def test_the_service_starts_after_dapr_and_its_components(record: Record):
    """A pod that is made without an injector has no sidecar, and nothing says so."""
    assert {"dapr", "components", "valkey", "settings", "namespace"} <= before(
        record, "agent-actors"
    )


def test_components_come_after_their_kinds(record: Record):
    """All objects of Dapr wait for its chart, and no other object does."""
    dapr = {
        f"{each['metadata']['name']}:{each['kind'].lower()}"
        for each in record.manifests
        if each["apiVersion"].startswith("dapr.io/")
    }

    assert dapr == set(record.resources()["components"]["objects"])
    assert "dapr" in before(record, "components")
    assert "dapr" not in before(record, "settings")


def test_every_object_belongs_to_one_resource(record: Record):
    """Nothing is left for Tilt to apply in an order of its own."""
    grouped = [each for call in record.of("k8s_resource") for each in call.get("objects", ())]
    loose = [
        f"{each['metadata']['name']}:{each['kind'].lower()}"
        for each in record.manifests
        if each["kind"] not in {"Deployment", "StatefulSet", "Service"}
    ]

    assert sorted(grouped) == sorted(loose)
    assert len(grouped) == len(set(grouped))


def test_every_workload_is_a_resource_with_its_order(record: Record):
    """No workload starts before its settings and secrets."""
    named = {each["workload"] for each in record.of("k8s_resource") if each.get("workload")}

    assert named == {each["metadata"]["name"] for each in workloads(record.manifests)}
    for name in named:
        assert {"settings", "namespace"} <= before(record, name)


def test_everything_is_in_one_namespace(record: Record):
    """Every object but the namespace itself is put into it."""
    (space,) = of_kind(record.manifests, "Namespace")
    others = [each for each in record.manifests if each is not space]

    assert {each["metadata"]["namespace"] for each in others} == {space["metadata"]["name"]}


def test_the_charts_are_pinned(record: Record):
    """Dapr and its dashboard come in one version each, into their namespace, in this cluster."""
    charts = {
        each["cmd"][3]: each["cmd"]
        for each in record.of("local_resource")
        if each["cmd"][0] == "helm"
    }

    assert {name: option(command, "--version") for name, command in charts.items()} == {
        "dapr": "1.18.3",
        "dapr-dashboard": "0.15.0",
    }
    for command in charts.values():
        assert option(command, "--kube-context") == CONTEXT
        assert option(command, "--namespace") == "dapr-system"
        assert "--wait" in command
    assert option(charts["dapr"], "--values") == "k8s/dapr-values.yaml"


def test_one_version_of_dapr_is_named():
    """Documents and values name the chart's version that the Tiltfile installs."""
    (command,) = (each["cmd"] for each in evaluate().of("local_resource") if each["name"] == "dapr")
    wanted = option(command, "--version")
    for path in ("docs/kubernetes.md", "k8s/dapr-values.yaml"):
        named = re.findall(r"--version (\S+)", (ROOT / path).read_text())
        assert set(named) == {wanted}, path


def test_the_values_of_the_chart_say_what_we_rely_on():
    """Sidecars pass `restricted`, one that is missing is noticed, and certificates are on."""
    values = yaml.safe_load((K8S / "dapr-values.yaml").read_text())

    assert values["dapr_sidecar_injector"]["sidecarDropALLCapabilities"] is True
    assert values["dapr_operator"]["watchInterval"] not in {"0", "0s"}
    assert values["global"]["mtls"]["enabled"] is True


def test_only_minikube_is_touched(record: Record):
    """No other cluster is allowed, and every command names this one."""
    (allowed,) = record.of("allow_k8s_contexts")
    commands = [
        command
        for each in record.of("local_resource") + record.of("cmd_button")
        for command in (each.get("cmd"), each.get("serve_cmd"), each.get("argv"))
        if command and command[0] in {"helm", "kubectl"}
    ]

    assert allowed["contexts"] == CONTEXT
    assert len(commands) > 4
    assert all(CONTEXT in command for command in commands)


def test_another_cluster_is_refused():
    """Tilt by itself takes whatever it knows for a laptop's, and would put our secrets there."""
    with pytest.raises(starlark.StarlarkError, match="the context is kind-kind"):
        evaluate(context="kind-kind")


def test_what_kustomize_reads_is_watched(record: Record):
    """Tilt does not notice the files that a generator names by `envs` or by another name."""
    watched = {Path(each["file_path"]).name for each in record.of("watch_file")}

    assert {"settings.env", "dashboard.json", "prometheus-config.yaml"} <= watched


def test_the_image_is_built_for_live_update(record: Record):
    """What is copied into the pod is there, is watched, and lands where the image runs it from."""
    (image,) = record.of("docker_build")
    (fallback, sync) = image["live_update"]
    stages = re.findall(r"^FROM \S+ AS (\w+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)

    assert image["target"] in stages
    assert image["ref"] == "agent-actors"
    assert all(exists(path) for path in [*image["only"], *fallback["files"], sync["local_path"]])
    assert {*fallback["files"], sync["local_path"]} <= set(image["only"])
    assert f"PYTHONPATH={sync['remote_path']}" in (ROOT / "Dockerfile").read_text()


def test_ports_are_those_of_the_pods(record: Record):
    """Each port that is forwarded is one of a container of that workload."""
    forwarded = {
        (each["workload"], port["container_port"])
        for each in record.of("k8s_resource")
        for port in each.get("port_forwards", ())
    }
    there = {
        (each["metadata"]["name"], port["containerPort"])
        for each in workloads(record.manifests)
        for container in each["spec"]["template"]["spec"]["containers"]
        for port in container.get("ports", ())
    }

    assert ("agent-actors", 8000) in forwarded
    assert forwarded <= there


def test_everything_that_is_looked_at_is_forwarded():
    """API, dashboard, traces, metrics and their pictures are on localhost."""
    record = evaluate()
    named = {each["name"] for each in record.of("port_forward")} | {
        each["name"] for each in record.of("link")
    }

    assert {
        "API",
        "OpenAPI",
        "Dapr dashboard",
        "Traces",
        "Metrics and alerts",
        "Dashboard",
    } <= named


def test_lean_leaves_out_what_shows_traces():
    """`--lean` has the service, Dapr and nothing else."""
    names = evaluate(options={"lean": True}).resources().keys()

    assert not names & {"jaeger", "prometheus", "grafana", "otel-collector"}
    assert names < evaluate().resources().keys()


@pytest.mark.parametrize("given", [{}, {"OPENAI_API_KEY": "o"}, KEYS, {"GEMINI_API_KEY": ""}])
def test_keys_are_optional(given: dict[str, str]):
    """Keys of the environment become a Secret that the pods take; without any there is none."""
    record = evaluate(environment=given)
    secrets = [
        each
        for each in of_kind(record.manifests, "Secret")
        if each["metadata"]["name"] == "model-keys"
    ]
    wanted = {name: key for name, key in given.items() if key}

    assert [each["stringData"] for each in secrets] == ([wanted] if wanted else [])
    taken = the(record.manifests, "Deployment", "agent-actors")["spec"]["template"]["spec"]
    for item in taken["containers"][0]["env"]:
        if item["name"] in KEYS:
            assert item["valueFrom"]["secretKeyRef"] == {
                "name": "model-keys",
                "key": item["name"],
                "optional": True,
            }


def test_keys_are_in_no_command():
    """A key is in the Secret, and nowhere else."""
    record = evaluate(environment=KEYS)

    assert not [each for each in record.calls if "gemini" in str(each.get("argv", each.get("cmd")))]


def test_tests_are_started_by_hand(record: Record):
    """The tests run when somebody asks, beside everything else."""
    tests = record.resources()["tests"]

    assert tests["cmd"] == ["make", "test"]
    assert tests["auto_init"] is False
    assert tests["trigger_mode"] == "manual"


def test_buttons_do_what_they_say(record: Record):
    """There is a first message, a list of actors and the doctor, each in the service's pod."""
    buttons = {each["name"]: each for each in record.of("cmd_button")}

    assert set(buttons) == {"first-message", "list-actors", "doctor"}
    for each in buttons.values():
        assert each["resource"] == "agent-actors"
        assert "deployment/agent-actors" in each["argv"]


class _Sidecar(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = {"actorRuntime": {"activeActors": [{"type": "ChatAgent", "count": 2}]}}
        self.send_response(200 if self.path == "/v1.0/metadata" else 404)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def sidecar() -> Iterator[int]:
    """The port of something that says what a sidecar says of its actors."""
    with ThreadingHTTPServer(("127.0.0.1", free_port()), _Sidecar) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join(timeout=10)


def test_the_list_of_actors_reads_what_a_sidecar_says(sidecar: int):
    """The button's script prints each type with how many there are."""
    (button,) = (each for each in evaluate().of("cmd_button") if each["name"] == "list-actors")
    script = button["argv"][-1]
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={"DAPR_HTTP_PORT": str(sidecar)},
        capture_output=True,
        timeout=30,
        check=True,
    )

    assert button["argv"][-3:-1] == ["python", "-c"]
    assert done.stdout == b"2 ChatAgent\n"


def test_tilt_ci_ends_by_itself(record: Record):
    """`tilt ci` gives up in time."""
    (settings,) = record.of("ci_settings")

    assert set(settings.given) == {"timeout", "readiness_timeout", "k8s_grace_period"}


def test_the_tiltfile_stays_short():
    """It is read in one go."""
    assert len(TILTFILE.read_text().splitlines()) <= 120


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("resource_deps=['dapr', 'comp", "resource_dep=['dapr', 'comp", "no argument"),
        ("sync('src'", "sinc('src'", "sinc"),
        ("'list-actors', resource=", "'list-actors', resources=", "no argument"),
        ("'ext://uibutton'", "'ext://uibuttons'", "no extension"),
        ("link('http://localhost:8080',", "link('a', 'b', 'c',", "no argument"),
        ("'%s:%s' % (each['metadata']['name'], each['kind'].lower())", "f'{each}'", "f-string"),
    ],
)
def test_what_tilt_would_refuse_is_refused_here(right: str, wrong: str, said: str):
    """A misspelt argument, function or extension, and a string that Starlark lacks, are found."""
    text = TILTFILE.read_text()

    assert right in text
    with pytest.raises(starlark.StarlarkError, match=said):
        evaluate(text.replace(right, wrong))
