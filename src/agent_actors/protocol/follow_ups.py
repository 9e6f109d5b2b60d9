"""Follow-ups: the values that ChatAgent and ResponseAgent exchange."""

from dataclasses import dataclass

from agent_actors.protocol.messages import Turn, TurnState


@dataclass(frozen=True, slots=True)
class FollowUp:
    """`ResponseAgent.FollowUp`: ask the conversation a follow-up question of this turn.

    `wait` is what is left of the parking time, in seconds.
    """

    conversation: str
    turn: Turn
    wait: float


@dataclass(frozen=True, slots=True)
class FollowUpResult:
    """The result of `ChatAgent.AskFollowUp`: the turn and, once that is done, its follow-up."""

    turn: TurnState
    question: str = ""
    follow_up: TurnState | None = None


@dataclass(frozen=True, slots=True)
class FollowUpQuestion:
    """The question that ResponseAgent has asked, and the state of its turn."""

    question: str
    turn: TurnState
