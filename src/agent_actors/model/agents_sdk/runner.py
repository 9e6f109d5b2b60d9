"""Runs of the agent, one for each turn; and the model alone, for a summary."""

from typing import Any

from agents import Agent, ItemHelpers, ModelTracing, RunConfig, Runner, RunResult
from agents.exceptions import ModelRefusalError
from agents.run_config import CallModelData, ModelInputData
from pydantic_core import to_json

from agent_actors.clock import Clock
from agent_actors.errors import ModelFailed, ModelTimedOut
from agent_actors.model import Prompt, SummaryPrompt
from agent_actors.model.agents_sdk import CustomAgent, failures
from agent_actors.model.agents_sdk.agent import build_agent
from agent_actors.model.agents_sdk.connection import ModelConnection
from agent_actors.model.agents_sdk.instructions import SUMMED_UP, material, notes, summary_of
from agent_actors.model.agents_sdk.provider import ServerModels
from agent_actors.model.agents_sdk.tools import tool_error
from agent_actors.model.agents_sdk.transcript import BufferedSession, kept
from agent_actors.model.turn_context import TurnContext
from agent_actors.protocol.messages import Reply, Usage
from agent_actors.settings import Settings

MOST_TOKENS = 2**40
"""Tokens of a turn, at most."""


class AgentRunner:
    """Answers prompts with an agent.

    Args:
        settings: The limits of a turn.
        clock: The time.
        connection: The way to the model's server; it is closed with this.
        own: The agent and the tools, where there are any.
    """

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

    async def summarise(self, digest: SummaryPrompt) -> str:
        """A summary, by one call without tools. Raises as `reply`."""
        if not digest.messages:
            return digest.previous
        limit = self._settings.model_time
        try:
            async with self._clock.timeout(limit):
                text = await self._written(summary_of(digest), material(digest))
        except TimeoutError:
            raise ModelTimedOut(f"The model gave no summary within {limit:g} s.") from None
        return _not_empty(text)[:SUMMED_UP]

    async def close(self) -> None:
        """Closes the connection."""
        await self._connection.close()

    async def _written(self, instructions: str, said: str) -> str:
        # Straight from the model: a run for one call costs milliseconds that turns have to wait.
        named = self._writer.model
        model = self._models.get_model(named) if isinstance(named, str | None) else named
        settings, nothing = self._writer.model_settings, ModelTracing.DISABLED
        try:
            answer = await model.get_response(
                instructions,
                said,
                settings,
                [],
                None,
                [],
                nothing,
                previous_response_id=None,
                conversation_id=None,
                prompt=None,
            )
            return "".join(_text(item) for item in answer.output)
        except failures.KNOWN as error:
            raise failures.failure(error, None, self._clock.now()) from None

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
    return _not_empty(said if isinstance(said, str) else to_json(said).decode())


def _text(item: Any) -> str:
    if refusal := ItemHelpers.extract_refusal(item):
        raise ModelRefusalError(refusal)
    return ItemHelpers.extract_text(item) or ""


def _not_empty(text: str) -> str:
    if not text.strip():
        raise ModelFailed("The model's answer was empty.")
    return text
