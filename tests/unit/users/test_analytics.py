"""AnalyticsActor: messages, and the tokens that they took."""

from typing import Any, cast

import pytest

from agent_actors.protocol import wire
from agent_actors.state import slots
from agent_actors.users.analytics import MODELS, OTHERS, AnalyticsActor
from tests.unit.users.consumers import Bench, event, used


class AnalyticsBench(Bench):
    """The AnalyticsActor of ada."""

    def __init__(self) -> None:
        super().__init__(wire.ANALYTICS)

    @property
    def analytics(self) -> AnalyticsActor:
        return cast(AnalyticsActor, self.actor)

    @property
    def stored(self) -> Any:
        return self.client.value(self.key, slots.ANALYTICS)

    def model(self, name: str) -> Any:
        """Messages, and tokens in and out, of one model."""
        use = dict(self.stored["models"])[name]
        return use["messages"], use["input_tokens"], use["output_tokens"]


@pytest.fixture
def bench() -> AnalyticsBench:
    return AnalyticsBench()


async def test_a_new_user_has_no_messages(bench: AnalyticsBench):
    """The count is 0, and reading it saves nothing."""
    assert await bench.analytics.get_message_count() == 0
    assert bench.saves == 0


async def test_messages_and_tokens_are_counted(bench: AnalyticsBench):
    """Over all conversations and models, and for each model by itself; a turn may be of none."""
    await bench.take(used(1, "gpt", 10), used(2, "gpt", 5))
    await bench.take(used(3, "gemini", 2), event(4))

    assert await bench.analytics.get_message_count() == 4
    assert len(bench.stored["models"]) == 2
    assert bench.stored["usage"] == {"input_tokens": 17, "output_tokens": 17}
    assert (bench.model("gpt"), bench.model("gemini")) == ((2, 15, 15), (1, 2, 2))


async def test_models_are_bounded(bench: AnalyticsBench):
    """Further models are counted together; a known one is still counted separately."""
    await bench.take(*[used(seq, f"m{seq}", 1) for seq in range(1, MODELS + 3)])
    await bench.take(used(MODELS + 3, "m1", 1))

    assert len(bench.stored["models"]) == MODELS + 1
    assert (bench.model(OTHERS), bench.model("m1")) == ((2, 2, 2), (2, 2, 2))


async def test_a_turn_that_another_service_publishes_too_counts_once(bench: AnalyticsBench):
    """Before, later, or in the same batch; the tokens are those of our own event."""
    await bench.take(event(None, event_id="t"))
    await bench.take(used(1, "gpt", 10, turn_id="t"))
    await bench.take(used(2, "gpt", 10, turn_id="u"))
    await bench.take(event(None, event_id="u"))
    await bench.take(used(3, "gpt", 10, turn_id="v"), event(None, event_id="v"))

    assert await bench.analytics.get_message_count() == 3
    assert (bench.stored["usage"]["input_tokens"], bench.model("gpt")) == (30, (3, 30, 30))


async def test_the_count_can_be_set(bench: AnalyticsBench):
    """Tokens stay, and counting goes on from there."""
    await bench.take(used(1, "gpt", 10))
    await bench.analytics.initialize(40)
    await bench.take(used(2, "gpt", 10))

    assert await bench.analytics.get_message_count() == 41
    assert bench.stored["usage"]["input_tokens"] == 20


async def test_a_forgotten_user_starts_over(bench: AnalyticsBench):
    """Nothing is left of what was counted."""
    await bench.take(used(1, "gpt", 10))
    await bench.forget(("ada", 1))

    assert not bench.stored
    await bench.take(used(2, "gemini", 1))
    assert (bench.stored["message_count"], bench.model("gemini")) == (1, (1, 1, 1))
