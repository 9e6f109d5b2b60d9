"""The models that the SDK gets: which one a name means, and what its answers must have."""

import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from functools import cache
from typing import Any

from agents import Model, ModelProvider, ModelResponse, ModelSettings, Usage
from agents.exceptions import ModelBehaviorError
from agents.items import TResponseInputItem, TResponseOutputItem, TResponseStreamEvent
from agents.models.default_models import get_default_model_settings
from openai.types.responses import (
    Response,
    ResponseCompletedEvent,
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseOutputText,
)

from agent_actors.model.agents_sdk.connection import ModelConnection
from agent_actors.model.dialects.answer import unused_id
from agent_actors.model.dialects.events import DEEPEST, parsed
from agent_actors.model.dialects.text import without_unopened
from agent_actors.observability import tracing


class ServerModels(ModelProvider):
    """Finds every model on the one server; without a name it is the settings' model."""

    def __init__(self, connection: ModelConnection, *, stream: bool) -> None:
        self._connection = connection
        self._stream = stream

    def get_model(self, model_name: str | None) -> Model:
        """The model of that name."""
        return ServerModel(self._connection, model_name, stream=self._stream)


class ServerModel(Model):
    """A model on the server. Repeats what is safe to repeat, and rejects broken answers.

    With `stream` it requests streams, to detect one that stalls; callers get the whole answer only.
    """

    def __init__(self, connection: ModelConnection, name: str | None, *, stream: bool) -> None:
        self._connection = connection
        self._named = name is not None
        self.name = name or connection.default_model
        self._stream = stream

    async def get_response(
        self,
        system_instructions: str | None,
        input: str | list[TResponseInputItem],  # noqa: A002 - the SDK's name
        model_settings: ModelSettings,
        *rest: Any,
        **options: Any,
    ) -> ModelResponse:
        """The answer of one call."""
        request = (system_instructions, input, self._adjusted(model_settings), *rest)
        # The attributes of OpenTelemetry's conventions for generative AI.
        attributes: dict[str, tracing.Value] = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": self._connection.provider,
            "gen_ai.request.model": self.name,
        }
        with tracing.span(f"chat {self.name}", "client", attributes):
            if self._stream:
                event = await self._completed(request, options)
                response = _response(event.response)
            else:
                response = await self._connection.send(
                    self.name, lambda model: model.get_response(*request, **options)
                )
            tracing.set_attributes(
                {
                    "gen_ai.usage.input_tokens": response.usage.input_tokens,
                    "gen_ai.usage.output_tokens": response.usage.output_tokens,
                }
            )
        response.output = _checked(response.output, input)
        return response

    async def stream_response(
        self,
        system_instructions: str | None,
        input: str | list[TResponseInputItem],  # noqa: A002 - the SDK's name
        model_settings: ModelSettings,
        *rest: Any,
        **options: Any,
    ) -> AsyncIterator[TResponseStreamEvent]:
        """The last event of a stream, after all others have arrived."""
        request = (system_instructions, input, self._adjusted(model_settings), *rest)
        event = await self._completed(request, options)
        event.response.output = _checked(event.response.output, input)
        yield event

    async def _completed(
        self, request: tuple[Any, ...], options: dict[str, Any]
    ) -> ResponseCompletedEvent:
        return await self._connection.send(
            self.name, lambda model: _last(model.stream_response(*request, **options))
        )

    def _adjusted(self, settings: ModelSettings) -> ModelSettings:
        """An agent's settings, for this model.

        An agent without a model name has the settings of the library's default model.
        """
        official = self._connection.official
        if not self._named and settings == _default_settings(None):
            settings = _default_settings(self.name) if official else ModelSettings()
        if official and settings.store is None:
            # Conversations stay out of the account's log at OpenAI.
            settings = replace(settings, store=False)
        return replace(settings, include_usage=True)


@cache
def _default_settings(name: str | None) -> ModelSettings:
    """The library's settings for a model. Cached: the library makes a deep copy for each call."""
    return get_default_model_settings(name)


async def _last(events: AsyncIterator[TResponseStreamEvent]) -> ResponseCompletedEvent:
    completed = None
    async with aclosing(events) as stream:  # type: ignore[type-var]
        async for event in stream:
            if isinstance(event, ResponseCompletedEvent):
                completed = event
    if completed is None:
        raise ModelBehaviorError("the stream had no end")
    return completed


def _response(streamed: Response) -> ModelResponse:
    usage = Usage(requests=1)
    if (tokens := streamed.usage) is not None:
        usage = Usage(1, tokens.input_tokens, output_tokens=tokens.output_tokens)
        usage.total_tokens = tokens.total_tokens
    return ModelResponse(output=streamed.output, usage=usage, response_id=None)


def _checked(
    output: list[TResponseOutputItem], request: str | list[TResponseInputItem]
) -> list[TResponseOutputItem]:
    """The answer, with a unique id for every tool call; an empty one is a `ModelBehaviorError`.

    Some servers send the same ids in every answer. The SDK would take a call for an earlier one.
    An empty answer is not requested again, since it was charged.
    """
    if not any(_has_content(item) for item in output):
        raise ModelBehaviorError("empty answer")
    used: set[str] = set()
    if not isinstance(request, str):
        used = {str(item["call_id"]) for item in request if item.get("call_id")}  # type: ignore[typeddict-item]
    checked: list[TResponseOutputItem] = []
    for item in output:
        if isinstance(item, ResponseFunctionToolCall):
            item = _checked_call(item, used)
        elif isinstance(item, ResponseOutputMessage):
            item = item.model_copy(update={"content": [_without_tags(p) for p in item.content]})
        checked.append(item)
    return checked


def _checked_call(call: ResponseFunctionToolCall, used: set[str]) -> ResponseFunctionToolCall:
    """The call with an id that no other call of the request or the answer has."""
    call = call.model_copy(update={"call_id": unused_id(call.call_id, used)})
    if _readable(call.arguments):
        return call
    # Quoted, they are no object: the SDK tells the model that they make no sense.
    return call.model_copy(update={"arguments": json.dumps(call.arguments)})


def _readable(arguments: str) -> bool:
    """Whether the SDK can take them: not nested too deeply, and with every text in them whole.

    JSON may name half a surrogate pair.
    """
    if "\\ud" not in arguments.lower() and arguments.count("[") + arguments.count("{") <= DEEPEST:
        return True
    try:
        value = parsed(arguments.encode())
        json.dumps(value, ensure_ascii=False).encode()
    except ValueError:
        return False
    return not isinstance(value, str)


def _without_tags(part: Any) -> Any:
    """A part of a message without reasoning that shows only by its closing tag."""
    if not isinstance(part, ResponseOutputText):
        return part
    return part.model_copy(update={"text": without_unopened(part.text)})


def _has_content(item: TResponseOutputItem) -> bool:
    if isinstance(item, ResponseOutputMessage):
        texts = (p.text if isinstance(p, ResponseOutputText) else p.refusal for p in item.content)
        return any(text.strip() for text in texts)
    return isinstance(item, ResponseFunctionToolCall)
