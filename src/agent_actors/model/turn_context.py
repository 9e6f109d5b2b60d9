"""What the tools and guardrails of an agent know about the turn they run in."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count


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
    tool_calls: Iterator[int] = field(default_factory=lambda: count(1), repr=False, compare=False)
