"""A chat model that detects answers that are cut off or malformed.

The SDK requires a finish reason only from api.openai.com (openai-agents 0.24,
`models/openai_chatcompletions.py`: `require_finish_reason`). From any other server it takes a
stream that breaks off for the whole answer.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Any

from agents import OpenAIChatCompletionsModel
from agents.exceptions import ModelBehaviorError
from agents.items import TResponseInputItem
from agents.models.reasoning_content_replay import ReasoningContentReplayContext
from openai import AsyncOpenAI, AsyncStream
from openai.types.chat import ChatCompletion, ChatCompletionChunk, ChatCompletionMessage

from agent_actors.clock import Clock
from agent_actors.errors import ModelFailed, ModelTimedOut
from agent_actors.model.agents_sdk import failures
from agent_actors.model.agents_sdk.client import wanted_back
from agent_actors.model.dialects.returned import Json, of_call

STALL = 30.0
"""Longest time between two chunks of a stream, in seconds."""


class ChatModel(OpenAIChatCompletionsModel):
    """The SDK's model over the chat API, which every vendor has."""

    def __init__(self, name: str, client: AsyncOpenAI, clock: Clock) -> None:
        super().__init__(name, client, should_replay_reasoning_content=_is_its_own)
        self._clock = clock

    async def _fetch_response(
        self,
        system_instructions: str | None,
        input: str | list[TResponseInputItem],  # noqa: A002 - the SDK's name
        *args: Any,
        stream: bool = False,
        **options: Any,
    ) -> Any:
        # The SDK has no public hook between the server's answer and its own parsing.
        token = wanted_back.set({} if isinstance(input, str) else _wanted_back(input, self.model))
        try:
            fetched = await super()._fetch_response(  # type: ignore[call-overload]
                system_instructions, input, *args, stream=stream, **options
            )
        finally:
            wanted_back.reset(token)
        if not stream:
            return _checked(fetched)
        response, chunks = fetched
        return response, _complete(chunks, self._clock)


def _is_its_own(context: ReasoningContentReplayContext) -> bool:
    """Whether reasoning goes back to the model that wrote it.

    DeepSeek, Moonshot and others refuse a turn with tools that lacks it; by itself the SDK gives it
    back to models with `deepseek` in their name only.
    """
    return context.reasoning.origin_model == context.model


def _wanted_back(items: list[TResponseInputItem], model: str) -> dict[str, tuple[Json, Json]]:
    """What vendors want back with their tool calls, by call id: members of the call and beside it.

    Gemini's signature goes to every model, as a gateway may have another name for it; what only
    one vendor understands goes to the model that sent it.
    """
    found: dict[str, tuple[Json, Json]] = {}
    for item in items:
        data = item.get("provider_data")
        if not isinstance(data, dict) or not (signature := data.get("thought_signature")):
            continue
        if not isinstance(signature, dict) or data.get("model") == model:
            found[str(item.get("call_id"))] = of_call(signature)
    return found


def _checked(fetched: Any) -> ChatCompletion:
    """The answer, if it is one: the library makes a `ChatCompletion` of any JSON."""
    if isinstance(fetched, ChatCompletion) and fetched.choices:
        _check_end(fetched.choices)
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
            _check_end(chunk.choices)
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


def _check_end(choices: Sequence[Any]) -> None:
    """Rejects an answer that a filter or a failure of the server has cut."""
    ends = {getattr(each, "finish_reason", None) for each in choices}
    if "content_filter" in ends:
        raise ModelFailed(failures.REFUSED, retry="no")
    if not ends <= {None, "stop", "length", "tool_calls"}:
        raise ModelBehaviorError("the server broke the answer off")
