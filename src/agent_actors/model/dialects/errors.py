"""What a server's error means: a code of OpenAI's, and how long to wait."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

TOO_LONG = "context_length_exceeded"
NO_QUOTA = "insufficient_quota"
NO_MODEL = "model_not_found"
NO_KEY = "invalid_api_key"
FILTERED = "content_filter"

_CODES: Mapping[str, str] = {
    "context_length_exceeded": TOO_LONG,
    "exceed_context_size_error": TOO_LONG,  # llama.cpp
    "context_window_exceeded": TOO_LONG,
    "context_too_long": TOO_LONG,
    "prompt_too_long": TOO_LONG,
    "max_tokens_exceeded": TOO_LONG,
    "tokens_limit_reached": TOO_LONG,  # GitHub
    "model_max_prompt_tokens_exceeded": TOO_LONG,
    "tokens_too_long": TOO_LONG,  # Baidu
    "request_too_large": TOO_LONG,  # Anthropic
    "1261": TOO_LONG,  # Zhipu
    "1113": NO_QUOTA,
    "insufficient_quota": NO_QUOTA,
    "billing_hard_limit_reached": NO_QUOTA,
    "billing_not_active": NO_QUOTA,
    "insufficient_balance": NO_QUOTA,
    "insufficient_credits": NO_QUOTA,
    "exceeded_current_quota_error": NO_QUOTA,  # Moonshot
    "model_not_found": NO_MODEL,
    "model_not_exist": NO_MODEL,
    "invalid_api_key": NO_KEY,
    "invalid_authentication_error": NO_KEY,
    "api_key_invalid": NO_KEY,  # Gemini
    "authentication_error": NO_KEY,
    "content_filter": FILTERED,
    "content_policy_violation": FILTERED,
    "responsibleaipolicyviolation": FILTERED,  # Azure
    "data_inspection_failed": FILTERED,  # Qwen
}
_TOO_LONG = re.compile(
    r"context (?:length|window|size|limit)|maximum context|maximum prompt length"
    r"|input token count|prompt (?:is )?too (?:long|large)|reduce your message size"
    r"|too many (?:input )?tokens|input (?:is )?too long|max_model_len"
    r"|exceeds? the (?:model'?s? )?max|longer than the (?:model|maximum)|tokens?,? (?:limit|exceed)"
    r"|reduce the length"
    r"|`?inputs`? tokens? \+ `?max_new_tokens`?|range of input length",
    re.IGNORECASE,
)
"""OpenAI, vLLM, Gemini, Anthropic, llama.cpp, Mistral, TGI, Bedrock, Qwen, Ollama, xAI, Groq."""
_LENGTH_STATUSES = frozenset({400, 413, 422, 500, 520})
"""520 stands for an error that came with status 200."""
_NO_MONEY = re.compile(
    r"credit balance|insufficient (?:balance|credit|funds)|used all available credits"
    r"|free-models-per-day",
    re.IGNORECASE,
)
"""Anthropic, DeepSeek, Zhipu, xAI, OpenRouter."""
_UNITS = {
    0.001: r"ms(?:ecs?)?|milli(?:second)?s?",
    1.0: r"s(?:ec(?:ond)?s?)?",
    60.0: r"m(?:in(?:ute)?s?)?",
    3_600.0: r"h(?:(?:ou)?rs?)?",
    86_400.0: r"d(?:ays?)?",
}
_SPAN = rf"(\d+(?:\.\d+)?) ?(?:{'|'.join(f'({unit})' for unit in _UNITS.values())})(?![a-z])"
_SPANS = re.compile(_SPAN, re.IGNORECASE)
_WAIT = re.compile(
    rf"(?:try again|retry|wait)(?: after| in| for)?:? ?((?:{_SPAN} ?)+)", re.IGNORECASE
)
LONGEST = 7 * 86_400.0
"""Longest time to wait that a server is believed, in seconds."""


def code_of(status: int, body: Any) -> str | None:
    """The code that OpenAI would have sent for this error; None if there is nothing special.

    Args:
        status: The HTTP status.
        body: The body, parsed if it is JSON, else its text.
    """
    for each in _objects(body):
        for name in ("code", "type", "status", "reason"):
            word = each.get(name)
            known = _CODES.get(word.lower()) if isinstance(word, str) else None
            if known is not None:
                return known
    if _daily(body) or status == 402:
        return NO_QUOTA
    text = body if isinstance(body, str) else json.dumps(body)
    if status in _LENGTH_STATUSES and _TOO_LONG.search(text):
        return TOO_LONG
    if status in {400, 403, 429} and _NO_MONEY.search(text):
        return NO_QUOTA
    key = "API_KEY_INVALID" in text or "API key not valid" in text
    return NO_KEY if status == 400 and key else None


def wait_of(headers: Mapping[str, str], body: Any) -> float | None:
    """Seconds to wait that are not in a `Retry-After`: in another header or in the body."""
    given = headers.get("retry-after-ms", "")
    if re.fullmatch(r"\d{1,12}(?:\.\d+)?", given):
        return min(float(given) / 1_000, LONGEST)
    for each in _objects(body):
        for name in ("retryDelay", "retry_after", "retry_after_seconds"):
            seconds = seconds_of(each.get(name))
            if seconds is not None:
                return seconds
    text = body if isinstance(body, str) else json.dumps(body)
    found = _WAIT.search(text)
    return seconds_of(found[1]) if found else None


def seconds_of(value: Any) -> float | None:
    """A duration such as 41, "41", "41s" (protobuf's form) or "1m30.5s"; at most `LONGEST`."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(min(value, LONGEST)) if value >= 0 else None
    if not isinstance(value, str):
        return None
    if re.fullmatch(r"\d+(?:\.\d+)?", value.strip()):
        return min(float(value), LONGEST)
    spans = _SPANS.findall(value)
    if not spans:
        return None
    return min(sum(_seconds(number, units) for number, *units in spans), LONGEST)


def _seconds(number: str, units: list[str]) -> float:
    return float(number) * next(scale for scale, unit in zip(_UNITS, units, strict=True) if unit)


def _daily(body: Any) -> bool:
    """Whether Gemini's quota of a day is used up: waiting for a minute would not help."""
    return any(
        isinstance(each.get("quotaId"), str) and "PerDay" in each["quotaId"]
        for each in _objects(body)
    )


def _objects(body: Any, depth: int = 10) -> Iterator[Mapping[str, Any]]:
    """The objects in a body, outer ones first: an error may be in a list, or in its details."""
    if depth == 0:
        return
    if isinstance(body, dict):
        yield body
        for each in body.values():
            yield from _objects(each, depth - 1)
    elif isinstance(body, list):
        for each in body:
            yield from _objects(each, depth - 1)


def rewritten(status: int, body: Any) -> dict[str, Any]:
    """The error as OpenAI sends it; its text is the server's, for those who debug."""
    first = next(_objects(body), {})
    error = first.get("error")
    inner = error if isinstance(error, dict) else first
    message = inner.get("message", error if isinstance(error, str) else inner.get("detail"))
    text = message if isinstance(message, str) else ""
    return {"error": {"message": text, "type": inner.get("type"), "code": code_of(status, body)}}
