"""What the tools and guardrails of an agent know about the turn they run in."""

from dataclasses import dataclass, field


class ToolCallCount:
    """The number of tool calls in a turn."""

    def __init__(self) -> None:
        self.calls = 0

    def add(self) -> int:
        """Counts one call and returns its number, from 1."""
        self.calls += 1
        return self.calls


@dataclass(frozen=True, slots=True)
class TurnContext:
    """The turn that a tool or guardrail runs in: the context of the agent's run.

    A turn that runs again after a crash has the same `turn_id`, so a tool with an effect can use it
    as an idempotency key.

    Example:
        ```python
        from agents import RunContextWrapper, function_tool

        from agent_actors import TurnContext, create_app


        @function_tool
        async def order_pizza(ctx: RunContextWrapper[TurnContext], size: str) -> str:
            turn = ctx.context
            number = await shop.order(turn.user, size, idempotency_key=turn.turn_id)
            return f"Order {number}"


        app = create_app(tools=[order_pizza])
        ```

    Attributes:
        user: The user's id.
        conversation: The conversation's id.
        turn_id: The turn's id.
    """

    user: str
    conversation: str
    turn_id: str
    tool_calls: ToolCallCount = field(default_factory=ToolCallCount, repr=False, compare=False)
