"""`tilt up` asks for the right things in the right order, and careless edits are noticed.

Ports, links and buttons are those of docs/kubernetes.md.
"""

import io
import json
import re
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
import pytest
import starlark

from agent_actors.app import create_app
from agent_actors.cli import main
from agent_actors.settings import Settings
from tests.deploy.dockerfile import stages
from tests.deploy.manifests import (
    PAGE,
    ROOT,
    Objects,
    containers,
    of_kind,
    service_container,
    workloads,
)
from tests.deploy.tiltfile import CONTEXT, KEYS, Call, Record, edited, evaluate
from tests.fakes import FakeRuntime

Rule = Callable[[Record], None]
SERVICE = NAMESPACE = "agent-actors"
VALUES = "k8s/dapr-values.yaml"
CHARTS = "https://dapr.github.io/helm-charts"
HELM = ("--kube-context", CONTEXT, "--namespace", "dapr-system", "--create-namespace")
FETCH = 300
"""Seconds that an image of a gigabyte may take to be fetched."""
SHOWN = ("jaeger", "prometheus", "grafana", "otel-collector")
WAITS = {
    # Each resource, and everything that it waits for, directly or not. A pod that is made without
    # an injector has no sidecar, and Dapr's kinds have to exist before its components.
    "dapr": "",
    "dashboard": "dapr",
    "namespace": "",
    "settings": "namespace",
    "components": "dapr namespace",
    "valkey": "namespace settings",
    "agent-actors": "components dapr namespace settings valkey",
    "tests": "",
} | dict.fromkeys(SHOWN, "namespace settings")


def resources_wait_for_what_they_need(record: Record) -> None:
    """The order of the table, in which `--lean` leaves out what shows traces and metrics."""
    resources = record.resources()

    def before(name: str) -> set[str]:
        direct = set(resources.get(name, {}).get("resource_deps", ()))
        return direct.union(*map(before, direct))

    left_out = SHOWN if record.options else ()
    assert {name: " ".join(sorted(before(name))) for name in resources} == {
        name: after for name, after in WAITS.items() if name not in left_out
    }
    assert [each["name"] for each in record.of("define_bool")] == ["lean"]


def every_object_has_a_resource(record: Record) -> None:
    """Dapr's objects are `components`, workloads have their own, all others are `settings`."""

    def names(objects: Objects) -> list[str]:
        return sorted(f"{each['metadata']['name']}:{each['kind'].lower()}" for each in objects)

    resources, followed = record.resources(), ("Deployment", "StatefulSet", "Service")
    dapr = [each for each in record.manifests if each["apiVersion"].startswith("dapr.io/")]
    rest = [each for each in record.manifests if each not in dapr and each["kind"] not in followed]
    made = [each for each in rest if each["kind"] == "Namespace"]

    assert sorted(resources["components"]["objects"]) == names(dapr)
    assert resources["namespace"]["objects"] == names(made) == [f"{NAMESPACE}:namespace"]
    assert sorted(resources["settings"]["objects"]) == names([x for x in rest if x not in made])
    assert {each["workload"] for each in record.of("k8s_resource") if "workload" in each} == {
        each["metadata"]["name"] for each in workloads(record.manifests)
    }
    # Only a workload is ready when its pods are.
    for each in record.of("k8s_resource"):
        assert (each.get("pod_readiness") == "ignore") is ("workload" not in each)
    for each in record.manifests:
        assert each["kind"] == "Namespace" or each["metadata"].get("namespace") == NAMESPACE


def charts_are_pinned(record: Record) -> None:
    """Dapr, with our values, and its dashboard come in the versions that were tested."""
    resources = record.resources()
    for name, chart, version, extra in (
        ("dapr", "dapr", "1.18.3", ["--values", VALUES]),
        ("dashboard", "dapr-dashboard", "0.15.0", []),
    ):
        command = ["helm", "upgrade", "--install", chart, chart, "--repo", CHARTS]
        options = ["--version", version, *HELM, "--wait", "--timeout", "10m", *extra]
        assert resources[name]["cmd"] == command + options
    assert f"--repo {CHARTS} " in PAGE
    assert resources["dapr"]["deps"] == [VALUES]
    assert (ROOT / VALUES).is_file()


def only_minikube_is_touched(record: Record) -> None:
    """No other cluster is allowed, and every command names this one."""
    assert [each["contexts"] for each in record.of("allow_k8s_contexts")] == [CONTEXT]
    for each in record.of("local_resource") + record.of("cmd_button"):
        for command in (each.get("cmd"), each.get("serve_cmd"), each.get("argv")):
            if command and command[0] in {"helm", "kubectl"}:
                assert CONTEXT in command


def files_of_generators_are_watched(record: Record) -> None:
    """Tilt does not notice the files that kustomize reads by another name, or by `envs`."""
    watched = [ROOT / each["file_path"] for each in record.of("watch_file")]

    assert all(each.is_file() for each in watched)
    assert {"settings.env", "dashboard.json", "prometheus-config.yaml"} <= {
        each.name for each in watched
    }


def image_is_the_pods(record: Record) -> None:
    """The image of the service is built from a stage of the Dockerfile, and what that copies.

    Changed code lands where Python loads it. What the image installs is built anew.
    """
    (image,) = record.of("docker_build")
    stage = stages().get(image["target"])
    images = {each["image"].partition(":")[0] for _, each in containers(record.manifests)}
    (sync,) = [each for each in image["live_update"] if each["function"] == "sync"]
    again = {path for each in image["live_update"] for path in each.get("files", ())}

    assert image["ref"] in images
    assert image["context"] == "."
    assert stage is not None
    assert {*image["only"]} == {source for sources, _ in stage.context for source in sources}
    assert ([sync["local_path"]], sync["remote_path"]) in stage.context
    assert sync["remote_path"] == stage.variables.get("PYTHONPATH")
    locks = {each for each in image["only"] if each.endswith(".lock")}
    assert again == {"pyproject.toml", *locks}


def tilt_waits_long_enough(record: Record) -> None:
    """`tilt ci` gives up when the page says; images can be fetched; the oldest Tilt is named."""
    (times,), (version,) = record.of("ci_settings"), record.of("version_settings")
    (fetch,) = record.of("update_settings")
    limit, ready = (int(times[name].removesuffix("m")) for name in ("timeout", "readiness_timeout"))

    assert f"gives up after {limit} minutes" in PAGE
    assert FETCH <= ready * 60 < limit * 60
    assert fetch["k8s_upsert_timeout_secs"] >= FETCH
    assert re.fullmatch(r"[1-9]\ds", times["k8s_grace_period"])
    least = version["constraint"].removeprefix(">=").removesuffix(".0")
    assert f"(https://tilt.dev) {least} or newer" in PAGE


def checks_start_by_hand(record: Record) -> None:
    """The tests run when somebody asks for them, beside everything else."""
    tests = record.resources()["tests"]

    assert tests["cmd"] == ["make", "test"]
    assert (tests["auto_init"], tests["trigger_mode"]) == (False, "manual")
    assert tests["allow_parallel"] is True


def on_the_page() -> dict[str, int]:
    """The local port of each thing that the page says to look at, by its workload."""
    rows = re.findall(r"<http://localhost:(\d+)[^>]*>(?: \(([^)]*)\))?", PAGE)
    found = {name.lower(): int(port) for port, name in rows if port != "10350"}  # Tilt's own.
    return {{"": SERVICE, "dapr's dashboard": "dashboard"}.get(x, x): found[x] for x in found}


def ports_are_those_of_the_page(record: Record) -> None:
    """Each forwarded port is that of the page, leads to a port of the pod, and has a name."""
    page = on_the_page()
    for each in record.of("k8s_resource"):
        name = str(each.get("workload"))
        given = {port["containerPort"] for port in ports_of(record, name)}
        forwards = each.get("port_forwards", ())
        assert [port["local_port"] for port in forwards] == [page[x] for x in {name} & page.keys()]
        assert {port["container_port"] for port in forwards} <= given
        assert all(port["name"] for port in forwards)


def ports_of(record: Record, name: object) -> Iterator[Call]:
    for owner, container in containers(record.manifests):
        yield from container.get("ports", ()) if owner == name else ()


def dashboard_is_forwarded(record: Record) -> None:
    """Dapr's dashboard is forwarded from its Service, probed and linked."""
    dashboard, port = record.resources()["dashboard"], on_the_page()["dashboard"]
    command = ["kubectl", "--context", CONTEXT, "port-forward", "--namespace", "dapr-system"]

    # The Service of the chart listens on port 8080.
    assert dashboard["serve_cmd"] == [*command, "service/dapr-dashboard", f"{port}:8080"]
    assert dashboard["readiness_probe"]["http_get"]["port"] == port
    assert [each["url"] for each in dashboard["links"]] == [f"http://localhost:{port}"]


def links_lead_to_pages(record: Record) -> None:
    """Each link of the service is one of its pages."""
    api = create_app(Settings(data=Path("not made")), runtime=FakeRuntime()).openapi()
    pages = {path for path, operations in api["paths"].items() if "get" in operations} | {"/docs"}
    links = {each["name"]: each["url"] for each in record.resources()[SERVICE]["links"]}

    assert links.keys() == {"OpenAPI", "Metrics"}
    for url in links.values():
        assert url.removeprefix(f"http://localhost:{on_the_page()[SERVICE]}") in pages


def button(record: Record, name: str) -> list[str]:
    """The command that a button runs in the container of the service."""
    (each,) = [each for each in record.of("cmd_button") if each["name"] == name]
    words = ["kubectl", "--context", CONTEXT, "--namespace", NAMESPACE]
    words += ["exec", f"deployment/{SERVICE}", "--container", SERVICE, "--"]

    assert each["argv"][: len(words)] == words
    return list(each["argv"][len(words) :])


def buttons_are_those_of_the_page(record: Record) -> None:
    """Each button stands at the service, under the name that the page has for it."""
    buttons = record.of("cmd_button")

    assert {each["text"] for each in buttons} == set(
        re.findall(r"button \*([^*]+)\*", PAGE, re.IGNORECASE)
    )
    assert {each["resource"] for each in buttons} == {SERVICE}
    assert service_container(record.manifests)["name"] == SERVICE
    assert parsed(button(record, "doctor")) is not None


def parsed(words: list[str]) -> dict[str, Any] | None:
    """What a command of ours would be called with; None if it has no such option or value."""
    program, name, *rest = words
    command = main.commands.get(name)
    try:
        found = command.make_context(name, rest).params if command else None
    except click.UsageError:
        return None
    return found if program == "agent-actors" else None


def first_message_is_the_pages(record: Record) -> None:
    """The button sends what the page's curl sends, to the port of the service."""
    given = parsed(button(record, "first-message"))
    port, path, body = curl()

    assert given is not None
    assert f"/chat/{given['actor_id']}" == path
    assert {"role": "user", "content": given["message"]} == body
    assert urlsplit(given["url"]).port in [x["containerPort"] for x in ports_of(record, SERVICE)]
    assert port == on_the_page()[SERVICE]


def curl() -> tuple[int, str, Any]:
    """Port, path and body of the page's first curl."""
    found = re.search(r"curl -s localhost:(\d+)(/\S+) .*-d '(.*)'", PAGE)
    assert found is not None
    return int(found[1]), found[2], json.loads(found[3])


def list_of_actors_is_the_sidecars(record: Record) -> None:
    """The button's script prints each type that a sidecar has, with its number of actors."""
    program, option, script = button(record, "list-actors")
    types = [{"type": "ChatAgent", "count": 2}, {"type": "Scheduled"}]
    asked = []

    def answer(url: str, timeout: float) -> io.BytesIO:
        asked.append(url)
        return io.BytesIO(json.dumps({"actorRuntime": {"activeActors": types}}).encode())

    with pytest.MonkeyPatch.context() as patch, redirect_stdout(io.StringIO()) as printed:
        patch.setenv("DAPR_HTTP_PORT", "3500")
        patch.setattr("urllib.request.urlopen", answer)
        exec(script, {})  # noqa: S102 - The pod executes it.
    assert (program, option) == ("python", "-c")
    assert asked == ["http://127.0.0.1:3500/v1.0/metadata"]
    assert printed.getvalue() == "2 ChatAgent\n0 Scheduled\n"


def keys_are_in_their_secret_only(record: Record) -> None:
    """Keys of the environment are in the Secret that the pods take, and nowhere else."""
    assert secrets(record) == [KEYS]
    for function, call in record.calls:
        assert function == "k8s_yaml" or not [key for key in KEYS.values() if key in str(call)]
    assert {
        item["name"]: item["valueFrom"]["secretKeyRef"]
        for item in service_container(record.manifests)["env"]
        if item["name"] in KEYS
    } == {name: {"name": "model-keys", "key": name, "optional": True} for name in KEYS}


def secrets(record: Record) -> list[Any]:
    return [
        each["stringData"]
        for each in of_kind(record.manifests, "Secret")
        if (each["metadata"]["name"], each["apiVersion"]) == ("model-keys", "v1")
    ]


DOCTOR = "['agent-actors', 'doctor']"
EDITS: list[tuple[Rule, str, str]] = [
    # The rule that is broken, and what is replaced by what.
    (resources_wait_for_what_they_need, "'components', 'valkey'", "'component', 'valkey'"),
    (resources_wait_for_what_they_need, "['namespace', 'dapr'],", "['namespace'],"),
    (resources_wait_for_what_they_need, "if not lean:", "if lean:"),
    (every_object_has_a_resource, "startswith('dapr.io/')", "startswith('dapr.io/v1')"),
    (every_object_has_a_resource, "'StatefulSet', 'Service']", "'Secret', 'Service']"),
    (every_object_has_a_resource, "'ignore', labels=['cluster']", "'wait', labels=['cluster']"),
    (every_object_has_a_resource, "NAMESPACE = 'agent-actors'", "NAMESPACE = 'agents'"),
    (charts_are_pinned, "'1.18.3', '0.15.0'", "'1.17.0', '0.15.0'"),
    (charts_are_pinned, "'--wait', '--timeout'", "'--timeout'"),
    (charts_are_pinned, "deps=['k8s/dapr-values.yaml']", "deps=['k8s/values.yaml']"),
    (only_minikube_is_touched, "contexts('minikube')", "contexts(['minikube', 'prod'])"),
    (only_minikube_is_touched, "['kubectl', '--context', k8s_context()]", "['kubectl']"),
    (files_of_generators_are_watched, "watch_file('k8s/base/settings.env')\n", ""),
    (image_is_the_pods, "target='dev'", "target='runtime'"),
    (image_is_the_pods, "    'agent-actors', '.'", "    'agents', '.'"),
    (image_is_the_pods, "'/app/src'", "'/app'"),
    (image_is_the_pods, "fall_back_on(['pyproject.toml', ", "fall_back_on(["),
    (tilt_waits_long_enough, "timeout='20m'", "timeout='30m'"),
    (tilt_waits_long_enough, "readiness_timeout='10m'", "readiness_timeout='1m'"),
    (tilt_waits_long_enough, "k8s_upsert_timeout_secs=300", "k8s_upsert_timeout_secs=30"),
    (tilt_waits_long_enough, ">=0.35.0", ">=0.30.0"),
    (checks_start_by_hand, "auto_init=False", "auto_init=True"),
    (ports_are_those_of_the_page, "port_forward(8000, 8000", "port_forward(8000, 8080"),
    (ports_are_those_of_the_page, "port_forward(port, port", "port_forward(port + 1, port"),
    (dashboard_is_forwarded, "'8080:8080'", "'8081:8080'"),
    (dashboard_is_forwarded, "http_get_action(8080)", "http_get_action(8000)"),
    (links_lead_to_pages, "localhost:8000/docs", "localhost:8000/doc"),
    (buttons_are_those_of_the_page, "resource='agent-actors', text='D", "resource='dapr', text='D"),
    (buttons_are_those_of_the_page, "'--container', 'agent-actors'", "'--container', 'daprd'"),
    (buttons_are_those_of_the_page, DOCTOR, "['agent-actors', 'doctor', '--runtimes', 'dapr']"),
    (first_message_is_the_pages, "'chat', 'ada', 'Hello'", "'chat', 'Hello', 'ada'"),
    (first_message_is_the_pages, "'Hello']", "'Hello', '--url', 'http://127.0.0.1:8080']"),
    (list_of_actors_is_the_sidecars, "/v1.0/metadata", "/v1.0/metadatas"),
    (keys_are_in_their_secret_only, "{'name': 'model-keys'}", "{'name': 'model-key'}"),
    (keys_are_in_their_secret_only, "'GEMINI_API_KEY', 'OPENAI", "'GEMINI_KEY', 'OPENAI"),
    (keys_are_in_their_secret_only, DOCTOR, "['env', os.getenv('OPENAI_API_KEY')]"),
]
RULES = [*dict.fromkeys(rule for rule, _, _ in EDITS)]


@pytest.fixture(params=[False, True], ids=["all", "lean"], scope="module")
def record(request: pytest.FixtureRequest) -> Record:
    return evaluate(lean=request.param, environment=KEYS)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_tiltfile_keeps_its_rules(record: Record, rule: Rule):
    """Each rule holds, with `--lean` and without."""
    rule(record)


@pytest.mark.parametrize(("rule", "right", "wrong"), EDITS)
def test_a_careless_edit_is_noticed(rule: Rule, right: str, wrong: str):
    """It breaks the rule that is about it."""
    with pytest.raises(AssertionError):
        rule(edited(right, wrong))


@pytest.mark.parametrize(
    ("right", "wrong", "reason"),
    [
        ("resource_deps=['dapr', 'comp", "resource_dep=['dapr', 'comp", "no argument"),
        ("sync('src'", "sinc('src'", "sinc"),
        ("'ext://uibutton'", "'ext://uibuttons'", "no extension"),
        ("load('ext://uibutton', 'cmd_button')", "", "cmd_button"),
        ("pod_readiness='ignore'", "pod_readiness='none'", "cannot be"),
        ("link('http://localhost:8080',", "link('a', 'b', 'c',", "no argument"),
        ("'%s:%s' % (each['metadata']['name'], each['kind'].lower())", "f'{each}'", "f-string"),
    ],
)
def test_what_tilt_would_refuse_is_refused_here(right: str, wrong: str, reason: str):
    """The stubs find a misspelt argument, function or extension, and what Starlark lacks."""
    with pytest.raises(starlark.StarlarkError, match=reason):
        edited(right, wrong)


def test_another_cluster_is_refused():
    """Tilt takes some other clusters for a laptop's, and would put our secrets there."""
    with pytest.raises(starlark.StarlarkError, match="the context is kind-kind"):
        evaluate(context="kind-kind")


def test_everything_to_look_at_is_forwarded():
    """API, dashboard, traces, metrics and their pictures are on localhost."""
    record = evaluate()
    there = {each["local_port"] for each in record.of("port_forward")}
    there |= {each["port"] for each in record.of("http_get_action")}

    assert there == {*on_the_page().values()}
    assert len(there) == 5


@pytest.mark.parametrize("given", [{}, {"OPENAI_API_KEY": "o"}, KEYS, {"GEMINI_API_KEY": ""}])
def test_keys_are_optional(given: dict[str, str]):
    """Without keys in the environment there is no Secret for them."""
    wanted = {name: key for name, key in given.items() if key}

    assert secrets(evaluate(environment=given)) == ([wanted] if wanted else [])
