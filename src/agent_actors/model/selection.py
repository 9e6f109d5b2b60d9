"""The model that the settings ask for; without a key it is `echo`."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from agent_actors.clock import Clock
from agent_actors.errors import AgentError, ModelFailed
from agent_actors.model import Model, Prompt, SummaryPrompt
from agent_actors.model.agents_sdk import AgentsModel, CustomAgent
from agent_actors.model.echo import EchoModel
from agent_actors.model.endpoint import Endpoint, EndpointFinder, GetSecret
from agent_actors.model.scripted import ScriptedModel
from agent_actors.protocol.messages import Reply
from agent_actors.settings import Settings

if TYPE_CHECKING:
    from agents import Agent, Tool

log = logging.getLogger(__name__)

Build = Callable[[Endpoint | None], Model]
"""Makes the model that asks there; None where the agent brings a model of its own."""


def choose_model(
    settings: Settings,
    clock: Clock,
    *,
    get_secret: GetSecret | None = None,
    agent: "Agent[Any] | None" = None,
    tools: "Sequence[Tool]" = (),
) -> Model:
    """The model of a process.

    Args:
        settings: Which one, and its limits.
        clock: The time.
        get_secret: Reads a secret store, where one is configured.
        agent: Answers in place of the default agent.
        tools: What the agent may use besides its own.

    Raises:
        StartupError: The settings contradict each other.
    """
    if settings.model == "echo":
        return EchoModel(clock)
    if settings.model == "scripted":
        return ScriptedModel(clock)
    finder = EndpointFinder(settings, clock, get_secret)
    own = CustomAgent(agent, tuple(tools))

    def build(endpoint: Endpoint | None) -> Model:
        return AgentsModel(settings, clock, endpoint, own, finder.renew)

    if own.brings_its_model:
        return build(finder.from_environment())
    return DeferredModel(finder, build, EchoModel(clock))


class DeferredModel(Model):
    """The model there is a key for, once that is known; else the last resort.

    Args:
        finder: Finds the server and its key.
        build: Makes the model that uses it.
        otherwise: Answers where there is no key.
    """

    uses_history = True

    def __init__(self, finder: EndpointFinder, build: Build, otherwise: Model) -> None:
        self._finder = finder
        self._build = build
        self._otherwise = otherwise
        self._model: Model | None = None
        self._choosing: asyncio.Task[Model] | None = None

    async def start(self) -> None:
        """Begins to look for the key."""
        self._begin()

    async def stop(self) -> None:
        """Looks no longer, and stops the model."""
        if self._choosing is not None:
            self._choosing.cancel()
            await asyncio.gather(self._choosing, return_exceptions=True)
        if self._model is not None:
            await self._model.stop()

    def unready(self) -> str | None:
        """Why it cannot answer yet: the secret store, or the model itself."""
        if self._model is not None:
            return self._model.unready()
        if self._choosing is not None and self._choosing.done():
            return "The secret store cannot be asked for a model's key; see the log."
        return "The secret store has not said yet whether there is a key for a model."

    async def reply(self, prompt: Prompt) -> Reply:
        """The chosen model's answer, once one is chosen."""
        return await (await self._chosen()).reply(prompt)

    async def summarise(self, digest: SummaryPrompt) -> str:
        """The chosen model's summary, once one is chosen."""
        return await (await self._chosen()).summarise(digest)

    def _begin(self) -> "asyncio.Task[Model]":
        if self._choosing is None:
            self._choosing = asyncio.create_task(self._choose(), name="choose a model")
        return self._choosing

    async def _chosen(self) -> Model:
        """The model.

        Raises:
            ModelFailed: There is none, since the secret store cannot be asked.
        """
        try:
            return await asyncio.shield(self._begin())
        except AgentError:
            raise ModelFailed(
                "There is no model: the secret store cannot be asked for a key; look at"
                " AGENT_ACTORS_SECRET_STORE.",
                retry="no",
            ) from None

    async def _choose(self) -> Model:
        try:
            endpoint = await self._finder.find()
        except AgentError as error:
            log.error("the secret store cannot be asked for a model's key: %s", error.detail)
            raise
        if endpoint is None:
            log.warning("no key for a model, so it is `echo` that answers: %s", self._finder.hint)
            model, self.uses_history = self._otherwise, self._otherwise.uses_history
        else:
            model = self._build(endpoint)
        await model.start()
        self._model = model
        return model
