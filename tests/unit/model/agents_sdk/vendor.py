"""A model's server without a network: it answers from a list and keeps the requests."""

import json
from collections.abc import Callable
from typing import Any

import httpx2
from pydantic import SecretStr

from agent_actors.model import Prompt
from agent_actors.model.endpoint import Endpoint
from agent_actors.protocol.messages import Exchange, Message
from agent_actors.settings import Settings

USAGE = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
HERE = Endpoint(
    "small", "http://vendor.test/v1", SecretStr("the-key"), "AGENT_ACTORS_MODEL_API_KEY"
)

Step = httpx2.Response | Exception | Callable[[httpx2.Request], httpx2.Response]


class Vendor(httpx2.AsyncBaseTransport):
    """Answers with the next step; an exception is raised as the network would."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.requests: list[httpx2.Request] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        await request.aread()
        self.requests.append(request)
        step = self.steps.pop(0)
        if isinstance(step, Exception):
            raise step
        return step if isinstance(step, httpx2.Response) else step(request)

    def will(self, *steps: Step) -> None:
        """The next answers."""
        self.steps += steps

    @property
    def bodies(self) -> list[Any]:
        """The requests, as JSON."""
        return [json.loads(request.content) for request in self.requests]

    @property
    def keys(self) -> list[str]:
        """The keys that were sent."""
        return [
            request.headers["authorization"].removeprefix("Bearer ") for request in self.requests
        ]


def answer(
    content: str | None = "hello", *, finish: str = "stop", **message: Any
) -> httpx2.Response:
    """A complete answer."""
    said = {"role": "assistant", "content": content, **message}
    choice = {"index": 0, "finish_reason": finish, "message": said}
    return httpx2.Response(200, json={"id": "r", "choices": [choice], "usage": USAGE})


def tool_call(name: str, arguments: str = "{}", *, call_id: str = "c1", **more: Any) -> Any:
    """A tool call in a message."""
    function = {"name": name, "arguments": arguments}
    return {"id": call_id, "type": "function", "function": function, **more}


def calling(*calls: Any) -> httpx2.Response:
    """An answer that calls tools."""
    return answer(None, finish="tool_calls", tool_calls=list(calls))


def streamed(*parts: Any, finish: str | None = "stop", done: bool = True) -> httpx2.Response:
    """A streamed answer: texts, or deltas of another kind."""
    deltas = [{"content": part} if isinstance(part, str) else part for part in parts]
    chunks: list[Any] = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    if finish is not None:
        chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
        chunks.append({"choices": [], "usage": USAGE})
    events = [json.dumps({"id": "r", **chunk}) for chunk in chunks] + ["[DONE]"] * done
    text = "".join(f"data: {event}\n\n" for event in events)
    return httpx2.Response(200, text=text, headers={"content-type": "text/event-stream"})


def error(
    status: int, code: str = "", said: str = "the-key is wrong", **headers: str
) -> httpx2.Response:
    """An error response, with a text that no caller may see."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body = {"error": {"message": said, "code": code or None}}
    return httpx2.Response(status, json=body, headers=named)


def settings(**values: Any) -> Settings:
    """Settings, by field names or by variable names."""
    return Settings(**values)


def a_prompt(said: str = "hi", *window: Exchange, turn_id: str = "turn-1", **more: Any) -> Prompt:
    """A turn of `ada`."""
    message = Message("user", said)
    return Prompt("chat-1", "ada", turn_id, 1, message, more.pop("memory", ()), window, **more)
