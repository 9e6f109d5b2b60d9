"""The workflow function: the activities it calls, and its use of their results."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, cast

from dapr.ext.workflow import DaprWorkflowContext

from agent_actors.workflow.turn import STEPS, chat_turn

ORDER = {"conversation": "session:s", "turn": {"turn_id": "t"}}
PAST = {"past": {"number": 1}}
REPLIED = {"outcome": {"content": "hi"}, "again": False}
FAILED = {"outcome": {"error": {"status": 502}}, "again": True}
REFUSED = {"outcome": {"error": {"status": 422}}, "again": False}
DONE = {"turn_id": "t", "status": "done"}
ENDED = {"turn_id": "t", "status": "failed"}


class Context:
    """The SDK's context: notes what is called."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Any]] = []
        self.tries: dict[str, tuple[int, timedelta]] = {}

    def call_activity(self, name: str, *, input: Any, retry_policy: Any = None) -> str:  # noqa: A002 - the SDK's word
        self.asked.append((name, input))
        if retry_policy is not None:
            pause = retry_policy.first_retry_interval
            self.tries[name] = (retry_policy.max_number_of_attempts, pause)
        return name

    def create_timer(self, pause: timedelta) -> str:
        self.asked.append(("pause", pause))
        return "pause"


def carry(results: Sequence[Any]) -> tuple[Context, Any]:
    """Runs the workflow on these results of its steps; what it returned."""
    context = Context()
    turn = chat_turn(cast(DaprWorkflowContext, context), ORDER)
    given = iter([None, *results])
    try:
        while True:
            turn.send(next(given))
    except StopIteration as end:
        return context, end.value


def steps(context: Context) -> list[str]:
    return [name for name, _ in context.asked]


def test_a_turn_takes_five_steps():
    """In their order, each with what the ones before it have returned."""
    context, ended = carry([3, PAST, REPLIED, DONE, None])

    assert steps(context) == [step.name for step in STEPS]
    assert context.asked[2][1] == {"order": ORDER, "message_count": 3, "past": PAST["past"]}
    assert context.asked[3][1] == {"order": ORDER, "outcome": REPLIED["outcome"]}
    assert ended == DONE


def test_each_step_is_tried_so_often():
    """As often, and with such pauses, as the lessons have it."""
    context, _ = carry([3, PAST, REPLIED, DONE, None])

    assert context.tries == {
        "fetch_analytics": (3, timedelta(seconds=5)),
        "fetch_history": (3, timedelta(seconds=5)),
        "store_conversation": (3, timedelta(seconds=5)),
        "publish_message_sent": (5, timedelta(seconds=2)),
    }


def test_a_turn_that_has_ended_takes_no_more_steps():
    """Started again by a late retry, it returns how the turn ended."""
    context, ended = carry([3, {"ended": DONE}])

    assert steps(context) == ["fetch_analytics", "fetch_history"]
    assert ended == DONE


def test_a_model_that_fails_is_asked_once_more():
    """After three seconds; its answer is then the turn's."""
    context, ended = carry([3, PAST, FAILED, None, REPLIED, DONE, None])

    assert steps(context)[2:5] == ["generate_reply", "pause", "generate_reply"]
    assert context.asked[3] == ("pause", timedelta(seconds=3))
    assert ended == DONE


def test_a_model_that_fails_twice_has_failed():
    """The failure is stored, and no event is published."""
    context, ended = carry([3, PAST, FAILED, None, FAILED, ENDED])

    assert context.asked[-1] == (
        "store_conversation",
        {"order": ORDER, "outcome": FAILED["outcome"]},
    )
    assert ended == ENDED


def test_what_is_refused_for_good_is_not_tried_again():
    """A guardrail would refuse the same message once more."""
    context, _ = carry([3, PAST, REFUSED, ENDED])

    assert steps(context).count("generate_reply") == 1
