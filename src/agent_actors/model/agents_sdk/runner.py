"""Runs the agent for a turn, and calls the model alone for a summary."""

import logging
from dataclasses import replace
from typing import Any

from agents import Agent, ItemHelpers, ModelTracing, RunConfig, Runner
from agents.exceptions import ModelRefusalError
from agents.run_config import CallModelData, ModelInputData
from pydantic_core import to_json

from agent_actors.clock import Clock
from agent_actors.errors import ContextTooLong, ModelFailed, ModelTimedOut
from agent_actors.model import Prompt, SummaryPrompt
from agent_actors.model.agents_sdk import CustomAgent, failures
from agent_actors.model.agents_sdk.agent import build_agent
from agent_actors.model.agents_sdk.connection import ModelConnection
from agent_actors.model.agents_sdk.instructions import (
    SUMMED_UP,
    notes,
    summary_input,
    summary_instructions,
)
from agent_actors.model.agents_sdk.provider import ServerModels
from agent_actors.model.agents_sdk.tools import tool_error
from agent_actors.model.agents_sdk.transcript import BufferedSession, dump
from agent_actors.model.turn_context import TurnContext
from agent_actors.protocol.messages import Reply, Usage
from agent_actors.settings import Settings

log = logging.getLogger(__name__)

MOST_TOKENS = 2**40
"""Most tokens counted for a turn; a server may report any number."""


class AgentRunner:
    """Answers prompts with an agent; `close` closes the connection to the model's server."""

    def __init__(
        self, settings: Settings, clock: Clock, connection: ModelConnection, own: CustomAgent
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._connection = connection
        self._models = ServerModels(connection, stream=settings.model_stream)
        self._agent = build_agent(own, settings, clock)
        self._writer = Agent[Any]("summary", model=self._agent.model)

    async def reply(self, prompt: Prompt) -> Reply:
        """The answer of a run, with the items to save for later runs; raises as in `failures`.

        If the model's server finds the request too long, the run starts again with half the window,
        once, unless a tool has run already.
        """
        context = TurnContext(prompt.user, prompt.conversation, prompt.turn_id)
        try:
            return await self._run(prompt, context)
        except ContextTooLong:
            if not prompt.window or next(context.tool_calls) > 1:
                raise
        log.warning("the model takes fewer tokens than AGENT_ACTORS_WINDOW_TOKENS allows")
        half = prompt.window[(len(prompt.window) + 1) // 2 :]
        return await self._run(replace(prompt, window=half), context)

    async def _run(self, prompt: Prompt, context: TurnContext) -> Reply:
        known = notes(prompt)

        def append_notes(data: CallModelData[Any]) -> ModelInputData:
            own = data.model_data.instructions
            return ModelInputData(data.model_data.input, f"{own}\n\n{known}" if own else known)

        session = BufferedSession(prompt.conversation, prompt.window)
        config = RunConfig(
            model_provider=self._models,
            tracing_disabled=True,
            trace_include_sensitive_data=False,
            call_model_input_filter=append_notes,
            tool_error_formatter=tool_error,
            tool_not_found_behavior="return_error_to_model",
        )
        try:
            result = await Runner.run(
                self._agent,
                prompt.message.content,
                context=context,
                max_turns=self._settings.model_steps,
                run_config=config,
                session=session,
            )
        except failures.KNOWN as error:
            raise failures.failure(error, None, self._clock.now()) from None
        if result.interruptions:
            text = "A tool of the agent needs an approval, which nobody can give here."
            raise ModelFailed(text, retry="no")
        # An agent with an output type answers with an object of it.
        output = result.final_output
        text = output if isinstance(output, str) else to_json(output).decode()
        used = result.context_wrapper.usage
        usage = Usage(_tokens(used.input_tokens), _tokens(used.output_tokens))
        name = self._name(result.last_agent)
        return Reply(_not_empty(text), name, usage, dump(session.added()))

    async def summarise(self, digest: SummaryPrompt) -> str:
        """A summary, by one call without tools. Raises as `reply`."""
        if not digest.messages:
            return digest.previous
        # Without a run, which would take milliseconds of CPU time from turns.
        named = self._writer.model
        model = self._models.get_model(named) if isinstance(named, str | None) else named
        limit, text = self._settings.model_time, ""
        try:
            async with self._clock.timeout(limit):
                answer = await model.get_response(
                    summary_instructions(digest),
                    summary_input(digest),
                    self._writer.model_settings,
                    tools=[],
                    output_schema=None,
                    handoffs=[],
                    tracing=ModelTracing.DISABLED,
                    previous_response_id=None,
                    conversation_id=None,
                    prompt=None,
                )
            for item in answer.output:
                if refusal := ItemHelpers.extract_refusal(item):
                    raise ModelRefusalError(refusal)
                text += ItemHelpers.extract_text(item) or ""
        except TimeoutError:
            raise ModelTimedOut(f"The model gave no summary within {limit:g} s.") from None
        except failures.KNOWN as error:
            raise failures.failure(error, None, self._clock.now()) from None
        return _not_empty(text)[:SUMMED_UP]

    async def close(self) -> None:
        """Closes the connection."""
        await self._connection.close()

    def _name(self, agent: Agent[Any]) -> str:
        """The model that gave the answer."""
        if isinstance(agent.model, str | None):
            return agent.model or self._connection.default_model
        return str(getattr(agent.model, "model", type(agent.model).__name__))


def _tokens(reported: int) -> int:
    return min(max(reported, 0), MOST_TOKENS)


def _not_empty(text: str) -> str:
    if not text.strip():
        raise ModelFailed("The model's answer was empty.")
    return text
