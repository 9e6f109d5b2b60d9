"""What is told on the topic `user-chat` beside answered turns."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class ConversationCleared:
    """A conversation was cleared up to turn number `upto`, and is to be forgotten."""

    version: int
    event_id: str
    event_type: Literal["ConversationCleared"]
    actor_id: str
    actor_type: str
    user_id: str
    upto: int
    occurred_at: str
    session_id: str | None = None
