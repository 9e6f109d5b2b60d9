"""What is counted, and under how few label values."""

import pytest

from agent_actors.observability.counters import LETTERS, MODELS, QUICK, TOPICS, Counters, Operation
from tests.hand_clock import HandClock
from tests.readings import PREFIX, Readings, counted


def values(readings: Readings, name: str, label: str) -> set[str]:
    """The values that a label of a metric has."""
    return {
        dict(labels)[label] for sample, labels in readings.samples if sample == f"{PREFIX}{name}"
    }


@pytest.mark.parametrize(
    ("seconds", "bound"), [(-1.0, QUICK[0]), (0.0, QUICK[0]), (0.5, 0.5), (0.51, 1.0)]
)
def test_a_value_is_counted_at_the_first_bound_that_is_not_below_it(seconds: float, bound: float):
    """A bound belongs to the bucket below it, and a negative time counts as zero."""
    counters = Counters()
    counters.loop_lagged(seconds)
    readings = counted(counters)
    reached = [
        each for each in QUICK if readings.of("loop_lag_seconds_bucket", le=str(each)) == 1.0
    ]

    assert reached[0] == bound
    assert readings.of("loop_lag_seconds_sum") == max(seconds, 0.0)


def test_models_beyond_the_limit_share_one_name():
    """The number of series stays small however many names an agent uses, and however long."""
    counters = Counters()
    names = {counters.model_called(f"model {number}", "done", 1.0) for number in range(1_000)}
    for name in names:
        counters.tokens_used(name, 1, 2)
    readings = counted(counters)

    assert len(names) == MODELS + 1
    assert names == values(readings, "model_seconds_count", "model")
    assert names == values(readings, "tokens_total", "model")
    assert readings.of("model_calls_total", model="other", outcome="done") == 1_000 - MODELS
    assert len(Counters().model_called("x" * 500, "done", 1.0)) < 100


def test_a_known_model_keeps_its_name_when_the_names_are_used_up():
    """The first names stay; a failed call has no name: it is unknown, and then other."""
    assert Counters().model_called("", "failed", 1.0) == "unknown"
    counters = Counters()
    for number in range(100):
        counters.model_called(f"model {number}", "done", 1.0)

    assert counters.model_called("model 0", "failed", 1.0) == "model 0"
    assert counters.model_called("", "failed", 1.0) == "other"


def test_an_unknown_value_counts_as_other():
    """A topic from a setting, or an SMS status of a later release."""
    counters = Counters()
    for number in range(100):
        counters.event_taken(f"topic {number}", "applied")
        counters.event_redelivered(f"topic {number}")
        counters.dead_letter_kept(f"topic {number}")
        counters.sms_ended(f"state {number}")
    readings = counted(counters)

    assert readings.of("events_total", topic="other", result="applied") == 100
    assert readings.of("sms_total", result="other") == 100
    for name, known in (("dead_letters_total", LETTERS), ("event_redeliveries_total", TOPICS)):
        assert readings.of(name, topic="other") == 100
        assert values(readings, name, "topic") == {*known, "other"}


def test_a_block_is_timed():
    """Its duration is counted, and its failure if it raised."""
    clock = HandClock()
    counters = Counters(clock.monotonic)
    operation: Operation = "save"
    with counters.timed(operation):
        pass
    with pytest.raises(ValueError, match="broken"), counters.timed(operation):
        raise ValueError("broken")
    readings = counted(counters)

    assert readings.of("call_seconds_count", operation="save") == 2
    assert readings.of("call_failures_total", operation="save") == 1
    assert readings.of("call_failures_total") == 1


def test_tokens_never_count_down():
    """A model that reports fewer than zero tokens counts as zero."""
    counters = Counters()
    counters.tokens_used("echo", -5, 7)
    readings = counted(counters)

    assert readings.of("tokens_total", model="echo", direction="input") == 0
    assert readings.of("tokens_total", model="echo", direction="output") == 7
