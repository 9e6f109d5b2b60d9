"""`tilt up` asks for the right things in the right order, and careless edits are noticed.

`test_tilt_buttons.py` has its ports, links, buttons and keys.
"""

import re
from collections.abc import Callable

import pytest
import starlark

from tests.deploy.dockerfile import stages
from tests.deploy.manifests import (
    K8S,
    PAGE,
    ROOT,
    Objects,
    containers,
    rendered,
    workloads,
)
from tests.deploy.tiltfile import CONTEXT, KEYS, TILTFILE, Record, edited, evaluate

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


EDITS: list[tuple[Rule, str, str]] = [
    # The rule that is broken, and what is replaced by what.
    (resources_wait_for_what_they_need, "'components', 'valkey'", "'component', 'valkey'"),
    (resources_wait_for_what_they_need, "['namespace', 'dapr'],", "['namespace'],"),
    (resources_wait_for_what_they_need, "if not lean:", "if lean:"),
    (resources_wait_for_what_they_need, "define_bool('lean'", "define_bool('small'"),
    (every_object_has_a_resource, "startswith('dapr.io/')", "startswith('dapr.io/v1')"),
    (every_object_has_a_resource, "'StatefulSet', 'Service']", "'Secret', 'Service']"),
    (every_object_has_a_resource, "'ignore', labels=['cluster']", "'wait', labels=['cluster']"),
    (every_object_has_a_resource, "k8s_resource('otel-collector'", "k8s_resource('otelcollector'"),
    (every_object_has_a_resource, "NAMESPACE = 'agent-actors'", "NAMESPACE = 'agents'"),
    (every_object_has_a_resource, "for each in objects:", "for each in objects[1:]:"),
    (charts_are_pinned, "'1.18.3', '0.15.0'", "'1.17.0', '0.15.0'"),
    (charts_are_pinned, "'--wait', '--timeout'", "'--timeout'"),
    (charts_are_pinned, "'--values', 'k8s/dapr-values.yaml'", "'--values', 'k8s/values.yaml'"),
    (charts_are_pinned, "deps=['k8s/dapr-values.yaml']", "deps=['k8s/values.yaml']"),
    (only_minikube_is_touched, "contexts('minikube')", "contexts(['minikube', 'prod'])"),
    (only_minikube_is_touched, "['kubectl', '--context', k8s_context()]", "['kubectl']"),
    (files_of_generators_are_watched, "watch_file('k8s/base/settings.env')\n", ""),
    (image_is_the_pods, "target='dev'", "target='develop'"),
    (image_is_the_pods, "target='dev'", "target='runtime'"),
    (image_is_the_pods, "    'agent-actors', '.'", "    'agents', '.'"),
    (image_is_the_pods, "'README.md', 'components'", "'README.md'"),
    (image_is_the_pods, "'/app/src'", "'/app'"),
    (image_is_the_pods, "fall_back_on(['pyproject.toml', ", "fall_back_on(["),
    (tilt_waits_long_enough, "timeout='20m'", "timeout='30m'"),
    (tilt_waits_long_enough, "readiness_timeout='10m'", "readiness_timeout='1m'"),
    (tilt_waits_long_enough, "k8s_upsert_timeout_secs=300", "k8s_upsert_timeout_secs=30"),
    (tilt_waits_long_enough, ">=0.35.0", ">=0.30.0"),
    (checks_start_by_hand, "auto_init=False", "auto_init=True"),
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


def test_the_overlay_of_tilt_lives_in_our_namespace():
    """`k8s/namespace.yaml` makes the namespace that the Tiltfile names."""
    assert f"name: {NAMESPACE}\n" in (K8S / "namespace.yaml").read_text(encoding="utf-8")
    assert rendered("observed")


def test_the_tiltfile_stays_short():
    """It can be read in one go."""
    assert len(TILTFILE.read_text().splitlines()) <= 120
