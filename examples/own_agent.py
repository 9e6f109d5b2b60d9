"""A service that answers with agents of your own, made with the OpenAI Agents SDK.

    export OPENAI_API_KEY=...  # or GEMINI_API_KEY, or AGENT_ACTORS_MODEL_BASE_URL
    .venv/bin/python examples/own_agent.py
    curl 127.0.0.1:8000/chat/ada --json '{"role": "user", "content": "What is in the soup?"}'

What is known of the user and of the conversation is appended to the instructions; an agent that
names no model gets the service's. The agents themselves are not changed.
"""

import uvicorn
from agents import Agent

from agent_actors import TurnContext, create_app

cook = Agent[TurnContext](
    "cook",
    handoff_description="Knows what is in every dish.",
    instructions="You are the cook. Today there is fish soup, with leek and cream.",
)
waiter = Agent[TurnContext](
    "waiter",
    instructions="You are a waiter. Be brief. Leave questions about the food to the cook.",
    handoffs=[cook],
)


def main() -> None:
    """Serves until it is stopped."""
    uvicorn.run(create_app(agent=waiter), host="127.0.0.1", port=8000)


if __name__ == "__main__":
    main()
