"""What a Tiltfile has to keep to, besides what Tilt itself refuses; `tilt_ways` has the rest.

Each rule yields what breaks it, so that tests can also see that it would.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import yaml

from tests.deploy.command_line import option, seconds
from tests.deploy.dockerfile import Stage, stages
from tests.deploy.manifests import K8S, ROOT, Objects, containers, of_kind, workloads
from tests.deploy.tiltfile import CONTEXT, Record, exists

Check = Callable[[Record], Iterator[str]]

PAGE = (ROOT / "docs/kubernetes.md").read_text(encoding="utf-8")
NAMESPACE: str = yaml.safe_load((K8S / "namespace.yaml").read_text())["metadata"]["name"]
CHARTS = {"dapr": "1.18.3", "dapr-dashboard": "0.15.0"}
PATIENCE = 300
"""Seconds in which an image of a gigabyte is fetched."""


def before(record: Record, name: str) -> set[str]:
    """All that a resource waits for, directly or not."""
    resource = record.resources().get(name)
    direct = set(resource.get("resource_deps", ())) if resource else set()
    return direct.union(*(before(record, each) for each in direct))


def dependencies_are_there(record: Record) -> Iterator[str]:
    """Each dependency of a resource, and what a button stands at, is a resource."""
    names = record.resources().keys()
    for name, each in record.resources().items():
        for other in set(each.get("resource_deps", ())) - names:
            yield f"{name} waits for {other}, which is nowhere"
    for button in record.of("cmd_button"):
        if button["resource"] not in names:
            yield f"{button['name']} stands at {button['resource']}, which is nowhere"


def the_service_comes_last(record: Record) -> Iterator[str]:
    """A pod that is made without an injector has no sidecar, and nothing says so."""
    needed = {"dapr", "components", "valkey", "settings", "namespace"}
    for each in needed - before(record, "agent-actors"):
        yield f"the service does not wait for {each}"


def components_come_after_their_kinds(record: Record) -> Iterator[str]:
    """All objects of Dapr wait for its chart, and no other object does."""
    dapr = [each for each in record.manifests if each["apiVersion"].startswith("dapr.io/")]
    if _named(dapr) != sorted(record.resources()["components"].get("objects", ())):
        yield "components are not the objects of Dapr's kinds"
    if "dapr" not in before(record, "components"):
        yield "components do not wait for their kinds"
    if "dapr" in before(record, "settings"):
        yield "settings wait for Dapr"


def every_object_is_of_one_resource(record: Record) -> Iterator[str]:
    """Nothing is left for Tilt to apply in an order of its own."""
    grouped = [each for call in record.of("k8s_resource") for each in call.get("objects", ())]
    followed = {"Deployment", "StatefulSet", "Service"}
    loose = _named([each for each in record.manifests if each["kind"] not in followed])
    if sorted(grouped) != loose:
        yield f"{sorted({*grouped} ^ {*loose}) or 'some'} are in no resource, or in two"


def _named(objects: Objects) -> list[str]:
    return sorted(f"{each['metadata']['name']}:{each['kind'].lower()}" for each in objects)


def nobody_waits_for_pods_that_are_none(record: Record) -> Iterator[str]:
    """What has objects only is ready when they are applied; a workload, when its pods are."""
    for each in record.of("k8s_resource"):
        if (each.get("pod_readiness") == "ignore") is ("workload" in each.given):
            yield f"{each.get('workload') or each.get('new_name')} is ready too late, or too soon"


def workloads_come_after_their_settings(record: Record) -> Iterator[str]:
    """Each workload is a resource, and none starts before its settings and secrets."""
    named = {each["workload"] for each in record.of("k8s_resource") if each.get("workload")}
    there = {each["metadata"]["name"] for each in workloads(record.manifests)}
    for each in named ^ there:
        yield f"{each} is a workload without a resource, or the other way round"
    for each in named & there:
        if not {"settings", "namespace"} <= before(record, each):
            yield f"{each} does not wait for its settings"


def everything_is_in_one_namespace(record: Record) -> Iterator[str]:
    """Every object but the namespace itself is put into it."""
    if [each["metadata"]["name"] for each in of_kind(record.manifests, "Namespace")] != [NAMESPACE]:
        yield "the namespace is not made"
    for each in record.manifests:
        if each["kind"] != "Namespace" and each["metadata"].get("namespace") != NAMESPACE:
            yield f"{each['metadata']['name']} is in another namespace"


def charts_are_pinned(record: Record) -> Iterator[str]:
    """Dapr and its dashboard come in one version each, into their namespace, and are waited for."""
    helm = [each["cmd"] for each in record.of("local_resource") if each["cmd"][0] == "helm"]
    if {each[4]: option(each, "--version") for each in helm} != CHARTS:
        yield "the charts are others, or of other versions"
    for each in helm:
        if each[1:3] != ["upgrade", "--install"] or f"--repo {option(each, '--repo')} " not in PAGE:
            yield f"{each[3]} does not come as the page installs it"
        if option(each, "--namespace") != "dapr-system" or "--create-namespace" not in each:
            yield f"{each[3]} is not put into its namespace"
        if "--wait" not in each or seconds(option(each, "--timeout") or "0s") < PATIENCE:
            yield f"nobody waits for {each[3]}"


def dapr_gets_our_values(record: Record) -> Iterator[str]:
    """Dapr's chart has our values, and comes again when they change."""
    dapr = record.resources()["dapr"]
    values = option(dapr["cmd"], "--values")
    if values != "k8s/dapr-values.yaml" or not exists(values):
        yield "Dapr does not get our values"
    if dapr.get("deps") != [values]:
        yield "changed values are not noticed"
    if "dapr" not in before(record, "dashboard"):
        yield "the dashboard does not wait for Dapr"


def only_minikube_is_touched(record: Record) -> Iterator[str]:
    """No other cluster is allowed, and every command names this one."""
    if [each["contexts"] for each in record.of("allow_k8s_contexts")] != [CONTEXT]:
        yield "other clusters are allowed"
    for each in record.of("local_resource") + record.of("cmd_button"):
        for command in (each.get("cmd"), each.get("serve_cmd"), each.get("argv")):
            if command and command[0] in {"helm", "kubectl"}:
                named = option(command, "--kube-context") or option(command, "--context")
                if named != CONTEXT:
                    yield f"{each['name']} takes any cluster"


def what_kustomize_reads_is_watched(record: Record) -> Iterator[str]:
    """Tilt does not notice the files that a generator names by `envs` or by another name."""
    watched = {Path(each["file_path"]).name for each in record.of("watch_file")}
    for each in {"settings.env", "dashboard.json", "prometheus-config.yaml"} - watched:
        yield f"{each} is not watched"
    for call in record.of("watch_file"):
        if not exists(call["file_path"]):
            yield f"{call['file_path']} is not there"


def the_image_is_the_pods(record: Record) -> Iterator[str]:
    """What is built is an image of a pod's, from a stage that there is, of what that copies."""
    (image,) = record.of("docker_build")
    used = {container["image"].partition(":")[0] for _, container in containers(record.manifests)}
    if image["ref"] not in used or image["context"] != ".":
        yield f"no pod runs {image['ref']}"
    stage = stages().get(image.get("target", ""))
    if stage is None:
        yield f"there is no stage {image.get('target')}"
        return
    copied = {
        source for each in stage.lineage() for sources, _ in each.copied() for source in sources
    }
    for each in copied ^ set(image["only"]):
        yield f"{each} is copied and not given, or given and not copied"


def changed_code_lands_where_it_runs(record: Record) -> Iterator[str]:
    """What is written into the pod is where the image has it, as its user's own, and is loaded."""
    (image,) = record.of("docker_build")
    stage = stages().get(image.get("target", ""), Stage("", ""))
    synced = [each for each in image["live_update"] if each["function"] == "sync"]
    if not synced:
        yield "nothing is written into the pod"
    for each in synced:
        where = each["remote_path"]
        if ([each["local_path"]], where) not in [*stage.copied()]:
            yield f"the image has no {each['local_path']} at {where}"
        if stage.variables.get("PYTHONPATH") != where:
            yield f"nothing is loaded from {where}"


def what_is_installed_is_built_anew(record: Record) -> Iterator[str]:
    """A change of what the image installs is no change of a running pod."""
    (image,) = record.of("docker_build")
    again = {path for each in image["live_update"] for path in each.get("files", ())}
    locks = (each.name for each in ROOT.glob("requirements-*.lock"))
    for path in {"pyproject.toml", *locks} & {*image["only"]} - again:
        yield f"the image is not built anew for {path}"
    for path in again - {*image["only"]}:
        yield f"{path} is never given to the build"


def tilt_ends_as_the_page_says(record: Record) -> Iterator[str]:
    """`tilt ci` gives up when the page says, and neither it nor `tilt up` gives up too soon."""
    (given,) = record.of("ci_settings")
    names = ("timeout", "readiness_timeout", "k8s_grace_period")
    limit, ready, grace = (seconds(given.get(name, "0s")) for name in names)
    fetched = [each.get("k8s_upsert_timeout_secs", 0) for each in record.of("update_settings")]
    if f"gives up after {limit // 60} minutes" not in PAGE:
        yield f"the page does not say {limit} s"
    if not 0 < grace < PATIENCE <= ready < limit:
        yield "an image cannot be fetched in time, or nobody gives up"
    if sum(fetched) < PATIENCE:
        yield "an image cannot be fetched in time"


def tilt_is_new_enough(record: Record) -> Iterator[str]:
    """The oldest Tilt is the one that the page names, whose functions are listed here."""
    (given,) = record.of("version_settings")
    least = given["constraint"].removeprefix(">=").removesuffix(".0")
    if f"(https://tilt.dev) {least} or newer" not in PAGE:
        yield f"the page does not name {given['constraint']}"


def lean_leaves_out_what_shows_traces(record: Record) -> Iterator[str]:
    """With `--lean` there is the service, Dapr and nothing else; without it there is all."""
    shown = {"jaeger", "prometheus", "grafana", "otel-collector"}
    wanted = set() if record.options.get("lean") else shown
    if shown & record.resources().keys() != wanted:
        yield f"{shown & record.resources().keys()} are there, not {wanted}"
    if [each["name"] for each in record.of("define_bool")] != ["lean"]:
        yield "the options are not those of the page"


def tests_are_started_by_hand(record: Record) -> Iterator[str]:
    """The tests run when somebody asks, beside everything else."""
    tests = record.resources()["tests"]
    if tests["cmd"] != ["make", "test"] or not tests.get("allow_parallel"):
        yield "the tests do not run beside the rest"
    if tests.get("auto_init") is not False or tests.get("trigger_mode") != "manual":
        yield "the tests start by themselves"


ORDER: list[Check] = [
    dependencies_are_there,
    the_service_comes_last,
    components_come_after_their_kinds,
    every_object_is_of_one_resource,
    nobody_waits_for_pods_that_are_none,
    workloads_come_after_their_settings,
    everything_is_in_one_namespace,
    charts_are_pinned,
    dapr_gets_our_values,
    only_minikube_is_touched,
    what_kustomize_reads_is_watched,
    the_image_is_the_pods,
    changed_code_lands_where_it_runs,
    what_is_installed_is_built_anew,
    tilt_ends_as_the_page_says,
    tilt_is_new_enough,
    lean_leaves_out_what_shows_traces,
    tests_are_started_by_hand,
]
