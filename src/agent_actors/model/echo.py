"""The default model: repeats the message, with the entries of memory."""

from agent_actors.clock import Clock
from agent_actors.model import Model, Prompt
from agent_actors.protocol.messages import Reply

SHOWN = 80
"""Characters of an entry that are repeated. With more, replies would contain replies and grow."""


class EchoModel(Model):
    """Answers `Memory: <context>. Got your message: <content> at <ISO time>`.

    The context are the entries of memory; without any, the number of the turn.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def reply(self, prompt: Prompt) -> Reply:
        """Answers at once."""
        content, at = prompt.message.content, self._clock.now().isoformat()
        context = "; ".join(f"{entry.role}: {entry.content[:SHOWN]}" for entry in prompt.memory)
        context = context or f"Message count: {prompt.number}"
        return Reply(f"Memory: {context}. Got your message: {content} at {at}", model="echo")
