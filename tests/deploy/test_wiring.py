"""What the manifests name is there, and each check of that is seen to miss what is not."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.deploy import wiring
from tests.deploy.manifests import Object, Objects, the
from tests.deploy.policy import Check
from tests.deploy.test_policy import GONE, Change, container, deployment, put
from tests.deploy.test_reach import ALL, made
from tests.deploy.wiring import WIRING

SHOWN = "prod and observability"


@pytest.mark.parametrize("check", WIRING, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", ALL)
def test_what_is_named_is_there(name: str, check: Check):
    """Each check holds of each overlay, and of production with what it may take besides."""
    assert not [*check(made(name))]


def of(kind: str, name: str) -> Callable[[str, object], Change]:
    """Edits of one object, by path."""
    return lambda path, value: put(kind, name, path, value)


def mount(name: str, number: int, key: str, value: object) -> Change:
    """An edit of one mount of a Deployment's container."""
    path = f"spec/template/spec/containers/0/volumeMounts/{number}/{key}"
    return put("Deployment", name, path, value)


def written(name: str, key: str, old: str, new: str) -> Change:
    """An edit of a file in a ConfigMap, which has what is replaced."""

    def change(objects: Objects) -> None:
        data: dict[str, str] = the(objects, "ConfigMap", name)["data"]

        assert old in data[key]
        data[key] = data[key].replace(old, new)

    return change


def renamed(kind: str, name: str) -> Change:
    """Another name, which nobody else knows."""
    return put(kind, name, "metadata/name", "another")


def twice(name: str) -> Change:
    """A second workload with the labels of the first one's pods."""

    def change(objects: Objects) -> None:
        first: Object = the(objects, "Deployment", name)
        metadata: dict[str, Any] = first["metadata"] | {"name": "second"}
        objects.append(first | {"metadata": metadata})

    return change


SERVICE = of("Service", "agent-actors")
REPLICAS = of("Service", "agent-actors-replicas")
SCALER = of("HorizontalPodAutoscaler", "agent-actors")
VALKEY = of("StatefulSet", "valkey")
PROMETHEUS, GRAFANA = of("Deployment", "prometheus"), of("Deployment", "grafana")
OF_POD = "spec/template/spec"
HASHED = "deadbeef00"

WORSE: list[tuple[Check, Change]] = [
    (
        wiring.services_find_their_pods,
        SERVICE("spec/selector", {"app.kubernetes.io/name": "agent"}),
    ),
    (wiring.services_find_their_pods, SERVICE("spec/selector", {})),
    (wiring.services_find_their_pods, SERVICE("spec/ports/0/targetPort", "htpp")),
    (wiring.services_find_their_pods, SERVICE("spec/ports/0/targetPort", 8001)),
    (wiring.services_find_their_pods, container("ports/0/name", "web")),
    (wiring.services_find_their_pods, twice("agent-actors")),
    (
        wiring.replicas_are_seen_before_they_are_ready,
        REPLICAS("spec/publishNotReadyAddresses", GONE),
    ),
    (wiring.replicas_are_seen_before_they_are_ready, REPLICAS("spec/clusterIP", GONE)),
    (wiring.autoscalers_measure_what_is_there, SCALER("spec/scaleTargetRef/kind", "StatefulSet")),
    (wiring.autoscalers_measure_what_is_there, SCALER("spec/scaleTargetRef/name", "agents")),
    (
        wiring.autoscalers_measure_what_is_there,
        SCALER("spec/metrics/0/containerResource/container", "agents"),
    ),
    (wiring.autoscalers_measure_what_is_there, container("resources/requests/cpu", GONE)),
    (
        wiring.selectors_are_of_own_pods,
        put("PodDisruptionBudget", "agent-actors", "spec/selector/matchLabels", {"a": "b"}),
    ),
    (
        wiring.selectors_are_of_own_pods,
        deployment("topologySpreadConstraints/0/labelSelector/matchLabels", {"a": "b"}),
    ),
    (wiring.workloads_name_what_is_there, deployment("serviceAccountName", "agents")),
    (wiring.workloads_name_what_is_there, renamed("ServiceAccount", "agent-actors")),
    (wiring.workloads_name_what_is_there, VALKEY("spec/serviceName", "redis")),
    (wiring.workloads_name_what_is_there, put("Service", "valkey", "spec/clusterIP", GONE)),
    (wiring.mounts_are_of_volumes, container("volumeMounts/0/name", "temporary")),
    (wiring.mounts_are_of_volumes, container("volumeMounts/0", GONE)),
    (wiring.mounts_are_of_volumes, VALKEY("spec/volumeClaimTemplates/0/metadata/name", "disk")),
    (wiring.mounts_are_of_volumes, mount("grafana", 1, "mountPath", "/var/lib/grafana")),
    (
        wiring.what_is_named_is_given,
        container("envFrom/0/configMapRef/name", f"agent-actors-{HASHED}"),
    ),
    (wiring.what_is_named_is_given, container("env/0/valueFrom/secretKeyRef/name", "app-token")),
    (wiring.what_is_named_is_given, container("env/0/valueFrom/secretKeyRef/key", "tokn")),
    (wiring.what_is_named_is_given, deployment("volumes/0/secret/secretName", "access")),
    (
        wiring.what_is_named_is_given,
        VALKEY(f"{OF_POD}/volumes/0/configMap/name", f"valkey-{HASHED}"),
    ),
    (
        wiring.what_is_named_is_given,
        put("Component", "pubsub", "spec/metadata/1/secretKeyRef/key", "secret"),
    ),
    (
        wiring.files_that_are_named_are_mounted,
        PROMETHEUS(
            f"{OF_POD}/containers/0/args/0", "--config.file=/etc/prometheus/prometheus.yaml"
        ),
    ),
    (
        wiring.files_that_are_named_are_mounted,
        PROMETHEUS(f"{OF_POD}/containers/0/args/1", "--storage.tsdb.path=/data"),
    ),
    (
        wiring.files_that_are_named_are_mounted,
        written("prometheus", "prometheus.yml", "/rules.yaml", "/alerts.yaml"),
    ),
    (
        wiring.files_that_are_named_are_mounted,
        written("grafana-provisioning", "dashboards.yaml", "/etc/agent-actors", "/etc/dashboards"),
    ),
    (wiring.files_that_are_named_are_mounted, mount("grafana", 4, "mountPath", "/etc/dashboards")),
    (wiring.files_that_are_named_are_mounted, mount("otel-collector", 0, "mountPath", "/etc/otlp")),
    (wiring.files_that_are_named_are_mounted, written("valkey", "valkey.conf", "/data", "/disk")),
    (
        wiring.files_that_are_named_are_mounted,
        VALKEY(f"{OF_POD}/containers/0/command/2", "exec valkey-server /etc/valkey/redis.conf"),
    ),
    (
        wiring.files_that_are_named_are_mounted,
        written("agent-actors", "AGENT_ACTORS_ACCESS_TOKENS_FILE", "tokens.json", "token.json"),
    ),
    (
        wiring.probes_ask_ports_that_are_there,
        container("readinessProbe/httpGet/port", "htpp"),
    ),
    (
        wiring.probes_ask_ports_that_are_there,
        VALKEY(f"{OF_POD}/containers/0/livenessProbe/tcpSocket/port", 6380),
    ),
    (
        wiring.addresses_are_of_services,
        put("Component", "statestore", "spec/metadata/0/value", "redis:6379"),
    ),
    (wiring.addresses_are_of_services, put("Service", "valkey", "spec/ports/0/port", 6380)),
    (
        wiring.addresses_are_of_services,
        put(
            "Configuration",
            "agent-actors",
            "spec/tracing/otel/endpointAddress",
            "otel-collector:4319",
        ),
    ),
    (
        wiring.addresses_are_of_services,
        written("agent-actors", "OTEL_EXPORTER_OTLP_ENDPOINT", "otel-collector", "collector"),
    ),
    (
        wiring.addresses_are_of_services,
        written("otel-collector", "config.yaml", "jaeger:", "jager:"),
    ),
    (
        wiring.addresses_are_of_services,
        written("grafana-provisioning", "datasources.yaml", ":9090", ":9091"),
    ),
    (wiring.grafana_reads_what_it_is_given, mount("grafana", 2, "subPath", "datasource.yaml")),
    (
        wiring.grafana_reads_what_it_is_given,
        mount("grafana", 3, "mountPath", "/etc/grafana/dashboards.yaml"),
    ),
    (wiring.grafana_reads_what_it_is_given, mount("grafana", 4, "mountPath", "/etc/dashboards")),
    (
        wiring.grafana_reads_what_it_is_given,
        written("grafana-provisioning", "dashboards.yaml", "providers", "provider"),
    ),
    (
        wiring.panels_have_their_data,
        written("grafana-provisioning", "datasources.yaml", "uid: prometheus", "uid: metrics"),
    ),
    (
        wiring.panels_have_their_data,
        written("grafana-dashboard", "agent-actors.json", '"uid": "prometheus"', '"uid": "prom"'),
    ),
]


@pytest.mark.parametrize(
    ("check", "change"),
    WORSE,
    ids=[f"{check.__name__}-{number}" for number, (check, _) in enumerate(WORSE)],
)
def test_what_is_missing_is_seen(check: Check, change: Change):
    """A name that leads nowhere is said to, and nothing was amiss before."""
    objects = made(SHOWN)
    before = [*check(objects)]
    change(objects)

    assert not before
    assert [*check(objects)]


def test_every_check_has_missed_something():
    """No check is there that has never found anything."""
    assert {check for check, _ in WORSE} == set(WIRING)
