"""A real model, by the OpenAI Agents SDK. Only this package imports the SDK.

`agents` and `openai` take seconds to import. So this module imports them for the type checker only,
and imports its siblings, which need them, in a thread when the model starts.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from agent_actors.clock import Clock
from agent_actors.model import Model, ModelDescription, Prompt, SummaryPrompt
from agent_actors.model.endpoint import Endpoint
from agent_actors.protocol.messages import Reply
from agent_actors.settings import Settings

if TYPE_CHECKING:
    import httpx2
    from agents import Agent, Tool

    from agent_actors.model.agents_sdk.runner import AgentRunner

log = logging.getLogger(__name__)

Renew = Callable[[Endpoint], Awaitable[Endpoint | None]]
"""Finds another key after one was refused; None if there is no other."""


@dataclass(frozen=True, slots=True)
class CustomAgent:
    """A user's agent in place of the default one, and a user's tools."""

    agent: "Agent[Any] | None" = None
    tools: "tuple[Tool, ...]" = ()

    @property
    def brings_its_model(self) -> bool:
        """Whether the agent has a model object, so that no key is needed."""
        return self.agent is not None and not isinstance(self.agent.model, str | None)

    @property
    def model_name(self) -> str:
        """The name of the model that the agent asks for, if it does."""
        model = self.agent.model if self.agent is not None else None
        return model if isinstance(model, str) else ""

    def describe(self) -> ModelDescription:
        """The model that the agent brings."""
        model = self.agent.model if self.agent is not None else None
        return ModelDescription(str(getattr(model, "model", type(model).__name__)), own=True)


class AgentsModel(Model):
    """Runs an agent of the SDK for every turn; `endpoint` is None if the agent brings a model."""

    uses_history = True

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        endpoint: Endpoint | None,
        own: CustomAgent = CustomAgent(),
        renew: Renew | None = None,
        *,
        transport: "httpx2.AsyncBaseTransport | None" = None,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._endpoint = endpoint
        self._own = own
        self._renew = renew
        self._transport = transport
        self._loading: asyncio.Task[AgentRunner] | None = None

    async def start(self) -> None:
        """Begins to import the SDK."""
        self._load()

    async def stop(self) -> None:
        """Closes the connections, after the import if that still runs."""
        await self.loaded()
        if self._loading is not None and _succeeded(self._loading):
            await self._loading.result().close()

    async def loaded(self) -> None:
        """Waits until the import has ended."""
        if self._loading is not None:
            await asyncio.wait({self._loading})

    def unready(self) -> str | None:
        """Whether the SDK is being imported, or could not be."""
        if self._loading is None or not self._loading.done():
            return "The model's library is being loaded."
        if _succeeded(self._loading):
            return None
        return "The model's library could not be loaded; see the log."

    def describe(self) -> ModelDescription:
        """The agent's own model, or the model of the endpoint; an agent may name another there."""
        if self._endpoint is None or self._own.brings_its_model:
            return self._own.describe()
        found = self._endpoint.describe()
        return replace(found, name=self._own.model_name or found.name)

    async def reply(self, prompt: Prompt) -> Reply:
        """The answer of one run of the agent; waits for the import. Errors are as in `failures`."""
        runner = await asyncio.shield(self._load())
        return await runner.reply(prompt)

    async def summarise(self, digest: SummaryPrompt) -> str:
        """A summary by one call of the same model without tools. Raises as `reply`."""
        runner = await asyncio.shield(self._load())
        return await runner.summarise(digest)

    def _load(self) -> "asyncio.Task[AgentRunner]":
        if self._loading is None:
            work = asyncio.to_thread(self._make_runner)
            self._loading = asyncio.create_task(work, name="load the model's library")
            self._loading.add_done_callback(_log_failure)
        return self._loading

    def _make_runner(self) -> "AgentRunner":
        from agent_actors.model.agents_sdk.connection import ModelConnection
        from agent_actors.model.agents_sdk.runner import AgentRunner

        connection = ModelConnection(
            self._settings, self._clock, self._endpoint, self._renew, self._transport
        )
        return AgentRunner(self._settings, self._clock, connection, self._own)


def _succeeded(loading: "asyncio.Task[AgentRunner]") -> bool:
    return not loading.cancelled() and loading.exception() is None


def _log_failure(loading: "asyncio.Task[AgentRunner]") -> None:
    if not loading.cancelled() and (error := loading.exception()) is not None:
        log.error("could not load the model's library: %s", type(error).__name__)
        log.debug("its trace", exc_info=error)
