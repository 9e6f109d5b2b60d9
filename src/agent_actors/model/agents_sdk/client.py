"""OpenAI's client, for servers that only resemble OpenAI's, and without its conversion of messages.

Answers of the chat API are rewritten into OpenAI's form before the library reads them.

The library (openai 3.54, `resources/chat/completions`) converts every message to find file fields
in it, by trying each form that a message may have. With a window of eight exchanges that took a
quarter of a turn's CPU time (docs/performance.md). The messages are already in the form of the
request, so they are sent in `extra_body`, which the library does not convert.
"""

from collections.abc import Mapping
from contextvars import ContextVar
from functools import cached_property
from typing import Any

import httpx2
from openai import AsyncOpenAI
from openai.resources.chat import AsyncChat
from openai.resources.chat.completions import AsyncCompletions

from agent_actors.model.dialects.returned import Json
from agent_actors.model.dialects.wire import rewrite

wanted_back: ContextVar[Mapping[str, tuple[Json, Json]]] = ContextVar("wanted_back", default={})  # noqa: B039 - never changed
"""What a vendor wants back with the tool calls of the request and beside them, by call id."""


class PlainClient(AsyncOpenAI):
    """Sends messages as they are, and reads every server's answers."""

    @cached_property
    def chat(self) -> AsyncChat:
        """The chat API."""
        return _Chat(self)

    async def _send_request(
        self, request: httpx2.Request, *, stream: bool, **options: Any
    ) -> httpx2.Response:
        # The library has no public hook between the network and its reading of a response. Its own
        # `stream=False` reads the body at once, also that of an error.
        if not request.url.path.endswith("/chat/completions"):
            return await super()._send_request(request, stream=stream, **options)
        response = await super()._send_request(request, stream=True, **options)
        return await rewrite(response, stream=stream)


class _Chat(AsyncChat):
    @cached_property
    def completions(self) -> AsyncCompletions:
        return _Completions(self._client)


class _Completions(AsyncCompletions):
    async def create(self, *, messages: Any, extra_body: Any = None, **options: Any) -> Any:
        body = {"messages": [_with_data(each) for each in messages], **(extra_body or {})}
        return await super().create(messages=[], extra_body=body, **options)


def _with_data(message: Any) -> Any:
    """A message whose tool calls have their vendor's data again.

    The SDK (openai-agents 0.24, `models/chatcmpl_converter.py`) keeps Gemini's `thought_signature`,
    and sends it only to models with `gemini` in their name, which an alias of a gateway lacks.
    """
    given = wanted_back.get()
    if not given or not message.get("tool_calls"):
        return message
    calls: list[Json] = []
    beside: Json = {}
    for call in message["tool_calls"]:
        own, around = given.get(call.get("id"), ({}, {}))
        calls.append({**call, **own})
        beside |= around
    return {**message, **beside, "tool_calls": calls}
