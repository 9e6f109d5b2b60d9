"""What is counted, and under how few names."""

import pytest

from agent_actors.observability.counters import LETTERS, MODELS, TOPICS, Counters, Distribution
from tests.hand_clock import HandClock


@pytest.mark.parametrize(
    ("value", "place"), [(-1.0, 0), (0.0, 0), (1.0, 0), (1.1, 1), (2.0, 1), (2.1, 2)]
)
def test_a_value_is_counted_at_the_first_bound_that_is_not_below_it(value: float, place: int):
    """A bound belongs to what is below it, and a time below zero is zero."""
    distribution = Distribution((1.0, 2.0))
    distribution.add(value)

    assert distribution.counts.index(1) == place
    assert distribution.sum == max(value, 0.0)


def test_models_beyond_the_limit_are_one():
    """However many names an agent has for its models, and however long they are."""
    counters = Counters()
    names = {counters.model_called(f"model {number}", "done", 1.0) for number in range(1_000)}
    for name in names:
        counters.model_used(name, 1, 2)

    assert len(names) == MODELS + 1
    assert names == set(counters.model_seconds)
    assert counters.model_calls["other", "done"] == 1_000 - MODELS
    assert len(counters.tokens) == 2 * len(names)
    assert len(Counters().model_called("x" * 500, "done", 1.0)) < 100


def test_a_known_model_is_counted_apart_also_when_the_names_are_full():
    """The first ones keep their names."""
    counters = Counters()
    for number in range(100):
        counters.model_called(f"model {number}", "done", 1.0)

    assert counters.model_called("model 0", "failed", 1.0) == "model 0"
    assert counters.model_called("", "failed", 1.0) == "other"


def test_a_call_without_a_named_model_is_of_an_unknown_one():
    """A call that failed has named none."""
    assert Counters().model_called("", "failed", 1.0) == "unknown"


def test_what_is_not_known_is_counted_as_other():
    """A topic that somebody configured, or a state that a later release has."""
    counters = Counters()
    for number in range(100):
        counters.event_taken(f"topic {number}", "applied")
        counters.event_came_again(f"topic {number}")
        counters.letter_kept(f"topic {number}")
        counters.sms_ended(f"state {number}")

    assert counters.events["other", "applied"] == 100
    assert counters.redeliveries[("other",)] == counters.letters[("other",)] == 100
    assert counters.sms[("other",)] == 100
    assert len(counters.letters) == len(LETTERS) + 1
    assert len(counters.redeliveries) == len(TOPICS) + 1


def test_a_block_is_timed():
    """How long it took is counted, and that it failed if it did."""
    clock = HandClock()
    counters = Counters(clock.monotonic)
    with counters.timed("save"):
        pass
    with pytest.raises(ValueError, match="broken"), counters.timed("save"):
        raise ValueError("broken")

    assert sum(counters.call_seconds["save"].counts) == 2
    assert counters.call_failures == {
        (name,): int(name == "save") for name in counters.call_seconds
    }


def test_tokens_never_count_down():
    """A model that says it took fewer than none took none."""
    counters = Counters()
    counters.model_used("echo", -5, 7)

    assert counters.tokens == {("echo", "input"): 0, ("echo", "output"): 7}
