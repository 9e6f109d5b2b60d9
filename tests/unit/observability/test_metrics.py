"""The names and labels of the metrics are those of the page."""

import re
from collections.abc import Mapping
from pathlib import Path

from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics

from agent_actors.observability.counters import Counters
from agent_actors.observability.metrics import Gauges, Metrics
from tests.readings import OF_THE_LIBRARY, Readings

PAGE = (Path(__file__).parents[3] / "docs" / "observability.md").read_text(encoding="utf-8")
ROW = re.compile(r"\| `(agent_actors_\w+)` \| (\w+) \|([^|]*)\| [A-Z][^|]*\.")
OPEN = "application/openmetrics-text; version=1.0.0"


def documented() -> dict[str, tuple[str, frozenset[str]]]:
    """Each name of the page's table, its type and its labels."""
    rows = ROW.findall(PAGE)
    return {name: (kind, frozenset(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}


def some_metrics() -> Metrics:
    """After each thing has happened once."""
    counters = Counters()
    counters.acted("ChatAgent", "process_message", "ok")
    counters.model_used(counters.model_called("echo", "done", 1.5), 3, 4)
    counters.event_lagged(0.3)
    look = Gauges({"ChatAgent": 2}, waiting=3, parked=1, calls=1, backlog=5)
    return Metrics(counters, lambda: look, {"version": "1", "runtime": "dapr", "model": "echo"})


def shown(accept: str = "") -> Readings:
    """What a scrape reads."""
    body, _ = some_metrics().shown(accept)
    return Readings(body.decode())


def test_the_page_names_every_metric():
    """No other name is served, and each of the page is, with its type and its labels."""
    ours = [each for each in shown().families if not each.name.startswith(OF_THE_LIBRARY)]
    served = {}
    for family in ours:
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        name = f"{family.name}_total" if family.type == "counter" else family.name
        served[name] = (family.type, frozenset(labels))

    assert served == documented()
    assert len(served) > 20


def test_the_page_names_every_value():
    """What a label says is in the second table, but for the names of actors and models."""
    table = PAGE.partition("The values of the labels:")[2].partition("\n\nThe library")[0]
    named = set(re.findall(r"`([\w-]+)`", table))
    free = {"version", "le", "type", "method"}
    said = {
        value
        for _, labels in shown().series
        for label, value in labels
        if label not in free and value != "echo"
    }

    assert said <= named, said - named


def test_a_scrape_of_openmetrics():
    """Whoever accepts that gets it, and can read it."""
    body, content_type = some_metrics().shown(OPEN)
    families = {family.name for family in open_metrics(body.decode())}

    assert content_type.startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")
    assert {"agent_actors_turns", "agent_actors_model_seconds"} <= families


def test_a_histogram_adds_up():
    """Each bucket has those below it, and the last all of them."""
    readings = shown()
    buckets: Mapping[float, float] = {
        float(dict(labels)["le"]): value
        for (name, labels), value in readings.samples.items()
        if name == "agent_actors_event_lag_seconds_bucket"
    }

    assert buckets[0.25] == 0
    assert buckets[0.5] == buckets[float("inf")] == 1
    assert readings.of("event_lag_seconds_sum") == 0.3
    assert readings.of("event_lag_seconds_count") == 1


def test_what_has_not_happened_is_zero():
    """Every combination of a small set is there from the beginning: its first rise is seen."""
    readings = shown()

    assert ("agent_actors_sms_total", frozenset({("result", "failed")})) in readings.series
    assert readings.of("turns_total") == 0
    assert readings.of("dead_letters_total") == 0


def test_what_there_is_now_is_looked_at():
    """Gauges say what they see when they are asked for."""
    readings = shown()

    assert readings.of("active_actors", type="ChatAgent") == 2
    assert readings.of("queue_length") == 3
    assert readings.of("parked_turns") == 1
    assert readings.of("model_calls_running") == 1
    assert readings.of("feed_backlog") == 5
    assert readings.of("info", runtime="dapr", version="1", model="echo") == 1


def test_two_of_them_in_a_process_do_not_meet():
    """A process of tests makes many apps."""
    first, second = some_metrics(), some_metrics()

    assert (
        Readings(first.shown("")[0].decode()).series
        == Readings(second.shown("")[0].decode()).series
    )
