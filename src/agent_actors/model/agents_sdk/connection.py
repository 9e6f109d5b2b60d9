"""The way to the model's server: one client for the process, and its key."""

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import TypeVar

import httpx2
from agents.models.default_models import get_default_model
from openai import AsyncOpenAI, DefaultAsyncHttpx2Client

from agent_actors.clock import Clock
from agent_actors.errors import ModelFailed
from agent_actors.model.agents_sdk import Renew, failures
from agent_actors.model.agents_sdk.chat_model import ChatModel
from agent_actors.model.agents_sdk.client import PlainClient
from agent_actors.model.endpoint import GEMINI, OPENAI, Endpoint
from agent_actors.settings import Settings

R = TypeVar("R")

CONNECT = 5.0
"""Seconds that a connection may take to be made."""
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 8.0
"""Seconds before a call is sent again; doubles from the first to the longest, with jitter."""
LONGEST_WAIT = 30.0
"""A server that asks to wait longer than this is not waited for."""


class ModelConnection:
    """Sends calls, and sends those again that the server surely did not take.

    Args:
        settings: How often, and the model time.
        clock: Paces the tries.
        endpoint: Where to; None where there is no key.
        renew: Looks for another key once one was refused.
        transport: Carries the requests in place of the network, for tests.
        random: Where the jitter comes from.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        endpoint: Endpoint | None,
        renew: Renew | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
        random: Random | None = None,
    ) -> None:
        self.endpoint = endpoint
        self._clock = clock
        self._retries = settings.model_retries
        self._renew = renew
        self._random = random or Random()  # noqa: S311 - jitter is no secret
        self._renewing = asyncio.Lock()
        self._client = _client(endpoint, settings.model_time, transport) if endpoint else None

    @property
    def default_model(self) -> str:
        """The model that is asked where an agent names none."""
        return (self.endpoint.model if self.endpoint else "") or get_default_model()

    @property
    def official(self) -> bool:
        """Is it OpenAI's own server?"""
        return self.endpoint is not None and self.endpoint.base_url == OPENAI.base_url

    @property
    def provider(self) -> str:
        """Who that is, in OpenTelemetry's words; a server of one's own speaks as OpenAI's does."""
        gemini = self.endpoint is not None and self.endpoint.base_url == GEMINI.base_url
        return "gcp.gemini" if gemini else "openai"

    async def send(self, name: str, ask: Callable[[ChatModel], Awaitable[R]]) -> R:
        """What the server answers; nothing that may have been paid for is asked for twice.

        Raises:
            ModelError: It failed, and will again.
        """
        sent, renewed = 0, False
        while True:
            endpoint, model = self._model(name)
            try:
                return await ask(model)
            except (*failures.KNOWN, *failures.MISREAD) as error:
                pause = self._pause(error, sent)
                if failures.key_refused(error) and not renewed:
                    renewed = await self._renewed(endpoint)
                    pause = 0.0 if renewed else None
                if pause is None:
                    now = self._clock.now()
                    raise failures.failure(error, endpoint, now) from None
            await self._clock.sleep(pause)
            sent += 1

    async def close(self) -> None:
        """Closes the client."""
        if self._client is not None:
            await self._client.close()

    def _model(self, name: str) -> tuple[Endpoint, ChatModel]:
        if self.endpoint is None or self._client is None:
            raise ModelFailed("The agent names a model, but there is no key; set OPENAI_API_KEY.")
        return self.endpoint, ChatModel(name, self._client, self._clock)

    def _pause(self, error: Exception, sent: int) -> float | None:
        """Seconds before it is sent again, or None if it must not be."""
        asked = failures.retry_after(error, self._clock.now()) or 0.0
        if sent >= self._retries or asked > LONGEST_WAIT or not failures.worth_repeating(error):
            return None
        backoff = min(FIRST_PAUSE * 2.0**sent, LONGEST_PAUSE)
        return max(asked, backoff * self._random.uniform(0.5, 1.0))

    async def _renewed(self, refused: Endpoint) -> bool:
        """Is there another key by now?"""
        async with self._renewing:
            if self.endpoint is not refused:
                return True
            fresh = await self._renew(refused) if self._renew else None
            if fresh is None or self._client is None:
                return False
            self.endpoint = fresh
            self._client = self._client.with_options(api_key=fresh.key.get_secret_value())
            return True


def _client(
    endpoint: Endpoint, model_time: float, transport: httpx2.AsyncBaseTransport | None
) -> AsyncOpenAI:
    # Not openai's aiohttp transport, although it is faster: it reports a connection that was lost
    # after the request as one that was never made, and such a call would be paid for twice.
    timeout = httpx2.Timeout(model_time, connect=CONNECT)
    return PlainClient(
        api_key=endpoint.key.get_secret_value(),
        base_url=endpoint.base_url,
        max_retries=0,
        timeout=timeout,
        http_client=DefaultAsyncHttpx2Client(transport=transport),
    )
