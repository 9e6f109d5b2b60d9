#!/usr/bin/env bash
# openai-agents 0.24.0: a stream that ends without a finish reason is a whole answer, unless it comes
# from OpenAI's own address. A server that dies in the middle of a sentence leaves half a sentence,
# which a caller cannot tell from an answer; the same bytes from api.openai.com raise an error.
#
# Seen:
#   from http://127.0.0.1:9/v1: 'The answer is for'
#   from https://api.openai.com/v1: ModelBehaviorError
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
from agents.exceptions import ModelBehaviorError
from openai import AsyncOpenAI

CHUNK = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
TEXTS = ("The answer ", "is for")


def cut(request: httpx2.Request) -> httpx2.Response:
    """A stream without its end."""
    deltas = [{"index": 0, "delta": {"content": text}, "finish_reason": None} for text in TEXTS]
    body = "".join(f"data: {json.dumps({**CHUNK, 'choices': [each]})}\n\n" for each in deltas)
    return httpx2.Response(200, text=body, headers={"content-type": "text/event-stream"})


async def answer(base: str) -> str:
    """What the SDK makes of the stream."""
    http = httpx2.AsyncClient(transport=httpx2.MockTransport(cut))
    client = AsyncOpenAI(api_key="none", base_url=base, http_client=http)
    model = OpenAIChatCompletionsModel("m", client)
    asked = ("", "Hi", ModelSettings(), [], None, [], ModelTracing.DISABLED)
    last = None
    try:
        async for event in model.stream_response(
            *asked, previous_response_id=None, conversation_id=None, prompt=None
        ):
            last = event
    except ModelBehaviorError:
        return "ModelBehaviorError"
    return repr(last.response.output[0].content[0].text)


for base in ("http://127.0.0.1:9/v1", "https://api.openai.com/v1"):
    print(f"from {base}: {asyncio.run(answer(base))}")
PY
"$work/venv/bin/python" "$work/seen.py" | tee "$work/seen"
diff "$work/seen" - <<'SEEN'
from http://127.0.0.1:9/v1: 'The answer is for'
from https://api.openai.com/v1: ModelBehaviorError
SEEN
