#!/usr/bin/env bash
# openai-agents 0.24.0: what a gateway sends beside the tool calls does not go back with them. The
# model for chat completions drops the list `reasoning_details`, whose entries OpenRouter asks to send
# back unchanged, and reads `thinking_blocks` (LiteLLM's form for Claude), but does not return them:
# its converter can, and this model never asks it to. No name of a model changes that.
#
# Seen:
#   google/gemini-3-pro: reasoning_details lost
#   anthropic/claude-sonnet-4-5: thinking_blocks lost
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check openai-agents==0.24.0 openai==3.54.0
cat > "$work/seen.py" <<'PY'
import asyncio
import json

import httpx2
from agents import Agent, OpenAIChatCompletionsModel, RunConfig, Runner, function_tool
from openai import AsyncOpenAI

CALL = {"id": "a", "type": "function", "function": {"name": "noon", "arguments": "{}"}}
DETAILS = [{"type": "reasoning.encrypted", "data": "AY89a", "id": "a", "index": 0}]
BLOCKS = [{"type": "thinking", "thinking": "Look at the clock.", "signature": "Et8B"}]
GEMINI, CLAUDE = "google/gemini-3-pro", "anthropic/claude-sonnet-4-5"


@function_tool
def noon() -> str:
    """The time."""
    return "noon"


async def second_request(model: str, message: dict[str, object]) -> str:
    """The assistant's message in the request after the tool."""
    sent: list[dict] = []

    def serve(request: httpx2.Request) -> httpx2.Response:
        sent.append(json.loads(request.content))
        first = {"role": "assistant", "content": None, **message}
        said = first if len(sent) == 1 else {"role": "assistant", "content": "It is noon."}
        choice = {"index": 0, "message": said, "finish_reason": "stop"}
        body = {"id": "1", "object": "chat.completion", "created": 1, "model": model}
        return httpx2.Response(200, json={**body, "choices": [choice]})

    http = httpx2.AsyncClient(transport=httpx2.MockTransport(serve))
    client = AsyncOpenAI(api_key="none", base_url="http://127.0.0.1:9/v1", http_client=http)
    agent = Agent("a", model=OpenAIChatCompletionsModel(model, client), tools=[noon])
    await Runner.run(agent, "What time is it?", run_config=RunConfig(tracing_disabled=True))
    return json.dumps(next(each for each in sent[1]["messages"] if each["role"] == "assistant"))


for model, name, message, value in (
    (GEMINI, "reasoning_details", {"tool_calls": [CALL], "reasoning_details": DETAILS}, "AY89a"),
    (CLAUDE, "thinking_blocks", {"tool_calls": [CALL], "thinking_blocks": BLOCKS}, "Et8B"),
):
    there = value in asyncio.run(second_request(model, message))
    print(f"{model}: {name} {'sent' if there else 'lost'}")
PY
"$work/venv/bin/python" "$work/seen.py" | tee "$work/seen"
diff "$work/seen" - <<'SEEN'
google/gemini-3-pro: reasoning_details lost
anthropic/claude-sonnet-4-5: thinking_blocks lost
SEEN
