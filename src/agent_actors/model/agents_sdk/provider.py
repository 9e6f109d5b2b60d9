"""The SDK's view of our models: which one a name means, and what its answers must be."""

from collections.abc import AsyncIterator, Iterable
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
from agent_actors.observability import tracing


class ServerModels(ModelProvider):
    """Every name means a model of the one server; no name means the settings' model.

    Args:
        connection: The server.
        stream: Ask for streams.
    """

    def __init__(self, connection: ModelConnection, *, stream: bool) -> None:
        self._connection = connection
        self._stream = stream

    def get_model(self, model_name: str | None) -> Model:
        """The model of that name."""
        return ServerModel(self._connection, model_name, stream=self._stream)


class ServerModel(Model):
    """Sends again what is safe to send again, and lets no broken answer pass.

    Args:
        connection: The server.
        name: The model's name; None for the settings' model.
        stream: Ask for streams, so that one that stalls is noticed. Nobody sees the parts.
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
        settings = self._fitting(model_settings)
        asked = (system_instructions, input, settings, *rest)
        with tracing.span(f"chat {self.name}", "client", self._said()):
            if self._stream:
                event = await self._completed(asked, options)
                response = _response(event.response)
            else:
                response = await self._connection.send(
                    self.name, lambda model: model.get_response(*asked, **options)
                )
            _tell(response.usage)
        response.output = _sound(response.output, input)
        return response

    async def stream_response(
        self,
        system_instructions: str | None,
        input: str | list[TResponseInputItem],  # noqa: A002 - the SDK's name
        model_settings: ModelSettings,
        *rest: Any,
        **options: Any,
    ) -> AsyncIterator[TResponseStreamEvent]:
        """The end of a stream, once all of it was there."""
        settings = self._fitting(model_settings)
        event = await self._completed((system_instructions, input, settings, *rest), options)
        event.response.output = _sound(event.response.output, input)
        yield event

    def _said(self) -> dict[str, tracing.Value]:
        """As OpenTelemetry's conventions for generative AI have it; nothing of what was said."""
        return {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": self._connection.provider,
            "gen_ai.request.model": self.name,
        }

    async def _completed(
        self, asked: tuple[Any, ...], options: dict[str, Any]
    ) -> ResponseCompletedEvent:
        return await self._connection.send(
            self.name, lambda model: _last(model.stream_response(*asked, **options))
        )

    def _fitting(self, settings: ModelSettings) -> ModelSettings:
        """The settings of an agent that names no model are made for the library's default one."""
        if not self._named and settings == _made_for(None):
            official = self._connection.official
            settings = _made_for(self.name) if official else ModelSettings()
        if self._connection.official and settings.store is None:
            # Nothing of a conversation is to stay in the account's log at OpenAI.
            settings = replace(settings, store=False)
        return replace(settings, include_usage=True)


@cache
def _made_for(name: str | None) -> ModelSettings:
    """What the library sets for a model; it copies that deeply each time it is asked."""
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
    used = streamed.usage
    usage = Usage(requests=1)
    if used is not None:
        usage = Usage(1, used.input_tokens, output_tokens=used.output_tokens)
        usage.total_tokens = used.total_tokens
    return ModelResponse(output=streamed.output, usage=usage, response_id=None)


def _tell(usage: Usage) -> None:
    tracing.set_attributes(
        {
            "gen_ai.usage.input_tokens": usage.input_tokens,
            "gen_ai.usage.output_tokens": usage.output_tokens,
        }
    )


def _sound(
    output: list[TResponseOutputItem],
    asked: str | list[TResponseInputItem],
) -> list[TResponseOutputItem]:
    """The same, with an id of its own for every tool call.

    Some servers give no ids, or the same ones in every answer: the SDK would fail, or take a call
    for one that was made before.

    Raises:
        ModelBehaviorError: There is nothing in it; asking again would be paid for again.
    """
    if not any(_says_something(item) for item in output):
        raise ModelBehaviorError("empty answer")
    taken = _call_ids(asked)
    return [_with_own_id(item, taken) for item in output]


def _says_something(item: TResponseOutputItem) -> bool:
    if isinstance(item, ResponseOutputMessage):
        texts = (p.text if isinstance(p, ResponseOutputText) else p.refusal for p in item.content)
        return any(text.strip() for text in texts)
    return isinstance(item, ResponseFunctionToolCall)


def _call_ids(asked: str | Iterable[TResponseInputItem]) -> set[str]:
    if isinstance(asked, str):
        return set()
    return {str(item["call_id"]) for item in asked if item.get("call_id")}  # type: ignore[typeddict-item]


def _with_own_id(item: TResponseOutputItem, taken: set[str]) -> TResponseOutputItem:
    if not isinstance(item, ResponseFunctionToolCall):
        return item
    if not item.call_id or item.call_id in taken:
        number = len(taken) + 1
        while f"call_{number}" in taken:
            number += 1
        item = item.model_copy(update={"call_id": f"call_{number}"})
    taken.add(item.call_id)
    return item
