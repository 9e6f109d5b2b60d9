"""The default model: says back what it heard, with what memory holds."""

from agent_actors.clock import Clock
from agent_actors.model import Model, Prompt
from agent_actors.protocol.messages import Reply

SHOWN = 80
"""Characters of an entry that are repeated; more would let replies contain replies, and grow."""


class EchoModel(Model):
    """`Memory: <context>. Got your message: <content> at <ISO time>`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def reply(self, prompt: Prompt) -> Reply:
        """The answer, at once."""
        at = self._clock.now().isoformat()
        said = prompt.message.content
        text = f"Memory: {context(prompt)}. Got your message: {said} at {at}"
        return Reply(text, model="echo")


def context(prompt: Prompt) -> str:
    """The memory's entries, or this turn's number when there is no memory yet."""
    if not prompt.memory:
        return f"Message count: {prompt.number}"
    return "; ".join(f"{entry.role}: {entry.content[:SHOWN]}" for entry in prompt.memory)
