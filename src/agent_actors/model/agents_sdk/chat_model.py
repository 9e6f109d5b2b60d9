"""A chat model that detects answers that are cut off or malformed.

The SDK requires a finish reason only from api.openai.com (openai-agents 0.24,
`models/openai_chatcompletions.py`: `require_finish_reason`). From any other server it takes a
stream that breaks off for the whole answer.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Any

from agents import OpenAIChatCompletionsModel
from agents.exceptions import ModelBehaviorError
from openai import AsyncOpenAI, AsyncStream
from openai.types.chat import ChatCompletion, ChatCompletionChunk, ChatCompletionMessage

from agent_actors.clock import Clock
from agent_actors.errors import ModelFailed, ModelTimedOut
from agent_actors.model.agents_sdk import failures

STALL = 30.0
"""Longest time between two chunks of a stream, in seconds."""


class ChatModel(OpenAIChatCompletionsModel):
    """The SDK's model over the chat API, which every vendor has."""

    def __init__(self, name: str, client: AsyncOpenAI, clock: Clock) -> None:
        super().__init__(name, client)
        self._clock = clock

    async def _fetch_response(self, *args: Any, stream: bool = False, **options: Any) -> Any:
        # The SDK has no public hook between the server's answer and its own parsing.
        fetched = await super()._fetch_response(*args, stream=stream, **options)  # type: ignore[call-overload]
        if not stream:
            return _checked(fetched)
        response, chunks = fetched
        return response, _complete(chunks, self._clock)


def _checked(fetched: Any) -> ChatCompletion:
    """The answer, if it is one: the library makes a `ChatCompletion` of any JSON."""
    if isinstance(fetched, ChatCompletion) and fetched.choices:
        _check_filter(fetched.choices)
        message = getattr(fetched.choices[0], "message", None)
        if isinstance(message, ChatCompletionMessage):
            return fetched
    raise ModelBehaviorError("not a chat completion")


async def _complete(
    chunks: AsyncStream[ChatCompletionChunk], clock: Clock
) -> AsyncIterator[ChatCompletionChunk]:
    """The chunks, and an error if the stream stalls or the last ones are missing."""
    finished = False
    try:
        chunk = await anext(chunks, None)  # The first one may take the whole model time.
        while chunk is not None:
            _check_filter(chunk.choices)
            if any(choice.finish_reason for choice in chunk.choices):
                finished = True
            elif not chunk.choices and chunk.usage is not None:
                finished = True  # Some servers send the usage instead of a finish reason.
            yield chunk
            try:
                async with clock.timeout(STALL):
                    chunk = await anext(chunks, None)
            except TimeoutError:
                raise ModelTimedOut(f"The model's stream stalled for {STALL:g} s.") from None
    finally:
        await chunks.close()
    if not finished:
        raise ModelBehaviorError("the stream ended before the answer did")


def _check_filter(choices: Sequence[Any]) -> None:
    """Rejects an answer that a content filter has cut."""
    if any(getattr(each, "finish_reason", None) == "content_filter" for each in choices):
        raise ModelFailed(failures.REFUSED, retry="no")
