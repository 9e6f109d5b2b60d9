"""The default model: repeats the message, with the entries of memory."""

from agent_actors.clock import Clock
from agent_actors.model import Model, ModelDescription, Prompt
from agent_actors.protocol.messages import Message, Reply

SHOWN = 80
"""Characters of an entry that are repeated."""
_BEGIN = "Memory: "


class EchoModel(Model):
    """Answers `Memory: <context>. Got your message: <content> at <ISO time>`.

    The context are the entries of memory, but for replies of this model: they would show what they
    have shown before, and hide what the user has said. Without any, it is the number of the turn.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def describe(self) -> ModelDescription:
        """It is a model of the settings."""
        return ModelDescription("echo")

    async def reply(self, prompt: Prompt) -> Reply:
        """Answers at once."""
        content, at = prompt.message.content, self._clock.now().isoformat()
        shown = (each for each in prompt.memory if not _is_echo(each))
        context = "; ".join(f"{entry.role}: {entry.content[:SHOWN]}" for entry in shown)
        context = context or f"Message count: {prompt.number}"
        return Reply(f"{_BEGIN}{context}. Got your message: {content} at {at}", model="echo")


def _is_echo(entry: Message) -> bool:
    return entry.role == "assistant" and entry.content.startswith(_BEGIN)
