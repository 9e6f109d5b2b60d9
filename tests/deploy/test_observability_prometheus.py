"""Prometheus' own tool takes our configuration, and each alert fires when it should, and only then.

The alerts' tests are in `alerts/`, a file for each, as `promtool test rules` reads them. What they
would not notice is found by trying it: each rule is tried again after each careless edit.
"""

import re
from collections.abc import Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

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
from tests.readings import Readings, counted
from tools import observability_tools

__all__ = ["programs", "promtool"]

ALERTS = Path(__file__).parent / "alerts"
OURS = "../../../k8s/components/observability/rules.yaml"
"""What they are tests of, as they name it."""
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


def windows(expression: str) -> Iterator[str]:
    """Each duration in brackets halved and doubled, alone and with the others."""
    pattern = r"(?<=[\[:])(\d+)m"
    found = list(re.finditer(pattern, expression))
    for seconds in (30, 120) if found else ():
        yield re.sub(pattern, partial(lasting, seconds=seconds), expression)
        for each in found:
            other = lasting(each, seconds)
            yield expression[: each.start()] + other + expression[each.end() :]


def lasting(minutes: re.Match[str], seconds: int) -> str:
    """A duration whose minutes have so many seconds."""
    return f"{int(minutes[1]) * seconds}s"


def numbers(expression: str) -> Iterator[str]:
    """Each one a twentieth less and more; 0 has none, and is a little less, a little more, or 1."""
    for found in re.finditer(r"(?<![\w.\[:])\d+(?:\.\d+)?(?![\w.])", expression):
        number = float(found[0])
        for other in (number * 0.95, number * 1.05) if number else (-0.001, 0.001, 1):
            yield f"{expression[: found.start()]}{other:g}{expression[found.end() :]}"


MATCHED = (r"\{[^}]*\}", r"\w+\|", r"\|\w+")
KEPT = (r"by \([\w, ]+\) ", r"(?<=by \()\w+, ", r"(?<=by \(le), \w+")
"""What is left out of an expression: of matchers, and of the labels of a sum."""


def labels(expression: str) -> Iterator[str]:
    """Without each matcher, value of one, or label of a sum; and a greatest for each sum."""
    for pattern in (*MATCHED, *KEPT):
        for found in re.finditer(pattern, expression):
            yield expression[: found.start()] + expression[found.end() :]
    for found in re.finditer(r"\bsum\b", expression):
        yield f"{expression[: found.start()]}max{expression[found.end() :]}"


def comparisons(expression: str) -> Iterator[str]:
    """Each one turned round; each half of `and` and `or` alone; and what is always so, or never."""
    for sign, other in ((" > ", " < "), (" == ", " != ")):
        for found in re.finditer(sign, expression):
            yield expression[: found.start()] + other + expression[found.end() :]
    halves = re.split(" and | or ", expression)
    yield from halves if len(halves) > 1 else ()
    yield from ("vector(1) > 0", "vector(0) > 0")


def waits(rule: dict[str, Any]) -> Iterator[str]:
    """An evaluation, or a minute, less and more."""
    minutes = int(rule.get("for", "0m").removesuffix("m"))
    for seconds in (-60, -15, 15, 60):
        if minutes * 60 + seconds >= 0:
            yield f"{minutes * 60 + seconds}s"


def careless(rule: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The rule after one slip each, by what is different then."""
    expression = rule["expr"]
    edits = chain.from_iterable(
        change(expression) for change in (windows, numbers, labels, comparisons)
    )
    return {other: rule | {"expr": other} for other in edits} | {
        f"for: {other}": rule | {"for": other} for other in waits(rule)
    }


UNNOTICED = {
    # A replica has one series for each bound: their sum is the greatest of them.
    "LoopLate": {"max by (le, instance)"},
    # What a counter grew by in a window is more than nothing in sum where it is so in one place,
    # and then it is at least 1: in ten minutes, 0.0017 a second.
    "TurnsRefused": {"max(rate", "> 0.001"},
    "DeadLetters": {"max by (topic)", "> 0.001"},
}
"""Edits that change nothing, by their new text."""


@pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])
def test_the_test_of_an_alert_notices(promtool: Program, tmp_path: Path, rule: dict[str, Any]):
    """Each slip in its rule fails it, except those that change nothing."""
    edits = careless(rule)
    unnoticed = UNNOTICED.get(rule["alert"], set())
    equal = {edit for edit in edits if any(text in edit for text in unnoticed)}

    assert len(edits) >= 10
    assert len(equal) == len(unnoticed)
    assert passing(promtool, tmp_path, {"as it is": rule, **edits}) == {"as it is", *equal}


def passing(promtool: Program, folder: Path, rules: dict[str, dict[str, Any]]) -> set[str]:
    """Those with which their alert's test passes; all can be read, and are tried in one run."""
    files = {}
    for number, (name, rule) in enumerate(rules.items()):
        file = folder / f"{number}.rules.yaml"
        file.write_text(yaml.safe_dump({"groups": [{"name": "one", "rules": [rule]}]}))
        text = (ALERTS / f"{rule['alert']}.yaml").read_text(encoding="utf-8")
        test = file.with_name(f"{number}.test.yaml")
        test.write_text(text.replace(OURS, file.name), encoding="utf-8")
        files[str(test)] = name
    readable = promtool("check", "rules", *folder.glob("*.rules.yaml"))
    promtool("test", "rules", f"--junit={folder / 'report.xml'}", *files)
    report = ElementTree.parse(folder / "report.xml")  # noqa: S314 - promtool's own.
    suites = report.getroot().findall("testsuite")

    assert readable.agrees, readable.text
    assert {suite.attrib["name"] for suite in suites} == files.keys()
    return {files[suite.attrib["name"]] for suite in suites if suite.attrib["failures"] == "0"}


def test_the_tests_of_alerts_ask_our_rules():
    """At the interval at which Prometheus does."""
    assert (ALERTS / OURS).resolve() == FOLDER / "rules.yaml"
    interval = yaml.safe_load((FOLDER / "prometheus-config.yaml").read_text())["global"]
    for file in ALERTS.iterdir():
        written = yaml.safe_load(file.read_text(encoding="utf-8"))

        assert written["rule_files"] == [OURS]
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
        counters = served.services.counters
        await eventually(lambda: counted(counters).of("event_lag_seconds_count"))
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
