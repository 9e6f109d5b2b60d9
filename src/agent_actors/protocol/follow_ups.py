"""A message that is followed up: what travels between the two agents, there and back."""

from dataclasses import dataclass

from agent_actors.protocol.messages import Turn, TurnState


@dataclass(frozen=True, slots=True)
class FollowUp:
    """`ResponseAgent.FollowUp`: ask the conversation a follow-up of this turn.

    `wait` is in seconds: what is left of the parking time.
    """

    conversation: str
    turn: Turn
    wait: float


@dataclass(frozen=True, slots=True)
class FollowUpResult:
    """`ChatAgent.AskFollowUp`: where the turn is and, once it is done, where its follow-up is."""

    turn: TurnState
    question: str = ""
    follow_up: TurnState | None = None


@dataclass(frozen=True, slots=True)
class FollowUpQuestion:
    """What ResponseAgent has asked, and where that turn is."""

    question: str
    turn: TurnState
