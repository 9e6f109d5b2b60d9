"""OpenAI's client without its conversion of messages.

The library (openai 3.54, `resources/chat/completions`) converts every message to find file fields
in it, by trying each form that a message may have. With a window of eight exchanges that took a
quarter of a turn's CPU time (docs/performance.md). The messages are already in the form of the
request, so they are sent in `extra_body`, which the library does not convert.
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
