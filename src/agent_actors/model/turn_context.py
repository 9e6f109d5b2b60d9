"""What the tools and guardrails of an agent are told of the turn they run in."""

from dataclasses import dataclass, field


class ToolCallCount:
    """Tool calls that a turn has made."""

    def __init__(self) -> None:
        self.calls = 0

    def add(self) -> int:
        """Counts one more; returns which one it is, from 1."""
        self.calls += 1
        return self.calls


@dataclass(frozen=True, slots=True)
class TurnContext:
    """Whose turn it is: the context of an agent's run (`ctx.context` in a tool).

    A turn that is run again, since its process died, has the same `turn_id`: a tool that must act
    once remembers it.
    """

    user: str
    conversation: str
    turn_id: str
    counters: ToolCallCount = field(default_factory=ToolCallCount, repr=False, compare=False)
