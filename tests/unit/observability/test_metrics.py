"""The metrics, and that their page describes them."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics

from agent_actors.observability.counters import Counters
from agent_actors.observability.metrics import Metrics
from agent_actors.protocol.ids import ActorRef
from agent_actors.routes.gauges import ProcessGauges
from tests.readings import OF_THE_LIBRARY, Readings

PAGE = (Path(__file__).parents[3] / "docs" / "observability.md").read_text(encoding="utf-8")
ROW = re.compile(r"\| `(agent_actors_\w+)` \| (\w+) \|([^|]*)\| [A-Z][^|]*\.")
OPEN = "application/openmetrics-text; version=1.0.0"


def documented() -> dict[str, tuple[str, frozenset[str]]]:
    """Each name in the page's table, with its type and its labels."""
    rows = ROW.findall(PAGE)
    return {name: (kind, frozenset(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}


class FakeActor:
    """An active actor with a number of turns in its queue."""

    def __init__(self, waiting: int) -> None:
        self.ref = ActorRef("ChatAgent", "ada")
        self.waiting = waiting


class FakeActivations:
    """Two active actors, one of them with a parked turn and three turns behind it."""

    active = (FakeActor(4), FakeActor(0))


class FakeCalls:
    """One call of the model."""

    running = 1


class FakeFeed:
    """Five events that wait."""

    waiting = 5


def some_metrics() -> Metrics:
    """The metrics after each thing that creates a series has happened once."""
    counters = Counters()
    counters.actor_turn_ended("ChatAgent", "process_message", "ok")
    counters.tokens_used(counters.model_called("echo", "done", 1.5), 3, 4)
    counters.event_lagged(0.3)
    fakes: tuple[Any, Any, Any] = FakeActivations(), FakeCalls(), FakeFeed()
    info = {"version": "1", "runtime": "dapr", "model": "echo"}
    return Metrics(counters, ProcessGauges(*fakes), info)


def scraped(accept: str = "") -> Readings:
    """A scrape."""
    body, _ = some_metrics().exposition(accept)
    return Readings(body.decode())


def test_the_page_names_every_metric():
    """The page and a scrape have the same names, with the same types and labels."""
    ours = [each for each in scraped().families if not each.name.startswith(OF_THE_LIBRARY)]
    served = {}
    for family in ours:
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        name = f"{family.name}_total" if family.type == "counter" else family.name
        served[name] = (family.type, frozenset(labels))

    assert served == documented()
    assert len(served) > 20


def test_the_page_names_every_value():
    """Every label value is in the page's second table, except names of actors and models."""
    table = PAGE.partition("The values of the labels:")[2].partition("\n\nThe library")[0]
    named = set(re.findall(r"`([\w-]+)`", table))
    free = {"version", "le", "type", "method"}
    used = {
        value
        for _, labels in scraped().series
        for label, value in labels
        if label not in free and value != "echo"
    }

    assert used <= named, used - named


def test_a_scrape_of_openmetrics():
    """A client that accepts OpenMetrics gets it."""
    body, content_type = some_metrics().exposition(OPEN)
    families = {family.name for family in open_metrics(body.decode())}

    assert content_type.startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")
    assert {"agent_actors_turns", "agent_actors_model_seconds"} <= families


def test_a_histogram_adds_up():
    """A bucket includes those below it; the last bucket has all values."""
    readings = scraped()
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
    """Every known combination of labels is there from the start, so a rate sees its first step."""
    readings = scraped()

    assert ("agent_actors_sms_total", frozenset({("result", "failed")})) in readings.series
    assert readings.of("turns_total") == 0
    assert readings.of("dead_letters_total") == 0


def test_gauges_are_read_on_a_scrape():
    """They show the present state of the app."""
    readings = scraped()

    assert readings.of("active_actors", type="ChatAgent") == 2
    assert readings.of("queue_length") == 3
    assert readings.of("parked_turns") == 1
    assert readings.of("model_calls_running") == 1
    assert readings.of("feed_backlog") == 5
    assert readings.of("info", runtime="dapr", version="1", model="echo") == 1


def test_two_apps_in_a_process_are_separate():
    """Each app has a registry of its own."""
    assert scraped().series == scraped().series


def test_no_creation_times_are_served():
    """The library adds `_created` series unless a registry leaves them out."""
    assert not [name for name, _ in scraped(OPEN).samples if name.endswith("_created")]
    assert not [name for name, _ in scraped().samples if name.endswith("_created")]
