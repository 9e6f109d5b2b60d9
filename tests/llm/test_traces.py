"""Spans of model calls and tools have names and numbers, never text."""

from collections.abc import Mapping
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode

from agent_actors.observability import tracing
from tests.llm.aimock import Aimock
from tests.llm.conftest import Talk
from tests.spans import Spans, id_of, parent_of

AGENT = "invoke_agent agent-actors"
CHAT = "chat small"
TOOL = "execute_tool get_current_time"


def said(span: ReadableSpan) -> Mapping[str, Any]:
    return dict(span.attributes or {})


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_calls_and_tools_are_below_the_agent(aimock: Aimock, talk: Talk, stream: bool):
    """They follow OpenTelemetry's conventions for generative AI and have no message text."""
    aimock.calls("what time", "get_current_time", "It is late.")
    spans = Spans()
    async with talk(aimock.base_url, model_stream=stream) as service:
        tracing.use(spans.provider)
        await service.reply("ada", "what time is it?")

    agent, tool = spans.named(AGENT), spans.named(TOOL)
    chats = spans.all_named(CHAT)
    assert len(chats) == 2
    assert {parent_of(each) for each in (*chats, tool)} == {id_of(agent)}
    assert {each.kind for each in chats} == {SpanKind.CLIENT}
    for chat in chats:
        assert said(chat)["gen_ai.operation.name"] == "chat"
        assert said(chat)["gen_ai.provider.name"] == "openai"
        assert said(chat)["gen_ai.request.model"] == "small"
    used = sum(said(chat)["gen_ai.usage.output_tokens"] for chat in chats)
    assert said(agent)["gen_ai.usage.output_tokens"] == used > 0
    assert said(agent)["gen_ai.response.model"] == "small"
    assert said(tool)["gen_ai.tool.call.id"]
    texts = "".join(each.to_json() for each in (agent, tool, *chats))
    assert not [word for word in ("what time", "It is late", "UTC") if word in texts]


async def test_a_refused_call_is_marked(aimock: Aimock, talk: Talk):
    """Its span and the agent's have an error status and the error's type."""
    aimock.fails("a secret", 500)
    spans = Spans()
    async with talk(aimock.base_url, model_retries=0) as service:
        tracing.use(spans.provider)
        answer = await service.say("ada", "a secret")
        assert answer.status_code == 502

    for span in (spans.named(CHAT), spans.named(AGENT)):
        assert span.status.status_code is StatusCode.ERROR
        assert said(span)["error.type"]
        assert "secret" not in span.to_json()
