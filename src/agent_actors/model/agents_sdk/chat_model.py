"""A chat model that notices when an answer was cut off, or is none.

The SDK asks for a finish reason only at OpenAI's own address; anywhere else a stream that ends in
the middle passes for the whole answer.
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
"""Seconds that a stream may say nothing once it has begun."""


class ChatModel(OpenAIChatCompletionsModel):
    """The SDK's model over the chat API, which every vendor has.

    Args:
        name: The model's name.
        client: Asks the server.
        clock: For streams that stall.
    """

    def __init__(self, name: str, client: AsyncOpenAI, clock: Clock) -> None:
        super().__init__(name, client)
        self._clock = clock

    async def _fetch_response(self, *args: Any, stream: bool = False, **options: Any) -> Any:
        # The SDK has no public place between the server's answer and its own reading of it.
        fetched = await super()._fetch_response(*args, stream=stream, **options)  # type: ignore[call-overload]
        if not stream:
            return _an_answer(fetched)
        response, chunks = fetched
        return response, _to_the_end(chunks, self._clock)


def _an_answer(fetched: Any) -> ChatCompletion:
    """The same, if it has the form of an answer: the library builds it from any JSON."""
    if isinstance(fetched, ChatCompletion) and fetched.choices:
        _check_filter(fetched.choices)
        message = getattr(fetched.choices[0], "message", None)
        if isinstance(message, ChatCompletionMessage):
            return fetched
    raise ModelBehaviorError("not a chat completion")


async def _to_the_end(
    chunks: AsyncStream[ChatCompletionChunk], clock: Clock
) -> AsyncIterator[ChatCompletionChunk]:
    """The same chunks; an error at the end where the last ones are missing."""
    finished = False
    try:
        async for chunk in _steadily(chunks, clock):
            _check_filter(chunk.choices)
            finished = finished or _finishes(chunk)
            yield chunk
    finally:
        await chunks.close()
    if not finished:
        raise ModelBehaviorError("the stream ended before the answer did")


def _check_filter(choices: Sequence[Any]) -> None:
    """Refuses what a filter has cut: the rest of it is no answer."""
    if any(getattr(each, "finish_reason", None) == "content_filter" for each in choices):
        raise ModelFailed(failures.REFUSED, retry="no")


def _finishes(chunk: ChatCompletionChunk) -> bool:
    """Has it a finish reason, or the usage that some servers send after the end instead?"""
    if not chunk.choices:
        return chunk.usage is not None
    return any(choice.finish_reason for choice in chunk.choices)


async def _steadily(
    chunks: AsyncStream[ChatCompletionChunk], clock: Clock
) -> AsyncIterator[ChatCompletionChunk]:
    # The first one may take as long as the model thinks.
    chunk = await anext(chunks, None)
    while chunk is not None:
        yield chunk
        try:
            async with clock.timeout(STALL):
                chunk = await anext(chunks, None)
        except TimeoutError:
            raise ModelTimedOut(f"The model fell silent for {STALL:g} s.") from None
