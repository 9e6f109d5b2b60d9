"""How the turns of a conversation are counted."""

from typing import Any

import pytest

from agent_actors.errors import GuardrailRefused, ModelFailed, ModelTimedOut, Unavailable
from agent_actors.protocol.messages import Failure, Problem, Reply
from tests.fakes import a_turn
from tests.readings import PREFIX, Readings
from tests.readings import counted as readings_of
from tests.unit.conversation.talk import Talk


def readings(talk: Talk) -> Readings:
    """The counters as a scrape reads them."""
    return readings_of(talk.counters)


def counted(talk: Talk) -> dict[tuple[str, ...], int]:
    """The turns that were counted, by kind and end."""
    return {
        (labels["kind"], labels["outcome"]): int(value)
        for (name, given), value in readings(talk).samples.items()
        if name == f"{PREFIX}turns_total" and value
        for labels in [dict(given)]
    }


def took(talk: Talk, path: str) -> float:
    """How many turns were timed."""
    return readings(talk).of("turn_seconds_count", path=path)


async def test_a_turn_that_its_caller_waits_for(talk: Talk):
    """Done, and timed as direct."""
    await talk.answered("hello")

    assert counted(talk) == {("message", "done"): 1}
    assert (took(talk, "direct"), took(talk, "parked")) == (1, 0)


async def test_a_turn_that_is_parked(talk: Talk):
    """Counted as parked at once, as done with its end, and timed from its beginning."""
    await talk.parked("one")

    assert counted(talk) == {}
    assert readings(talk).of("turns_parked_total") == 1
    assert talk.chat.waiting == 1

    await talk.clock.advance(7.0)
    await talk.complete("one", Reply("done"))

    assert counted(talk) == {("message", "done"): 1}
    assert took(talk, "parked") == 1
    assert readings(talk).of("turn_seconds_sum", path="parked") == pytest.approx(7.0)
    assert talk.chat.waiting == 0


@pytest.mark.parametrize(
    ("error", "end"),
    [
        (ModelFailed("no"), "model_failed"),
        (ModelTimedOut("late"), "model_timed_out"),
        (GuardrailRefused("no"), "guardrail"),
    ],
)
async def test_a_turn_that_the_model_fails(talk: Talk, error: Any, end: str):
    """By its reason, and the same whether somebody waits or not."""
    talk.responses.will(Failure(Problem.of(error)))
    await talk.process(a_turn("one"))
    await talk.parked("two")
    await talk.complete("two", Failure(Problem.of(error)))

    assert counted(talk) == {("message", end): 2}


async def test_turns_that_are_cleared(talk: Talk):
    """Each that waited is cancelled; none is timed."""
    await talk.parked("one", "two", "three")
    await talk.chat.clear_history()

    assert counted(talk) == {("message", "cancelled"): 3}
    assert took(talk, "parked") == 0


async def test_a_message_that_finds_the_queue_full():
    """It is busy, and none of those that wait."""
    talk = Talk(queue_length=2)
    await talk.parked("one", "two")
    await talk.process(a_turn("three"))

    assert counted(talk) == {("message", "busy"): 1}
    assert talk.chat.waiting == 2


async def test_a_turn_that_ended_elsewhere(talk: Talk):
    """It is adopted, and how long it took is not known here."""
    await talk.adopt("one")

    assert counted(talk) == {("adopted", "done"): 1}
    assert took(talk, "direct") == 0


async def test_a_turn_whose_save_fails_has_not_ended(talk: Talk):
    """It is sent again, and counted then, once, however often it comes after that."""
    talk.responses.will("hi")
    talk.client.fail("save", Unavailable("away"))
    await talk.process(a_turn("one", key="k"))

    assert counted(talk) == {}

    await talk.answered("one", key="k")
    await talk.process(a_turn("one", key="k"))

    assert counted(talk) == {("message", "done"): 1}


async def test_a_parked_turn_of_a_process_that_is_gone_is_counted_and_not_timed(talk: Talk):
    """When it was received is not known here."""
    await talk.parked("one")
    talk.activate()
    await talk.complete("one", Reply("done"))

    assert counted(talk) == {("message", "done"): 1}
    assert took(talk, "parked") == 0
