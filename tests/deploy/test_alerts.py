"""promtool accepts our configuration, and each alert fires when it should, and only then.

The cases of each alert are a file in `alerts/`, which `promtool test rules` reads. Whether they are
good enough is tested, too: each alert's rule is edited carelessly, and its cases have to fail.
"""

import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from tests.conftest import Serve
from tests.deploy.observability import (
    CURVES,
    FOLDER,
    RULES,
    Program,
    laid_out,
    metrics,
    read,
    version,
)
from tests.fakes import eventually
from tests.readings import Readings, counted
from tools import observability_tools

ALERTS = Path(__file__).parent / "alerts"
OURS = "../../../k8s/components/observability/rules.yaml"
"""The rules, as the cases name them."""
STRICT = ("--lint=all", "--lint-fatal")
INTERVAL = "$__rate_interval"
"""Grafana puts a duration in its place."""
NAMES = [rule["alert"] for rule in RULES]


def test_promtool_is_of_the_version_of_prometheus():
    """A newer image needs a newer promtool to check its configuration."""
    assert version("prometheus.yaml") == observability_tools.prometheus_version()


def configuration(folder: Path) -> Path:
    """The configuration of the pod, and all that it names, in a folder."""
    (file, *_) = laid_out("prometheus.yaml", "prometheus", folder)
    return Path(file.removeprefix("--config.file="))


def test_prometheus_accepts_its_configuration(promtool: Program, tmp_path: Path):
    """It has every rule, as the pod mounts them."""
    accepted, text = promtool("check", "config", *STRICT, configuration(tmp_path))

    assert accepted, text
    assert f"SUCCESS: {len(RULES)} rules found" in text


def test_prometheus_can_read_every_curve(promtool: Program):
    """Each expression of the dashboard is valid, and a broken one is not."""
    assert INTERVAL in CURVES[0]
    assert not [curve for curve in CURVES if not readable(promtool, curve)]
    assert not readable(promtool, CURVES[0].replace(INTERVAL, "$interval"))
    assert not readable(promtool, CURVES[0].removesuffix(")"))


def readable(promtool: Program, expression: str) -> bool:
    expression = expression.replace(INTERVAL, "1m")
    return promtool("--experimental", "promql", "format", expression)[0]


def test_each_alert_has_its_cases():
    """They are of our rules and interval, and some let the alert fire while others do not."""
    interval = read("prometheus-config.yaml")["global"]["evaluation_interval"]

    assert (ALERTS / OURS).resolve() == FOLDER / "rules.yaml"
    assert {file.stem for file in ALERTS.iterdir()} == {*NAMES}
    for name in NAMES:
        file = yaml.safe_load((ALERTS / f"{name}.yaml").read_text(encoding="utf-8"))
        cases = [case for test in file["tests"] for case in test["alert_rule_test"]]
        assert (file["rule_files"], file["evaluation_interval"]) == ([OURS], interval)
        assert {case["alertname"] for case in cases} == {name}
        assert {bool(case["exp_alerts"]) for case in cases} == {True, False}, name


@pytest.mark.parametrize("alert", NAMES)
def test_an_alert_fires_when_it_should(promtool: Program, alert: str):
    """It has its labels and texts, and fires neither earlier nor for less."""
    accepted, text = promtool("test", "rules", ALERTS / f"{alert}.yaml")

    assert accepted, text


# --- Careless edits of a rule.
def windows(expression: str) -> Iterator[str]:
    """The durations in brackets halved and doubled, each alone and all together."""
    pattern = r"(?<=[\[:])(\d+)m"
    found = list(re.finditer(pattern, expression))
    for seconds in (30, 120) if found else ():

        def other_time(minutes: re.Match[str], seconds: int = seconds) -> str:
            return f"{int(minutes[1]) * seconds}s"

        yield re.sub(pattern, other_time, expression)
        for each in found:
            yield expression[: each.start()] + other_time(each) + expression[each.end() :]


def numbers(expression: str) -> Iterator[str]:
    """Each number a twentieth less and more; a little less, a little more, or 1 instead of 0."""
    for found in re.finditer(r"(?<![\w.\[:])\d+(?:\.\d+)?(?![\w.])", expression):
        number = float(found[0])
        for other in (number * 0.95, number * 1.05) if number else (-0.001, 0.001, 1):
            yield f"{expression[: found.start()]}{other:g}{expression[found.end() :]}"


MATCHERS = (r"\{[^}]*\}", r"\w+\|", r"\|\w+")
SUMS = (r"by \([\w, ]+\) ", r"(?<=by \()\w+, ", r"(?<=by \(le), \w+")
"""What is removed from an expression: matchers and their values, and labels of sums."""


def labels(expression: str) -> Iterator[str]:
    """Without each matcher, value of a matcher, or label of a sum; and `max` for each `sum`."""
    for pattern in (*MATCHERS, *SUMS):
        for found in re.finditer(pattern, expression):
            yield expression[: found.start()] + expression[found.end() :]
    for found in re.finditer(r"\bsum\b", expression):
        yield f"{expression[: found.start()]}max{expression[found.end() :]}"


def comparisons(expression: str) -> Iterator[str]:
    """Each comparison reversed; each side of `and` and `or` alone; always true, and never."""
    for sign, other in ((" > ", " < "), (" == ", " != ")):
        for found in re.finditer(sign, expression):
            yield expression[: found.start()] + other + expression[found.end() :]
    halves = re.split(" and | or ", expression)
    yield from halves if len(halves) > 1 else ()
    yield from ("vector(1) > 0", "vector(0) > 0")


def waits(rule: dict[str, Any]) -> Iterator[str]:
    """The wait an evaluation, or a minute, shorter and longer."""
    minutes = int(rule.get("for", "0m").removesuffix("m"))
    for seconds in (-60, -15, 15, 60):
        if minutes * 60 + seconds >= 0:
            yield f"{minutes * 60 + seconds}s"


def careless(rule: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The rule after each careless edit, by its new text."""
    expression = rule["expr"]
    edits = chain.from_iterable(
        change(expression) for change in (windows, numbers, labels, comparisons)
    )
    return {other: rule | {"expr": other} for other in edits} | {
        f"for: {other}": rule | {"for": other} for other in waits(rule)
    }


EQUIVALENT = {
    # A replica has one series for each bound: their sum is their maximum.
    "LoopLate": {"max by (le, instance)"},
    # A sum of increases is above 0 if one of them is, and that one is at least 1: within ten
    # minutes, 0.0017 a second.
    "TurnsRefused": {"max(rate", "> 0.001"},
    "DeadLetters": {"max by (topic)", "> 0.001"},
}
"""Edits that change nothing, by a part of their new text."""


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_the_cases_of_an_alert_notice_careless_edits(
    promtool: Program, tmp_path: Path, rule: dict[str, Any]
):
    """Each edit of its rule fails them, except for those that change nothing."""
    edits = careless(rule)
    unnoticed = EQUIVALENT.get(rule["alert"], set())
    equal = {edit for edit in edits if any(text in edit for text in unnoticed)}

    assert len(edits) >= 10
    assert len(equal) == len(unnoticed)
    assert passing(promtool, tmp_path, {"as it is": rule, **edits}) == {"as it is", *equal}


def passing(promtool: Program, folder: Path, rules: dict[str, dict[str, Any]]) -> set[str]:
    """The rules with which the cases of their alert pass, found in one run of promtool."""
    files = {}
    for number, (name, rule) in enumerate(rules.items()):
        file = folder / f"{number}.rules.yaml"
        file.write_text(yaml.safe_dump({"groups": [{"name": "one", "rules": [rule]}]}))
        cases = (ALERTS / f"{rule['alert']}.yaml").read_text(encoding="utf-8")
        test = folder / f"{number}.test.yaml"
        test.write_text(cases.replace(OURS, file.name), encoding="utf-8")
        files[str(test)] = name
    readable, text = promtool("check", "rules", *folder.glob("*.rules.yaml"))
    promtool("test", "rules", f"--junit={folder / 'report.xml'}", *files)
    report = ElementTree.parse(folder / "report.xml")  # noqa: S314 - promtool wrote it.
    suites = report.getroot().findall("testsuite")

    assert readable, text
    assert {suite.attrib["name"] for suite in suites} == files.keys()
    return {files[suite.attrib["name"]] for suite in suites if suite.attrib["failures"] == "0"}


# --- Metrics of the service.
async def test_a_counter_of_an_alert_starts_at_zero(serve: Serve):
    """Prometheus sees no increase in a counter that appears with its first value."""
    counted = {name for rule in RULES for name in metrics(rule["expr"]) if name.endswith("_total")}
    async with serve() as served:
        shown = Readings((await served.http.get("/metrics")).text)

    assert counted
    assert counted <= {name for name, _ in shown.samples}


async def test_our_metrics_follow_prometheus_conventions(promtool: Program, serve: Serve):
    """Units, suffixes, types and help after a turn have nothing that promtool complains about."""
    async with serve() as served:
        await served.reply("ada", "hello")
        counters = served.services.counters
        await eventually(lambda: counted(counters).of("event_lag_seconds_count"))
        shown = await served.http.get("/metrics")
    accepted, text = promtool("check", "metrics", "--lint=all", given=shown.text)

    assert "agent_actors_event_lag_seconds_count 1" in shown.text
    assert accepted, text
