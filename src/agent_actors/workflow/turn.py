"""The workflow of a turn: five activities, each with its own retries.

    order ─► fetch analytics ─► fetch history ─► generate reply ─► store conversation ─► publish

Dapr replays the function from its history after every activity. So it reads no clock, makes no id,
and depends on nothing but the results of its activities. They travel as JSON, which Dapr stores.
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
    """An activity: its name, how often it is tried, and the seconds between tries."""

    name: str
    tries: int
    pause: float


ANALYTICS = WorkflowStep("fetch_analytics", 3, 5.0)
HISTORY = WorkflowStep("fetch_history", 3, 5.0)
REPLY = WorkflowStep("generate_reply", 2, 3.0)
STORE = WorkflowStep("store_conversation", 3, 5.0)
PUBLISH = WorkflowStep("publish_message_sent", 5, 2.0)
STEPS = (ANALYTICS, HISTORY, REPLY, STORE, PUBLISH)


@dataclass(frozen=True, slots=True)
class TurnOrder:
    """The input of a workflow; the workflow's id is the turn's."""

    conversation: str
    turn: Turn


@dataclass(frozen=True, slots=True)
class PromptContext:
    """The model's context from before the turn; fields as in `model.Prompt`."""

    number: int
    memory: tuple[Message, ...]
    window: tuple[Exchange, ...]
    person: Person
    earlier: str = ""


@dataclass(frozen=True, slots=True)
class HistoryLookup:
    """The result of `fetch_history`: the context, or the turn's state if it is known already."""

    past: PromptContext | None = None
    ended: TurnState | None = None


@dataclass(frozen=True, slots=True)
class ReplyRequest:
    """The input of `generate_reply`."""

    order: TurnOrder
    message_count: int
    past: PromptContext


@dataclass(frozen=True, slots=True)
class ReplyResult:
    """The result of `generate_reply`; with `again`, another try may succeed."""

    outcome: Outcome
    again: bool = False


@dataclass(frozen=True, slots=True)
class StoreRequest:
    """The input of `store_conversation`."""

    order: TurnOrder
    outcome: Outcome


Steps = Generator[Any, Any, Any]


def chat_turn(ctx: DaprWorkflowContext, order: Any) -> Steps:
    """Runs a turn; returns its `TurnState` without the reply."""
    count = yield _call(ctx, ANALYTICS, order)
    found = yield _call(ctx, HISTORY, order)
    if "ended" in found:
        return found["ended"]
    asked = {"order": order, "message_count": count, "past": found["past"]}
    answered = yield ctx.call_activity(REPLY.name, input=asked)
    # A failure is a result: only one that may pass is tried again.
    for _ in range(REPLY.tries - 1):
        if not answered["again"]:
            break
        yield ctx.create_timer(timedelta(seconds=REPLY.pause))
        answered = yield ctx.call_activity(REPLY.name, input=asked)
    ended = yield _call(ctx, STORE, {"order": order, "outcome": answered["outcome"]})
    if ended["status"] == "done":
        yield _call(ctx, PUBLISH, order)
    return ended


def _call(ctx: DaprWorkflowContext, step: WorkflowStep, given: Any) -> Any:
    policy = RetryPolicy(
        first_retry_interval=timedelta(seconds=step.pause), max_number_of_attempts=step.tries
    )
    return ctx.call_activity(step.name, input=given, retry_policy=policy)


def without_reply(state: TurnState) -> TurnState:
    """A turn's state as a workflow may keep it: texts belong into the conversation alone."""
    return TurnState(state.turn_id, state.status, error=state.error)
