"""A service whose agent may use tools of your own.

    export OPENAI_API_KEY=...  # or GEMINI_API_KEY, or AGENT_ACTORS_MODEL_BASE_URL
    .venv/bin/python examples/own_tools.py
    curl 127.0.0.1:8000/chat/ada --json '{"role": "user", "content": "Book a table for 4 at 8."}'

A tool is told whose turn it runs in. What it takes and gives has limits: AGENT_ACTORS_TOOL_TIME,
AGENT_ACTORS_TOOL_CALLS, AGENT_ACTORS_TOOL_RESULT_BYTES. If it fails, the model is told that it did.
"""

from typing import Annotated

import uvicorn
from agents import RunContextWrapper, function_tool

from agent_actors import TurnContext, create_app

TABLES: dict[tuple[str, str, int], int] = {}
"""Tables that are booked, by turn, time and guests. A real one would be in a database."""


@function_tool
async def book_table(
    context: RunContextWrapper[TurnContext],
    time: Annotated[str, "When, as HH:MM."],
    guests: Annotated[int, "How many will come."],
) -> str:
    """Books a table in the restaurant."""
    # Should the process die now, the turn runs again, by the same id: it must not book twice.
    turn = context.context
    number = TABLES.setdefault((turn.turn_id, time, guests), len(TABLES) + 1)
    return f"Table {number} is booked for {turn.user} at {time}, for {guests}."


def main() -> None:
    """Serves until it is stopped."""
    uvicorn.run(create_app(tools=[book_table]), host="127.0.0.1", port=8000)


if __name__ == "__main__":
    main()
