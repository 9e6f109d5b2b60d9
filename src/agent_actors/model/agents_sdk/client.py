"""OpenAI's client, without its look into every message.

The library runs each message through every form that a message may have, to find files in it. With
a window of eight exchanges that took a quarter of a turn's time (docs/performance.md). The messages
here are already what is sent; so they go as a part of the body that the library leaves as it is.
"""

from functools import cached_property
from typing import Any

from openai import AsyncOpenAI
from openai.resources.chat import AsyncChat
from openai.resources.chat.completions import AsyncCompletions


class PlainClient(AsyncOpenAI):
    """Sends messages as they are."""

    @cached_property
    def chat(self) -> AsyncChat:
        """The chat API."""
        return _Chat(self)


class _Chat(AsyncChat):
    @cached_property
    def completions(self) -> AsyncCompletions:
        return _Completions(self._client)


class _Completions(AsyncCompletions):
    async def create(self, *, messages: Any, extra_body: Any = None, **options: Any) -> Any:
        body = {"messages": list(messages), **(extra_body or {})}
        return await super().create(messages=[], extra_body=body, **options)
