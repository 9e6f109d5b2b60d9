#!/usr/bin/env bash
# openai-agents 0.24.0: whether a vendor's data goes back with a tool call depends on the spelling of
# the model's name. Gemini refuses a turn without the `thought_signature` of its tool calls; the SDK
# keeps it in any case, and sends it back only if the name contains "gemini". Behind a gateway, where
# the same model is called "assistant", every second request of a turn with tools fails.
# The same holds for the reasoning of a model: by default `reasoning_content` goes back only where the
# name contains "deepseek", and other vendors (Moonshot) refuse the turn without it.
#
# Seen:
#   gemini-3-pro: signature sent
#   assistant: signature lost
#   deepseek-reasoner: reasoning sent
#   kimi-k2-thinking: reasoning lost
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

EXTRA = {"google": {"thought_signature": "AY89a"}}
CALL = {"id": "a", "type": "function", "function": {"name": "noon", "arguments": "{}"}}


@function_tool
def noon() -> str:
    """The time."""
    return "noon"


async def second_request(model: str, message: dict[str, object]) -> dict[str, object]:
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
    return next(each for each in sent[1]["messages"] if each["role"] == "assistant")


for model in ("gemini-3-pro", "assistant"):
    signed = {"tool_calls": [{**CALL, "extra_content": EXTRA}]}
    message = asyncio.run(second_request(model, signed))
    there = message["tool_calls"][0].get("extra_content") == EXTRA
    print(f"{model}: signature {'sent' if there else 'lost'}")
for model in ("deepseek-reasoner", "kimi-k2-thinking"):
    reasoned = {"tool_calls": [CALL], "reasoning_content": "Look at the clock."}
    message = asyncio.run(second_request(model, reasoned))
    there = message.get("reasoning_content") == "Look at the clock."
    print(f"{model}: reasoning {'sent' if there else 'lost'}")
PY
"$work/venv/bin/python" "$work/seen.py" | tee "$work/seen"
diff "$work/seen" - <<'SEEN'
gemini-3-pro: signature sent
assistant: signature lost
deepseek-reasoner: reasoning sent
kimi-k2-thinking: reasoning lost
SEEN
