"""The agent that runs: the default one, or a copy of the user's with limits on its tools."""

import copy
from typing import Any

from agents import Agent, Handoff, RunContextWrapper, Tool

from agent_actors.clock import Clock
from agent_actors.model.agents_sdk import CustomAgent
from agent_actors.model.agents_sdk.instructions import AGENT
from agent_actors.model.agents_sdk.tools import ToolLimits, current_time
from agent_actors.settings import Settings


def build_agent(own: CustomAgent, settings: Settings, clock: Clock) -> Agent[Any]:
    """The agent of a process. The user's agent is copied and never changed."""
    agent = own.agent
    if agent is None:
        ours = current_time(clock)
        replaced = ours.name in {tool.name for tool in own.tools}
        agent = Agent("assistant", instructions=AGENT, tools=[] if replaced else [ours])
    limits = ToolLimits(clock, settings.tool_time, settings.tool_calls, settings.tool_result_bytes)
    return _Copies(limits).of(agent.clone(tools=[*agent.tools, *own.tools]))


class _Copies:
    """Copies agents and those they hand off to, each agent once: handoffs may form a circle."""

    def __init__(self, limits: ToolLimits) -> None:
        self._limits = limits
        # By the original's `id`. The original is kept, so that its id is not reused.
        self._made: dict[int, tuple[Agent[Any], Agent[Any]]] = {}

    def of(self, agent: Agent[Any]) -> Agent[Any]:
        if id(agent) in self._made:
            return self._made[id(agent)][1]
        tools: list[Tool] = [self._limits.on(tool) for tool in agent.tools]
        made = agent.clone(tools=tools, handoffs=[])
        self._made[id(agent)] = (agent, made)
        made.handoffs = [self._handoff(handoff) for handoff in agent.handoffs]
        return made

    def _handoff(
        self, handoff: Agent[Any] | Handoff[Any, Agent[Any]]
    ) -> Agent[Any] | Handoff[Any, Agent[Any]]:
        if isinstance(handoff, Agent):
            return self.of(handoff)
        invoke = handoff.on_invoke_handoff

        async def on_invoke(context: RunContextWrapper[Any], arguments: str) -> Agent[Any]:
            returned = await invoke(context, arguments)
            made = self._made.get(id(returned))
            # An agent made on the spot is not kept.
            return made[1] if made else _Copies(self._limits).of(returned)

        limited = copy.copy(handoff)
        limited.on_invoke_handoff = on_invoke
        return limited
