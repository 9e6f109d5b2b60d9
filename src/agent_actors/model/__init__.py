"""The model: what turns a prompt into a reply. `echo` needs no key and no network."""

from dataclasses import dataclass
from typing import Protocol

from agent_actors.messages import Exchange, Message, Reply


@dataclass(frozen=True, slots=True)
class Prompt:
    """Everything a model sees of a turn.

    `number` is the turn's number in its conversation, from 1; `memory` the user's entries, newest
    last; `window` the last exchanges of the conversation, oldest first.
    """

    conversation: str
    user: str
    turn_id: str
    number: int
    message: Message
    memory: tuple[Message, ...]
    window: tuple[Exchange, ...]


class Model(Protocol):
    """Answers a prompt.

    Raises from `reply`:
        ModelError: It failed or refused; nothing of the turn is kept.
    """

    async def reply(self, prompt: Prompt) -> Reply:
        """The answer."""
        ...
