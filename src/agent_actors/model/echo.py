"""The default model: repeats the message, with the entries of memory."""

from agent_actors.clock import Clock
from agent_actors.model import Model, Prompt
from agent_actors.protocol.messages import Reply

SHOWN = 80
"""Characters of an entry that are repeated. With more, replies would contain replies and grow."""


class EchoModel(Model):
    """Answers `Memory: <context>. Got your message: <content> at <ISO time>`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def reply(self, prompt: Prompt) -> Reply:
        """Answers at once."""
        content, at = prompt.message.content, self._clock.now().isoformat()
        text = f"Memory: {context(prompt)}. Got your message: {content} at {at}"
        return Reply(text, model="echo")


def context(prompt: Prompt) -> str:
    """The entries of memory; without any, the number of the turn."""
    if not prompt.memory:
        return f"Message count: {prompt.number}"
    return "; ".join(f"{entry.role}: {entry.content[:SHOWN]}" for entry in prompt.memory)
