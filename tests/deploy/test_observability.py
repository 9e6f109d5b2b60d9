"""Traces, metrics, alerts and dashboard name what exists, and each alert says why."""

import json
import re

import pytest

from agent_actors.app import create_app
from agent_actors.settings import Settings
from tests.deploy.manifests import PLAIN, ROOT, annotations, pod, rendered, settings, the
from tests.deploy.observability import CURVES, DASHBOARD, RULES, metrics, read
from tests.fakes import FakeRuntime

PAGE = (ROOT / "docs/observability.md").read_text(encoding="utf-8")
DOCUMENTED = set(re.findall(r"^\| `(agent_actors_\w+)` \|", PAGE, re.MULTILINE))
TRACE = 40_000
"""Bytes of a trace in Jaeger's memory, generously: ours has 2,300 when it is sent."""


def test_alerts_say_what_and_why():
    """Each has a summary for whoever is woken, a reason, a severity, and metrics that exist."""
    for rule in RULES:
        assert rule["annotations"]["summary"].endswith("."), rule["alert"]
        assert rule["annotations"]["reason"].endswith("."), rule["alert"]
        assert rule["labels"]["severity"] in {"critical", "warning"}, rule["alert"]
        assert metrics(rule["expr"]) or 'up{job="' in rule["expr"], rule["alert"]
        assert metrics(rule["expr"]) <= DOCUMENTED, rule["alert"]


def test_the_dashboard_shows_metrics_that_exist():
    """Each curve is of documented metrics, and most of those are shown."""
    named = metrics("\n".join(CURVES))

    assert named <= DOCUMENTED
    assert len(named) > len(DOCUMENTED) // 2


def test_no_panel_hides_another():
    """No two panels have the same cell of the grid, or the same id."""
    taken: set[tuple[int, int]] = set()
    for each in DASHBOARD["panels"]:
        x, y, width, height = (each["gridPos"][key] for key in "xywh")
        cells = {(x + right, y + down) for right in range(width) for down in range(height)}
        assert not cells & taken
        assert x + width <= 24
        taken |= cells

    assert len({each["id"] for each in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def test_prometheus_scrapes_what_is_asked_for():
    """Its jobs are those of alerts and dashboard, at the ports of service and sidecar."""
    texts = str(RULES) + json.dumps(DASHBOARD).replace('\\"', '"')
    scraped = {
        each["job_name"]: each["dns_sd_configs"][0]
        for each in read("prometheus-config.yaml")["scrape_configs"]
    }
    replicas = the(rendered("observed"), "Service", "agent-actors-replicas")["metadata"]["name"]
    routes = create_app(Settings(data=ROOT / "not made"), runtime=FakeRuntime()).openapi()["paths"]
    ports = {"agent-actors": 8000, "daprd": int(annotations(rendered(PLAIN))["metrics-port"])}

    assert "/metrics" in routes
    assert set(re.findall(r'job="([\w-]+)"', texts)) == set(scraped)
    assert {job: each["port"] for job, each in scraped.items()} == ports
    assert [each["names"] for each in scraped.values()] == [[replicas], [replicas]]


def test_service_and_sidecar_send_their_spans_to_the_collector():
    """Both name a port of its Service, and it sends the spans on to Jaeger."""
    objects = rendered("observed")
    ports = {port["port"] for port in the(objects, "Service", "otel-collector")["spec"]["ports"]}
    tracing = the(objects, "Configuration", "agent-actors")["spec"]["tracing"]
    targets = [settings(objects)["OTEL_EXPORTER_OTLP_ENDPOINT"], tracing["otel"]["endpointAddress"]]
    exporters = read("collector-config.yaml")["exporters"]

    assert {each.removeprefix("http://") for each in targets} == {
        f"otel-collector:{port}" for port in ports
    }
    assert tracing["samplingRate"] == "1"
    assert exporters["otlp_grpc/jaeger"]["endpoint"] == "jaeger:4317"


def test_jaeger_keeps_no_more_than_its_memory_holds():
    """Its default is ten times as many traces."""
    (jaeger,) = pod(the(rendered("observed"), "Deployment", "jaeger"))["containers"]
    memory = next(each["value"] for each in jaeger["env"] if each["name"] == "GOMEMLIMIT")
    (argument,) = jaeger["args"]
    path, _, traces = argument.partition("=")[2].partition("=")

    assert path == "extensions.jaeger_storage.backends.some_storage.memory.max_traces"
    assert int(traces) * TRACE < int(memory.removesuffix("MiB")) * 1024**2


@pytest.mark.parametrize("name", ["dev", "prod"])
def test_traces_are_off_without_a_collector(name: str):
    """Without the component nothing is sent anywhere."""
    objects = rendered(name)

    assert "OTEL_EXPORTER_OTLP_ENDPOINT" not in settings(objects)
    assert the(objects, "Configuration", "agent-actors")["spec"]["tracing"] == {"samplingRate": "0"}
