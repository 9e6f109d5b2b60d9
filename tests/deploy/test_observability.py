"""Traces, metrics, alerts and dashboard: they name what is there, and each alert says why."""

import json
import re
from typing import Any

import pytest
import yaml

from agent_actors.app import create_app
from agent_actors.settings import Settings
from tests.deploy.manifests import (
    K8S,
    PLAIN,
    ROOT,
    annotations,
    pod,
    rendered,
    settings,
    the,
)
from tests.fakes import FakeRuntime

FOLDER = K8S / "components/observability"
DASHBOARD = json.loads((FOLDER / "dashboard.json").read_text())
RULES = [
    rule
    for group in yaml.safe_load((FOLDER / "rules.yaml").read_text())["groups"]
    for rule in group["rules"]
]
SERIES = r"\bagent_actors_\w+"
TRACE = 40_000
"""Bytes of one in Jaeger's memory, generously: ours are 2,300 as sent, without the sidecar's."""


def written(text: str) -> set[str]:
    """The metrics that an expression names, without what a histogram adds to its name."""
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in re.findall(SERIES, text)}


def documented() -> set[str]:
    page = (ROOT / "docs/observability.md").read_text(encoding="utf-8")
    return set(re.findall(r"^\| `(agent_actors_\w+)` \|", page, re.MULTILINE))


def panels() -> list[dict[str, Any]]:
    return [each for each in DASHBOARD["panels"] if each["type"] != "row"]


@pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])
def test_an_alert_says_what_and_why(rule: dict[str, Any]):
    """Each alert has a summary for whoever is woken, a reason, and a severity."""
    assert rule["annotations"]["summary"].endswith(".")
    assert rule["annotations"]["reason"].endswith(".")
    assert rule["labels"]["severity"] in {"critical", "warning"}


@pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])
def test_an_alert_asks_for_metrics_that_are_there(rule: dict[str, Any]):
    """A misspelt metric would never wake anybody."""
    named = written(rule["expr"])

    assert named or 'up{job="' in rule["expr"]
    assert not named - documented()


def test_the_dashboard_shows_metrics_that_are_there():
    """Each curve is of documented metrics, and most of those are shown."""
    named = {
        name for each in panels() for target in each["targets"] for name in written(target["expr"])
    }

    assert not named - documented()
    assert len(named) > len(documented()) // 2


def test_the_dashboard_has_its_data():
    """Each panel asks the Prometheus that Grafana is given."""
    (prometheus, _) = yaml.safe_load((FOLDER / "grafana-datasources.yaml").read_text())[
        "datasources"
    ]

    assert {each["datasource"]["uid"] for each in panels()} == {prometheus["uid"]}
    assert len({each["id"] for each in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def test_no_panel_hides_another():
    """Each place of the grid is one panel's."""
    taken: set[tuple[int, int]] = set()
    for each in DASHBOARD["panels"]:
        at = each["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken
        assert max(x for x, _ in cells) < 24
        taken |= cells


def test_the_jobs_of_alerts_are_scraped():
    """Each job that an expression names is one of Prometheus'."""
    asked = {
        job
        for text in (str(RULES), json.dumps(DASHBOARD).replace('\\"', '"'))
        for job in re.findall(r'job="([\w-]+)"', text)
    }
    jobs = {each["job_name"] for each in prometheus_configuration()["scrape_configs"]}

    assert asked == jobs == {"agent-actors", "daprd"}


def test_prometheus_asks_the_ports_of_service_and_sidecar():
    """The service answers where it is scraped, and the sidecar where its annotation says."""
    ports = {
        job["job_name"]: job["dns_sd_configs"][0]["port"]
        for job in prometheus_configuration()["scrape_configs"]
    }
    paths = create_app(Settings(data=ROOT / "not made"), runtime=FakeRuntime()).openapi()["paths"]
    replicas = the(rendered("observed"), "Service", "agent-actors-replicas")

    assert "/metrics" in paths
    assert ports == {
        "agent-actors": 8000,
        "daprd": int(annotations(rendered(PLAIN))["metrics-port"]),
    }
    assert replicas["spec"]["clusterIP"] == "None"
    assert prometheus_configuration()["scrape_configs"][0]["dns_sd_configs"][0]["names"] == [
        replicas["metadata"]["name"]
    ]


def test_service_and_sidecar_send_their_spans_to_the_collector():
    """Both name it, at a port it listens on, and it sends them on to Jaeger."""
    objects = rendered("observed")
    ports = {port["port"] for port in the(objects, "Service", "otel-collector")["spec"]["ports"]}
    tracing = the(objects, "Configuration", "agent-actors")["spec"]["tracing"]
    sent = [settings(objects)["OTEL_EXPORTER_OTLP_ENDPOINT"], tracing["otel"]["endpointAddress"]]
    collector = yaml.safe_load((FOLDER / "collector-config.yaml").read_text())
    pipeline = collector["service"]["pipelines"]["traces"]

    for each in sent:
        host, _, port = each.removeprefix("http://").partition(":")
        assert host == "otel-collector"
        assert int(port) in ports
    assert tracing["samplingRate"] == "1"
    assert set(pipeline["exporters"]) <= set(collector["exporters"])
    assert collector["exporters"]["otlp_grpc/jaeger"]["endpoint"] == "jaeger:4317"


def test_jaeger_keeps_no_more_than_its_memory_holds():
    """Of its own accord it would keep ten times as many traces."""
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


def prometheus_configuration() -> Any:
    return yaml.safe_load((FOLDER / "prometheus-config.yaml").read_text())
