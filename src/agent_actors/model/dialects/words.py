"""Words of vendors for the end of an answer, and the fields of their reasoning."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

End = Literal["stop", "length", "tool_calls", "content_filter", "error"]

ENDS: Mapping[str, End] = MappingProxyType(
    {
        # OpenAI, and everybody who follows it.
        "stop": "stop",
        "length": "length",
        "tool_calls": "tool_calls",
        "function_call": "tool_calls",
        "content_filter": "content_filter",
        # Anthropic, and gateways that pass its words on.
        "end_turn": "stop",
        "stop_sequence": "stop",
        "pause_turn": "stop",
        "max_tokens": "length",
        "tool_use": "tool_calls",
        "refusal": "content_filter",
        "model_context_window_exceeded": "length",
        # TGI, SGLang, Mistral, Cohere and llama.cpp's older servers.
        "eos": "stop",
        "eos_token": "stop",
        "complete": "stop",
        "completed": "stop",
        "end": "stop",
        "done": "stop",
        "model_length": "length",
        "max_length": "length",
        "limit": "length",
        "max_output_tokens": "length",
        "tool_call": "tool_calls",
        # Gemini: https://ai.google.dev/api/generate-content#FinishReason
        "safety": "content_filter",
        "recitation": "content_filter",
        "language": "content_filter",
        "blocklist": "content_filter",
        "prohibited_content": "content_filter",
        "spii": "content_filter",
        "image_safety": "content_filter",
        "image_prohibited_content": "content_filter",
        "image_recitation": "content_filter",
        "model_armor": "content_filter",
        # Zhipu, Bedrock, Azure, Cohere.
        "sensitive": "content_filter",
        "content_filtered": "content_filter",
        "guardrail_intervened": "content_filter",
        "error_toxic": "content_filter",
        "moderation": "content_filter",
        "blocked": "content_filter",
        "refused": "content_filter",
    }
)
"""Each word, in lower case with underscores. Every other word is an `error`: half an answer that
broke off (SGLang's `abort`, Zhipu's `network_error`, DeepSeek's `insufficient_system_resource`,
Gemini's `MALFORMED_FUNCTION_CALL` and `OTHER`), or a word that nobody has explained yet."""

REASONING = ("reasoning_content", "reasoning")
"""Fields that the SDK reads, and gives back to the server: DeepSeek, Moonshot, vLLM and llama.cpp
have the first, OpenRouter, Groq and newer vLLM the second."""
OTHER_REASONING = ("thinking", "reasoning_text", "thought")
"""Fields of others (Ollama, LM Studio); they are read as `reasoning_content`."""


def end_of(reason: Any) -> End | None:
    """The meaning of a finish reason; None if the answer goes on, or the server names none."""
    if isinstance(reason, dict):  # TGI, and SGLang's own API.
        reason = reason.get("type")
    if reason is None or reason is False:
        return None
    if not isinstance(reason, str):
        return "error"
    word = reason.strip().lower().replace("-", "_").replace(" ", "_")
    if word in {"", "null", "none"}:
        return None
    return ENDS.get(word.removeprefix("finish_reason_"), "error")
