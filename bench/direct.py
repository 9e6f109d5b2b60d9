"""The Agents SDK called without a service: what the same turns cost by themselves.

The agent is the service's default one, and it is shown as many exchanges; they are kept in a list.
There is no HTTP but the model's, nothing is saved, and nothing is sent twice.

Run as `python -m bench.direct BASE_URL`; it obeys the orders of `bench.load`.
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
from bench.load import Burst, Order, fulfil, obey
from bench.serve import calm_collector

SHOWN = 2 * Settings.model_fields["window_turns"].default
"""Messages before the last one that the model is shown."""


class Direct:
    """Agent, client, and what was said in each conversation.

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
        self._said: dict[str, deque[TResponseInputItem]] = {}

    async def carry_out(self, order: Order) -> Burst:
        """A conversation goes on where an earlier order has left it."""

        async def say(conversation: str) -> bool:
            window = self._said.setdefault(conversation, deque(maxlen=SHOWN))
            said: TResponseInputItem = {"role": "user", "content": order.says}
            asked = [*window, said]
            result = await Runner.run(self._agent, asked, run_config=self._config)
            window += (said, {"role": "assistant", "content": str(result.final_output)})
            return True

        return await fulfil(order, say)


async def _work(base_url: str) -> None:
    direct = Direct(base_url)
    calm_collector()
    await obey(direct.carry_out)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_work(sys.argv[1]))
