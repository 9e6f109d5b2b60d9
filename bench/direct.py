"""The Agents SDK called without a service: what the same turns cost alone.

The agent is the service's default one and sees as many exchanges, which a list keeps. The only HTTP
requests are the model's, nothing is saved, and nothing is retried.

Run as `python -m bench.direct BASE_URL`; it takes the orders of `bench.load`.
"""

import asyncio
import sys
from collections import deque

import uvloop
from agents import Agent, OpenAIChatCompletionsModel, RunConfig, Runner
from agents.items import TResponseInputItem
from openai import AsyncOpenAI

from agent_actors.clock import SystemClock
from agent_actors.model.agents_sdk.instructions import AGENT
from agent_actors.model.agents_sdk.tools import current_time
from agent_actors.settings import Settings
from bench.aimock import MODEL
from bench.load import Burst, Order, run, take_orders
from bench.serve import tune_collector

SHOWN = 2 * Settings.model_fields["window_turns"].default
"""How many earlier messages the model sees."""


class Direct:
    """The agent, its client and the messages of each conversation.

    Args:
        base_url: The model's server.
    """

    def __init__(self, base_url: str) -> None:
        client = AsyncOpenAI(api_key="none", base_url=base_url, max_retries=0)
        self._agent = Agent(
            "assistant",
            instructions=AGENT,
            tools=[current_time(SystemClock())],
            model=OpenAIChatCompletionsModel(MODEL, client),
        )
        self._config = RunConfig(tracing_disabled=True)
        self._messages: dict[str, deque[TResponseInputItem]] = {}

    async def run(self, order: Order) -> Burst:
        """Runs an order; conversations continue from earlier orders."""

        async def send(conversation: str) -> bool:
            window = self._messages.setdefault(conversation, deque(maxlen=SHOWN))
            message: TResponseInputItem = {"role": "user", "content": order.content}
            asked = [*window, message]
            result = await Runner.run(self._agent, asked, run_config=self._config)
            window += (message, {"role": "assistant", "content": str(result.final_output)})
            return True

        return await run(order, send)


async def _work(base_url: str) -> None:
    direct = Direct(base_url)
    tune_collector()
    await take_orders(direct.run)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_work(sys.argv[1]))
