"""A real, small model without a network, and without a script."""

import httpx2
import pytest

from tests.llm.conftest import Talk
from tests.llm.servers import RealModel

pytestmark = pytest.mark.timeout(400)  # A model computes for as long as the machine lets it.


async def test_the_real_model_speaks(real_model: RealModel):
    """llama.cpp answers like OpenAI, counts its tokens, and accepts a request with tools."""
    tool = {"type": "function", "function": {"name": "clock", "parameters": {"type": "object"}}}
    asked = {
        "model": "any",
        "messages": [{"role": "user", "content": "Say hello."}],
        "tools": [tool],
    }
    async with httpx2.AsyncClient(timeout=60.0, trust_env=False) as http:
        answer = await http.post(f"{real_model.base_url}/chat/completions", json=asked)

    assert answer.status_code == 200, answer.text
    assert answer.json()["choices"][0]["message"]["content"].strip()
    assert answer.json()["usage"]["completion_tokens"] > 0


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_a_conversation_with_a_real_model(real_model: RealModel, talk: Talk, stream: bool):
    """A real model answers two turns, and their tokens are saved with them."""
    async with talk(real_model.base_url, model_stream=stream) as service:
        first = await service.reply("ada", "Hello! Who are you?")
        second = await service.reply("ada", "Tell me about the sea.")
        pairs = (await service.services.reader.history("ada", 10)).pairs

    assert first.strip()
    assert second.strip()
    assert [pair.output.content for pair in pairs] == [first, second]
    assert all(pair.output.usage.input_tokens > 0 for pair in pairs)
    assert all(pair.output.usage.output_tokens > 0 for pair in pairs)


async def test_a_window_that_is_too_long_shrinks_by_itself(real_model: RealModel, talk: Talk):
    """The server has room for 2,048 tokens; two long exchanges and a message have more."""
    async with talk(real_model.base_url, window_tokens=16_384) as service:
        first = await service.reply("ben", "Count: " + "one two three " * 230)
        second = await service.reply("ben", "Go on: " + "four five six " * 230)
        third = await service.reply("ben", "And the sea?")
        problem = await service.http.post(
            "/chat/cleo", json={"role": "user", "content": "word " * 3_000}
        )

    assert all(reply.strip() for reply in (first, second, third))
    assert problem.status_code == 502
    assert "AGENT_ACTORS_WINDOW_TOKENS" in problem.json()["detail"]
    assert problem.json()["retry"] == "no"
