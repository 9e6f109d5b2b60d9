"""Prometheus' own tool takes our configuration, and each alert fires when it should, and only then.

The alerts' tests are in `alerts/`, a file for each, as `promtool test rules` reads them.
"""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import Serve
from tests.deploy.observability_programs import (
    FOLDER,
    Program,
    laid_out,
    programs,
    promtool,
    version,
)
from tests.deploy.test_observability import RULES, panels, written
from tests.fakes import eventually
from tests.readings import Readings
from tools import observability_tools

__all__ = ["programs", "promtool"]

ALERTS = Path(__file__).parent / "alerts"
STRICTLY = ("--lint=all", "--lint-fatal")
INTERVAL = "$__rate_interval"
"""What Grafana puts a duration for."""


def test_promtool_is_of_the_version_that_runs():
    """Another image takes another promtool to judge its configuration."""
    assert version("prometheus.yaml") == observability_tools.prometheus_version()


def configured(folder: Path) -> Path:
    """The file that the pod's Prometheus is started with, and all that it names, in a folder."""
    arguments = laid_out("prometheus.yaml", "prometheus", folder)
    (file,) = (each for each in arguments if each.startswith("--config.file="))
    return Path(file.removeprefix("--config.file="))


def test_prometheus_takes_its_configuration(promtool: Program, tmp_path: Path):
    """As the pod mounts it, with every rule."""
    answer = promtool("check", "config", *STRICTLY, configured(tmp_path))

    assert answer.agrees, answer.text
    assert f"SUCCESS: {len(RULES)} rules found" in answer.text


@pytest.mark.parametrize(
    ("file", "text", "instead"),
    [
        ("prometheus.yml", "dns_sd_configs", "dns_sd_config"),
        ("prometheus.yml", "evaluation_interval: 15s", "evaluation_interval: 15"),
        ("prometheus.yml", "rules.yaml", "rule.yaml"),
        ("rules.yaml", "[15m:1m]", "[15m:1m"),
        ("rules.yaml", "for: 2m", "fore: 2m"),
        ("rules.yaml", "{{ $labels.topic }}", "{{ $labels.topic }"),
    ],
)
def test_prometheus_refuses_a_slip(
    promtool: Program, tmp_path: Path, file: str, text: str, instead: str
):
    """Of a key, a duration, a file, an expression or a template."""
    configuration = configured(tmp_path)
    written = (tmp_path / file).read_text()
    assert text in written
    (tmp_path / file).write_text(written.replace(text, instead))

    assert not promtool("check", "config", configuration).agrees


def test_prometheus_can_read_every_curve(promtool: Program):
    """Each expression of the dashboard is one, with a duration where Grafana puts one."""
    refused = {
        target["expr"]: answer.text
        for panel in panels()
        for target in panel["targets"]
        if not (answer := parsed(promtool, target["expr"])).agrees
    }

    assert not refused


def test_prometheus_cannot_read_a_broken_curve(promtool: Program):
    """A variable that Grafana does not know stays as it is, and is refused."""
    (one, *_) = (target["expr"] for panel in panels() for target in panel["targets"])

    assert INTERVAL in one
    assert not parsed(promtool, one.replace(INTERVAL, "$interval")).agrees
    assert not parsed(promtool, one.removesuffix(")")).agrees


def parsed(promtool: Program, expression: str):
    return promtool("--experimental", "promql", "format", expression.replace(INTERVAL, "1m"))


def cases(alert: str) -> list[dict[str, Any]]:
    """What is expected of an alert, at some moments."""
    tests = yaml.safe_load((ALERTS / f"{alert}.yaml").read_text(encoding="utf-8"))["tests"]
    return [case for test in tests for case in test["alert_rule_test"]]


def test_each_alert_is_tried():
    """Each has a file, in which it fires, and does not; no other alert is in there."""
    names = {rule["alert"] for rule in RULES}

    assert {file.stem for file in ALERTS.iterdir()} == names
    for name in names:
        assert {case["alertname"] for case in cases(name)} == {name}
        assert {bool(case["exp_alerts"]) for case in cases(name)} == {True, False}, name


@pytest.mark.parametrize("alert", [rule["alert"] for rule in RULES])
def test_an_alert_fires_when_it_should(promtool: Program, alert: str):
    """With its labels and texts, and neither earlier nor for less."""
    answer = promtool("test", "rules", ALERTS / f"{alert}.yaml")

    assert answer.agrees, answer.text


@pytest.mark.parametrize("expression", ["vector(1) > 0", "vector(0) > 0"], ids=["always", "never"])
def test_the_test_of_an_alert_notices(promtool: Program, tmp_path: Path, expression: str):
    """An alert that always fires, or never, fails its test."""
    rules = [rule | {"expr": expression} for rule in RULES]
    (tmp_path / "rules.yaml").write_text(
        yaml.safe_dump({"groups": [{"name": "all", "rules": rules}]})
    )
    unnoticed = []
    for alert in (rule["alert"] for rule in RULES):
        written = yaml.safe_load((ALERTS / f"{alert}.yaml").read_text(encoding="utf-8"))
        file = tmp_path / f"{alert}.yaml"
        file.write_text(yaml.safe_dump(written | {"rule_files": ["rules.yaml"]}))
        if promtool("test", "rules", file).agrees:
            unnoticed.append(alert)

    assert not unnoticed


def test_the_tests_of_alerts_ask_our_rules():
    """At the interval at which Prometheus does."""
    interval = yaml.safe_load((FOLDER / "prometheus-config.yaml").read_text())["global"]
    for file in ALERTS.iterdir():
        written = yaml.safe_load(file.read_text(encoding="utf-8"))
        (rules,) = written["rule_files"]

        assert (ALERTS / rules).resolve() == FOLDER / "rules.yaml"
        assert written["evaluation_interval"] == interval["evaluation_interval"]


async def test_what_alerts_count_is_there_before_it_happens(serve: Serve):
    """Prometheus sees no step to a first value: a counter that alerts ask for begins with 0."""
    counted = {name for rule in RULES for name in written(rule["expr"]) if name.endswith("_total")}
    async with serve() as served:
        shown = Readings((await served.http.get("/metrics")).text)

    assert counted
    assert counted <= {name for name, _ in shown.samples}


async def test_the_names_of_our_metrics_are_as_prometheus_likes_them(
    promtool: Program, serve: Serve
):
    """Units, suffixes, types and help, in what a service shows after a turn."""
    async with serve() as served:
        await served.reply("ada", "hello")
        await eventually(lambda: sum(served.services.tally.event_lag.counts))
        shown = await served.http.get("/metrics")
    answer = promtool("check", "metrics", "--lint=all", given=shown.text)

    assert "agent_actors_event_lag_seconds_count 1" in shown.text
    assert answer.agrees, answer.text


def test_prometheus_dislikes_other_names(promtool: Program):
    """A counter without its suffix is refused."""
    other = (
        "# HELP agent_actors_turn Turns.\n# TYPE agent_actors_turn counter\nagent_actors_turn 1\n"
    )

    assert not promtool("check", "metrics", "--lint=all", given=other).agrees
