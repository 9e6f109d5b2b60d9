"""The workflow of a turn: five steps, each tried again by itself, each done once by the turn's id.

    order ─► fetch analytics ─► fetch history ─► generate reply ─► store conversation ─► publish

It is replayed from its history after every step, so it asks no clock, makes no id, and reads
nothing but what the steps returned. Between the steps values travel as JSON, which Dapr keeps.
"""

from collections.abc import Generator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from dapr.ext.workflow import DaprWorkflowContext, RetryPolicy

from agent_actors.protocol.messages import Exchange, Message, Outcome, Person, Turn, TurnState

NAME = "chat_turn"


@dataclass(frozen=True, slots=True)
class WorkflowStep:
    """An activity: its name, how often it is tried, and the seconds between two tries."""

    name: str
    tries: int
    pause: float

    @property
    def policy(self) -> RetryPolicy:
        """The same, as the SDK wants it."""
        return RetryPolicy(
            first_retry_interval=timedelta(seconds=self.pause), max_number_of_attempts=self.tries
        )


ANALYTICS = WorkflowStep("fetch_analytics", 3, 5.0)
HISTORY = WorkflowStep("fetch_history", 3, 5.0)
REPLY = WorkflowStep("generate_reply", 2, 3.0)
STORE = WorkflowStep("store_conversation", 3, 5.0)
PUBLISH = WorkflowStep("publish_message_sent", 5, 2.0)
STEPS = (ANALYTICS, HISTORY, REPLY, STORE, PUBLISH)


@dataclass(frozen=True, slots=True)
class TurnOrder:
    """What a workflow is started with; its id is the turn's."""

    conversation: str
    turn: Turn


@dataclass(frozen=True, slots=True)
class PromptContext:
    """What the model is told of the time before the turn, as in `model.Prompt`."""

    number: int
    memory: tuple[Message, ...]
    window: tuple[Exchange, ...]
    person: Person
    earlier: str = ""


@dataclass(frozen=True, slots=True)
class HistoryLookup:
    """What `fetch_history` finds: the past, or that the turn has ended before."""

    past: PromptContext | None = None
    ended: TurnState | None = None


@dataclass(frozen=True, slots=True)
class ReplyRequest:
    """What `generate_reply` is given."""

    order: TurnOrder
    message_count: int
    past: PromptContext


@dataclass(frozen=True, slots=True)
class ReplyResult:
    """What `generate_reply` returns; `again` says that another try may do better."""

    outcome: Outcome
    again: bool = False


@dataclass(frozen=True, slots=True)
class StoreRequest:
    """What `store_conversation` is given."""

    order: TurnOrder
    outcome: Outcome


Steps = Generator[Any, Any, Any]


def chat_turn(ctx: DaprWorkflowContext, order: Any) -> Steps:
    """Carries a turn to its end, which is returned as a `TurnState` without its reply."""
    count = yield _call(ctx, ANALYTICS, order)
    found = yield _call(ctx, HISTORY, order)
    if "ended" in found:
        return found["ended"]
    asked = {"order": order, "message_count": count, "past": found["past"]}
    answered = yield from _generated(ctx, asked)
    ended = yield _call(ctx, STORE, {"order": order, "outcome": answered["outcome"]})
    if ended["status"] == "done":
        yield _call(ctx, PUBLISH, order)
    return ended


def _generated(ctx: DaprWorkflowContext, asked: Any) -> Steps:
    """The model's answer. Its failures are values: what is refused for good is not tried again."""
    answered = yield ctx.call_activity(REPLY.name, input=asked)
    for _ in range(REPLY.tries - 1):
        if not answered["again"]:
            break
        yield ctx.create_timer(timedelta(seconds=REPLY.pause))
        answered = yield ctx.call_activity(REPLY.name, input=asked)
    return answered


def _call(ctx: DaprWorkflowContext, step: WorkflowStep, given: Any) -> Any:
    return ctx.call_activity(step.name, input=given, retry_policy=step.policy)


def without_reply(state: TurnState) -> TurnState:
    """The state as a workflow may keep it: what was said is in the conversation, and only there."""
    return TurnState(state.turn_id, state.status, error=state.error)
