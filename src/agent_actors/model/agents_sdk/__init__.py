"""A real model, by the OpenAI Agents SDK. Only this folder imports it, and only when it is used.

`agents` and `openai` take seconds to import. So this module names them for the type checker alone;
its siblings import them at their top, and are themselves imported in a thread.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agent_actors.clock import Clock
from agent_actors.model import Model, Prompt, SummaryPrompt
from agent_actors.model.endpoint import Endpoint
from agent_actors.protocol.messages import Reply
from agent_actors.settings import Settings

if TYPE_CHECKING:
    import httpx2
    from agents import Agent, Tool

    from agent_actors.model.agents_sdk.runner import AgentRunner

log = logging.getLogger(__name__)

Renew = Callable[[Endpoint], Awaitable[Endpoint | None]]
"""Asks for another key once one was refused; None where there is no other."""


@dataclass(frozen=True, slots=True)
class CustomAgent:
    """What a user of this library brings: an agent in place of the default one, and tools."""

    agent: "Agent[Any] | None" = None
    tools: "tuple[Tool, ...]" = ()

    @property
    def brings_its_model(self) -> bool:
        """Has the agent a model of its own, so that no key is needed?"""
        return self.agent is not None and not isinstance(self.agent.model, str | None)


class AgentsModel(Model):
    """Runs an agent of the SDK for every turn.

    Args:
        settings: The limits of a turn.
        clock: The time.
        endpoint: Where a model is asked for; None where the agent brings its own.
        own: The agent and the tools, where there are any.
        renew: Looks for another key.
        transport: Carries the requests in place of the network, for tests.
    """

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
        self._begin()

    async def stop(self) -> None:
        """Closes the connections, after the import if that is still running."""
        await self.loaded()
        if self._loading is not None and _worked(self._loading):
            await self._loading.result().close()

    async def loaded(self) -> None:
        """Returns when the import is over."""
        if self._loading is not None:
            await asyncio.wait({self._loading})

    def unready(self) -> str | None:
        """Whether the SDK is still being imported."""
        if self._loading is None or not self._loading.done():
            return "The model's library is being loaded."
        return None if _worked(self._loading) else "The model cannot be made ready; see the log."

    async def reply(self, prompt: Prompt) -> Reply:
        """The answer of one run of the agent; waits for the SDK to be there.

        Raises:
            ModelError: As `failures` says.
        """
        turns = await asyncio.shield(self._begin())
        return await turns.reply(prompt)

    async def summarise(self, digest: SummaryPrompt) -> str:
        """A summary by one call of the same model, without tools. Raises as `reply`."""
        turns = await asyncio.shield(self._begin())
        return await turns.summarise(digest)

    def _begin(self) -> "asyncio.Task[AgentRunner]":
        if self._loading is None:
            self._loading = asyncio.create_task(self._load(), name="load the model's library")
            self._loading.add_done_callback(_tell)
        return self._loading

    async def _load(self) -> "AgentRunner":
        return await asyncio.to_thread(self._turns)

    def _turns(self) -> "AgentRunner":
        from agent_actors.model.agents_sdk.connection import ModelConnection
        from agent_actors.model.agents_sdk.runner import AgentRunner

        connection = ModelConnection(
            self._settings, self._clock, self._endpoint, self._renew, self._transport
        )
        return AgentRunner(self._settings, self._clock, connection, self._own)


def _worked(loading: "asyncio.Task[AgentRunner]") -> bool:
    return not loading.cancelled() and loading.exception() is None


def _tell(loading: "asyncio.Task[AgentRunner]") -> None:
    if not loading.cancelled() and (error := loading.exception()) is not None:
        log.error("the model cannot be made ready: %s", type(error).__name__)
        log.debug("its trace", exc_info=error)
