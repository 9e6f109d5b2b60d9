"""The connection to the model's server: one client for the process, and its key."""

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
"""Longest time to connect, in seconds."""
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 8.0
"""Seconds before a call is sent again; the pause doubles up to the longest, with jitter."""
LONGEST_WAIT = 30.0
"""Longest `Retry-After` that is obeyed, in seconds; beyond it the call fails at once."""


class ModelConnection:
    """Sends calls, and repeats those that the server has certainly not processed.

    `endpoint` is None if there is no key; `random` is the source of the jitter.
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
        self._client: AsyncOpenAI | None = None
        if endpoint is not None:
            # Not openai's aiohttp transport, although it is faster: it turns any
            # ClientConnectionError into ConnectTimeout (openai 3.54,
            # `_vendor/httpx_aiohttp/transport.py`), also after the request was sent. Such a call
            # would be repeated, and charged twice.
            self._client = PlainClient(
                api_key=endpoint.key.get_secret_value(),
                base_url=endpoint.base_url,
                max_retries=0,
                timeout=httpx2.Timeout(settings.model_time, connect=CONNECT),
                # Another host would get the conversation, and nobody has named it.
                http_client=DefaultAsyncHttpx2Client(transport=transport, follow_redirects=False),
            )

    @property
    def default_model(self) -> str:
        """The model for an agent that names none."""
        return (self.endpoint.model if self.endpoint else "") or get_default_model()

    @property
    def official(self) -> bool:
        """Whether the server is OpenAI's own."""
        return self.endpoint is not None and self.endpoint.base_url == OPENAI.base_url

    @property
    def provider(self) -> str:
        """The vendor's name in OpenTelemetry's conventions; any compatible server is `openai`."""
        gemini = self.endpoint is not None and self.endpoint.base_url == GEMINI.base_url
        return "gcp.gemini" if gemini else "openai"

    async def send(self, name: str, call: Callable[[ChatModel], Awaitable[R]]) -> R:
        """Calls a model, and again if that may help; a call that may be charged is not repeated."""
        sent, renewed = 0, False
        while True:
            endpoint = self.endpoint
            if endpoint is None or self._client is None:
                raise ModelFailed(
                    "The agent names a model, but there is no API key: set OPENAI_API_KEY."
                )
            try:
                return await call(ChatModel(name, self._client, self._clock))
            except failures.KNOWN as error:
                pause = self._pause(error, sent)
                if failures.key_refused(error) and not renewed:
                    renewed = await self._renewed(endpoint)
                    pause = 0.0 if renewed else None
                if pause is None:
                    raise failures.failure(error, endpoint, self._clock.now()) from None
            await self._clock.sleep(pause)
            sent += 1

    async def close(self) -> None:
        """Closes the client."""
        if self._client is not None:
            await self._client.close()

    def _pause(self, error: Exception, sent: int) -> float | None:
        """Seconds before the call is sent again, or None if it must not be."""
        wanted = failures.retry_after(error, self._clock.now()) or 0.0
        if sent >= self._retries or wanted > LONGEST_WAIT or not failures.worth_repeating(error):
            return None
        backoff = min(FIRST_PAUSE * 2.0**sent, LONGEST_PAUSE)
        return max(wanted, backoff * self._random.uniform(0.5, 1.0))

    async def _renewed(self, refused: Endpoint) -> bool:
        """Whether there is another key after this one was refused."""
        async with self._renewing:
            if self.endpoint is not refused:
                return True
            fresh = await self._renew(refused) if self._renew else None
            if fresh is None or self._client is None:
                return False
            self.endpoint = fresh
            self._client = self._client.with_options(api_key=fresh.key.get_secret_value())
            return True
