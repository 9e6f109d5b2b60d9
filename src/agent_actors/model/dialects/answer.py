"""A whole answer of the chat API, in the form that the SDK reads."""

import json
import math
from collections.abc import Mapping, Sequence
from secrets import token_hex
from typing import Any

from agent_actors.model.dialects import returned
from agent_actors.model.dialects.text import content_of, mended, without_reasoning
from agent_actors.model.dialects.words import OTHER_REASONING, REASONING, end_of

Json = dict[str, Any]

MOST = 2**53
"""The largest number of tokens: beyond it JSON numbers are not exact."""


class NotAnAnswer(Exception):
    """The JSON is no answer of the chat API."""


def whole(data: Any) -> Json:
    """A `chat.completion` with one choice.

    Raises:
        NotAnAnswer: There is no message in it.
    """
    if isinstance(data, list) and len(data) == 1:
        data = data[0]
    choice = first_choice(data)
    message = choice.get("message", choice.get("delta")) if choice is not None else None
    if choice is None or not isinstance(message, dict):
        raise NotAnAnswer
    calls = tool_calls(message)
    end = end_of(choice.get("finish_reason")) or ("tool_calls" if calls else "stop")
    if end == "tool_calls" and not calls:
        end = "error"  # None of them could be read.
    return {
        **envelope(data, "chat.completion"),
        "choices": [
            {
                "index": 0,
                "message": _message(mended(message), calls),
                "finish_reason": end,
                "logprobs": None,
            }
        ],
        "usage": usage(data.get("usage")),
    }


def envelope(data: Json, kind: str) -> Json:
    """The members around the choices, each of its type."""
    return {
        "id": mended(text_or(data.get("id"), "chatcmpl")),
        "object": kind,
        "created": int(_number(data.get("created")) or 0),
        "model": mended(text_or(data.get("model"), "")),
    }


def first_choice(data: Any) -> Json | None:
    """The choice 0, or the first without an index; more than one was never asked for."""
    choices = data.get("choices") if isinstance(data, dict) else None
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, dict) and (choice.get("index") or 0) in (0, "0"):
            return choice
    return None


def error_in(data: Any) -> Any:
    """The error that JSON with status 200 is or has in it; None if it has none.

    Some servers send an error without anything in it beside each answer.
    """
    if not isinstance(data, dict):
        return None
    choice = first_choice(data)
    error = data.get("error")
    if error and (choice is None or not _says_nothing(error)):
        return error
    # vLLM; Anthropic and gateways, which put the text beside the type.
    if data.get("object") == "error" or (data.get("type") == "error" and choice is None):
        return data
    error = choice.get("error") if choice is not None else None  # OpenRouter
    return error if error and not _says_nothing(error) else None


def _says_nothing(error: Any) -> bool:
    """Whether an error has neither a code nor a text; code 0 is the code of success."""
    if isinstance(error, dict):
        return error.get("code") in (0, "0") or not any(error.values())
    return isinstance(error, str) and error.strip().lower() in {"", "null", "none"}


def _message(message: Json, calls: list[Json]) -> Json:
    text, reasoning, refusal = content_of(message.get("content"))
    text, tagged = without_reasoning(text)
    name, given = reasoning_of(message)
    reasoning = given or reasoning or tagged
    made: Json = {"role": "assistant", "content": text or None}
    if refusal := text_or(message.get("refusal"), "") or refusal:
        made["refusal"] = refusal
    if reasoning:
        made[name] = reasoning
    if calls:
        made["tool_calls"] = calls
    if isinstance(message.get("annotations"), list) and message["annotations"]:
        made["annotations"] = message["annotations"]
    return made


def reasoning_of(message: Json) -> tuple[str, str]:
    """The field that the server has for its reasoning, and the reasoning."""
    for name in (*REASONING, *OTHER_REASONING):
        text, inner, _ = content_of(message.get(name))
        if text or inner:
            return (name if name in REASONING else REASONING[0]), text or inner
    return REASONING[0], ""


def tool_calls(message: Json) -> list[Json]:
    """The tool calls of a message, each with an id of its own and its arguments as text."""
    found: list[Json] = []
    ids: set[str] = set()
    beside = returned.own(message, returned.OF_MESSAGE)
    for call in calls_in(message):
        function = function_of(call)
        if function["name"]:
            function["arguments"] = mended(function["arguments"])
            made = {"id": unused_id(call.get("id"), ids), "type": "function", "function": function}
            if extra := returned.with_call(returned.own(call, returned.OF_CALL), beside):
                made["extra_content"] = extra
            beside = {}
            found.append(made)
    return found


def calls_in(message: Json) -> Sequence[Json]:
    """The entries of `tool_calls`, or the `function_call` of OpenAI's first such API."""
    calls = message.get("tool_calls")
    if isinstance(calls, dict):
        calls = [calls]
    if not isinstance(calls, list) or not calls:
        old = message.get("function_call")
        calls = [{"function": old}] if isinstance(old, dict) else []
    return [each for each in calls if isinstance(each, dict)]


def function_of(call: Json) -> Json:
    """The name and the arguments of a call, as text; what is missing is empty.

    Arguments may end in half a surrogate pair: in a stream, the other half follows.
    """
    function = call.get("function")
    given = function if isinstance(function, dict) else call
    arguments = given.get("arguments", given.get("parameters", given.get("input")))
    if arguments is None:
        arguments = ""
    if not isinstance(arguments, str):
        arguments = json.dumps(arguments)
    return {"name": mended(text_or(given.get("name"), "")), "arguments": arguments}


def unused_id(given: Any, used: set[str]) -> str:
    """The id of a call if no other call has it; else a new one."""
    name: str = mended(text_or(given, ""))
    if not name or name in used:
        name = f"call_{token_hex(8)}"
    used.add(name)
    return name


def usage(given: Any) -> Json | None:
    """The numbers of tokens; None if the server does not say, or not in numbers."""
    if not isinstance(given, dict):
        return None
    sent = _tokens(given, "prompt_tokens", "input_tokens")
    made = _tokens(given, "completion_tokens", "output_tokens")
    if sent is None and made is None:
        return None
    found: Json = {"prompt_tokens": sent or 0, "completion_tokens": made or 0}
    total = _tokens(given, "total_tokens")
    found["total_tokens"] = (sent or 0) + (made or 0) if total is None else total
    for name in ("prompt_tokens_details", "completion_tokens_details"):
        details = given.get(name)
        if isinstance(details, dict):
            numbers = {key: _tokens(details, key) for key in details}
            found[name] = {key: value for key, value in numbers.items() if value is not None}
    return found


def _tokens(given: Mapping[str, Any], *names: str) -> int | None:
    for name in names:
        number = _number(given.get(name))
        if number is not None:
            return min(max(int(number), 0), MOST)
    return None


def _number(value: Any) -> float | None:
    """A finite number, also as text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def text_or(value: Any, other: str) -> str:
    """The value if it is text that says something, else the other text."""
    return value if isinstance(value, str) and value else other
