#!/usr/bin/env bash
# openai-agents 0.24.0: tool calls of a stream are told apart by their index alone. Servers that number
# every call 0 (Ollama, gateways to Gemini) send two whole calls, each with an id and a name of its
# own; the SDK makes one of them, with the last id and both arguments in a row.
#
# Seen:
#   1 call: b weather {"city":"Rome"}{"city":"Oslo"}
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check openai-agents==0.24.0 openai==3.54.0
cat > "$work/seen.py" <<'PY'
import asyncio
import json

import httpx2
from agents import ModelSettings, ModelTracing, OpenAIChatCompletionsModel
from openai import AsyncOpenAI

CHUNK = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
CALLS = (("a", "weather", '{"city":"Rome"}'), ("b", "weather", '{"city":"Oslo"}'))


def stream(request: httpx2.Request) -> httpx2.Response:
    """Two whole calls, both of index 0."""
    choices = [
        {
            "index": 0,
            "finish_reason": None,
            "delta": {
                "tool_calls": [
                    {
                        "index": 0,
                        "id": id_,
                        "type": "function",
                        "function": {"name": name, "arguments": arguments},
                    }
                ]
            },
        }
        for id_, name, arguments in CALLS
    ]
    choices.append({"index": 0, "finish_reason": "tool_calls", "delta": {}})
    body = "".join(f"data: {json.dumps({**CHUNK, 'choices': [each]})}\n\n" for each in choices)
    return httpx2.Response(
        200, text=body + "data: [DONE]\n\n", headers={"content-type": "text/event-stream"}
    )


async def main() -> None:
    http = httpx2.AsyncClient(transport=httpx2.MockTransport(stream))
    client = AsyncOpenAI(api_key="none", base_url="http://127.0.0.1:9/v1", http_client=http)
    model = OpenAIChatCompletionsModel("m", client)
    asked = ("", "Hi", ModelSettings(), [], None, [], ModelTracing.DISABLED)
    async for event in model.stream_response(
        *asked, previous_response_id=None, conversation_id=None, prompt=None
    ):
        last = event
    calls = [item for item in last.response.output if item.type == "function_call"]
    for call in calls:
        print(f"{len(calls)} call: {call.call_id} {call.name} {call.arguments}")


asyncio.run(main())
PY
"$work/venv/bin/python" "$work/seen.py" | tee "$work/seen"
diff "$work/seen" - <<'SEEN'
1 call: b weather {"city":"Rome"}{"city":"Oslo"}
SEEN
