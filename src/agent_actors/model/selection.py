"""Selects the model that the settings describe; without a key that is `echo`."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from agent_actors.clock import Clock
from agent_actors.errors import AgentError, ModelFailed, StartupError
from agent_actors.model import Model, ModelDescription, Prompt, SummaryPrompt
from agent_actors.model.agents_sdk import AgentsModel, CustomAgent
from agent_actors.model.echo import EchoModel
from agent_actors.model.endpoint import Endpoint, EndpointFinder, GetSecret, require_served
from agent_actors.model.scripted import ScriptedModel
from agent_actors.protocol.messages import Reply
from agent_actors.settings import Settings
from agent_actors.settings.environment import require_model_client

if TYPE_CHECKING:
    from agents import Agent, Tool

log = logging.getLogger(__name__)

Build = Callable[[Endpoint], Model]
"""Makes the model of an endpoint."""
_UNREADABLE = (
    "The secret store cannot be read for a model's API key; see the log, and check"
    " AGENT_ACTORS_SECRET_STORE."
)


def choose_model(
    settings: Settings,
    clock: Clock,
    *,
    get_secret: GetSecret | None = None,
    agent: "Agent[Any] | None" = None,
    tools: "Sequence[Tool]" = (),
) -> Model:
    """The model of a process. `agent` replaces the default one; `tools` are added to its own.

    Raises:
        StartupError: The settings contradict each other, name a model that cannot be called, or a
            variable that the client of the model reads has a value that it cannot use.
    """
    if settings.model == "echo":
        return EchoModel(clock)
    if settings.model == "scripted":
        return ScriptedModel(clock)
    finder = EndpointFinder(settings, clock, get_secret)
    own = CustomAgent(agent, tuple(tools))
    if not own.brings_its_model:
        require_served(settings)
        _require_key(finder, settings, own)
    if finder.may_find:
        require_model_client()
    if own.brings_its_model:
        return AgentsModel(settings, clock, finder.from_environment(), own, finder.renew)
    return DeferredModel(
        finder,
        lambda endpoint: AgentsModel(settings, clock, endpoint, own, finder.renew),
        EchoModel(clock),
    )


def _require_key(finder: EndpointFinder, settings: Settings, own: CustomAgent) -> None:
    """A model that was asked for by name is not replaced by `echo`."""
    if finder.may_find:
        return
    if settings.model:
        raise StartupError(finder.no_key)
    if own.model_name:
        raise StartupError(
            f"The agent names the model {own.model_name!r}, but there is no API key for it;"
            f" {finder.hint}, or AGENT_ACTORS_MODEL=echo to try the service without one."
        )


class DeferredModel(Model):
    """Delegates to a model that is made when its key has been found; `fallback` needs none."""

    uses_history = True

    def __init__(self, finder: EndpointFinder, build: Build, fallback: Model) -> None:
        self._finder = finder
        self._build = build
        self._fallback = fallback
        self._model: Model | None = None
        self._selection: asyncio.Task[Model] | None = None
        self._problem = _UNREADABLE

    async def start(self) -> None:
        """Begins to look for the key."""
        self._begin()

    async def stop(self) -> None:
        """Stops looking, and stops the model."""
        if self._selection is not None:
            self._selection.cancel()
            await asyncio.gather(self._selection, return_exceptions=True)
        if self._model is not None:
            await self._model.stop()

    def unready(self) -> str | None:
        """Whether the secret store or the model itself is not ready."""
        if self._model is not None:
            return self._model.unready()
        if self._selection is not None and self._selection.done():
            return self._problem
        return "The secret store has not answered yet whether it has a model's API key."

    def describe(self) -> ModelDescription:
        """The model that was selected; without a name before that."""
        return self._model.describe() if self._model is not None else ModelDescription("")

    async def reply(self, prompt: Prompt) -> Reply:
        """The model's answer; waits until the model is selected."""
        return await (await self._selected()).reply(prompt)

    async def summarise(self, digest: SummaryPrompt) -> str:
        """The model's summary; waits until the model is selected."""
        return await (await self._selected()).summarise(digest)

    def _begin(self) -> "asyncio.Task[Model]":
        if self._selection is None:
            self._selection = asyncio.create_task(self._select(), name="select a model")
        return self._selection

    async def _selected(self) -> Model:
        """The model; raises `ModelFailed` if the secret store has no key, or cannot be read."""
        try:
            return await asyncio.shield(self._begin())
        except AgentError:
            raise ModelFailed(f"There is no model. {self._problem}", retry="no") from None

    async def _select(self) -> Model:
        try:
            endpoint = await self._finder.find()
        except AgentError as error:
            log.error("the secret store cannot be read for a model's API key: %s", error.detail)
            raise
        if endpoint is None and self._finder.named:
            self._problem = self._finder.no_key
            log.error("the secret store has no API key for the model: %s", self._problem)
            raise ModelFailed(self._problem, retry="no")
        if endpoint is None:
            log.warning(
                "no API key found: answering with the built-in echo model; %s", self._finder.hint
            )
            model, self.uses_history = self._fallback, self._fallback.uses_history
        else:
            model = self._build(endpoint)
        await model.start()
        self._model = model
        return model
