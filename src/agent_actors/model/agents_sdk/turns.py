"""Runs of the agent: one for a turn, one for a summary."""

from typing import Any

from agents import Agent, RunConfig, Runner, RunResult
from agents.run_config import CallModelData, ModelInputData
from pydantic_core import to_json

from agent_actors.clock import Clock
from agent_actors.errors import ModelFailed, ModelTimedOut
from agent_actors.messages import Reply, Usage
from agent_actors.model import Digest, Prompt
from agent_actors.model.agents_sdk import Own, failures
from agent_actors.model.agents_sdk.connection import Connection
from agent_actors.model.agents_sdk.guarded import Models
from agent_actors.model.agents_sdk.instructions import SUMMED_UP, material, notes, summary_of
from agent_actors.model.agents_sdk.prepared import prepared
from agent_actors.model.agents_sdk.tools import tool_error
from agent_actors.model.agents_sdk.transcript import BufferedSession, kept
from agent_actors.model.turn_context import TurnContext
from agent_actors.settings import Settings

MOST_TOKENS = 2**40
"""Tokens of a turn, at most."""


class Turns:
    """Answers prompts with an agent.

    Args:
        settings: The limits of a turn.
        clock: The time.
        connection: The way to the model's server; it is closed with this.
        own: The agent and the tools, where there are any.
    """

    def __init__(self, settings: Settings, clock: Clock, connection: Connection, own: Own) -> None:
        self._settings = settings
        self._clock = clock
        self._connection = connection
        self._models = Models(connection, stream=settings.model_stream)
        self._agent = prepared(own, settings, clock)

    async def reply(self, prompt: Prompt) -> Reply:
        """The answer of a run, with what the run leaves for the next one.

        Raises:
            ModelError: As `failures` says.
        """
        session = BufferedSession(prompt.conversation, prompt.window)
        context = TurnContext(prompt.user, prompt.conversation, prompt.turn_id)
        result = await self._run(
            self._agent,
            prompt.message.content,
            self._config(prompt),
            context=context,
            session=session,
            max_turns=self._settings.model_steps,
        )
        used = result.context_wrapper.usage
        return Reply(
            _content(result),
            self._name(result.last_agent),
            Usage(_tokens(used.input_tokens), _tokens(used.output_tokens)),
            kept(session.left()),
        )

    async def summarise(self, digest: Digest) -> str:
        """A summary, by one call without tools. Raises as `reply`."""
        if not digest.said:
            return digest.previous
        writer = Agent[Any]("summary", instructions=summary_of(digest), model=self._agent.model)
        limit = self._settings.model_time
        try:
            async with self._clock.timeout(limit):
                result = await self._run(writer, material(digest), self._config(), max_turns=1)
        except TimeoutError:
            raise ModelTimedOut(f"The model gave no summary within {limit:g} s.") from None
        return _content(result)[:SUMMED_UP]

    async def close(self) -> None:
        """Closes the connection."""
        await self._connection.close()

    async def _run(
        self, agent: Agent[Any], said: str, config: RunConfig, **options: Any
    ) -> RunResult:
        try:
            return await Runner.run(agent, said, run_config=config, **options)
        except failures.KNOWN as error:
            raise failures.failure(error, None, self._clock.now()) from None

    def _config(self, prompt: Prompt | None = None) -> RunConfig:
        """How every agent of a run is run; the notes are added to whatever each is told."""
        return RunConfig(
            model_provider=self._models,
            tracing_disabled=True,
            trace_include_sensitive_data=False,
            call_model_input_filter=_Noted(notes(prompt)) if prompt else None,
            tool_error_formatter=tool_error,
            tool_not_found_behavior="return_error_to_model",
        )

    def _name(self, agent: Agent[Any]) -> str:
        """The model that gave the answer."""
        if isinstance(agent.model, str | None):
            return agent.model or self._connection.default_model
        return str(getattr(agent.model, "model", type(agent.model).__name__))


class _Noted:
    """Appends the notes to the instructions of an agent, own ones included."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __call__(self, data: CallModelData[Any]) -> ModelInputData:
        told = data.model_data.instructions
        text = f"{told}\n\n{self._text}" if told else self._text
        return ModelInputData(data.model_data.input, text)


def _tokens(told: int) -> int:
    """A number of tokens that can be: a server may say anything."""
    return min(max(told, 0), MOST_TOKENS)


def _content(result: RunResult) -> str:
    """The answer as text; JSON where the agent answers with a type of its own."""
    if result.interruptions:
        raise ModelFailed("A tool of the agent asks for an approval, and nobody can give it.")
    said = result.final_output
    text = said if isinstance(said, str) else to_json(said).decode()
    if not text.strip():
        raise ModelFailed("The model's answer was empty.")
    return text
