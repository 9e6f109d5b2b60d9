"""The answer to requests that still run when the drain time is over."""

import asyncio
import json
from typing import Any

import pytest

from agent_actors.cli.cut_off import CutOff

SCOPE = {
    "type": "http",
    "method": "POST",
    "path": "/",
    "headers": [(b"idempotency-key", b"k")],
}


async def cut_off(app: Any) -> list[dict[str, Any]]:
    """What is sent when the task that serves a request is cancelled."""
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    task = asyncio.create_task(CutOff(app)(SCOPE, None, send))  # type: ignore[arg-type]
    await asyncio.wait({task}, timeout=0)
    task.cancel()
    await task
    return sent


async def test_a_cancelled_request_may_be_retried():
    """A cancelled request gets 503 with `Retry-After`, as a problem document."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.Event().wait()

    start, body = await cut_off(app)

    assert start["status"] == 503
    assert dict(start["headers"])[b"content-type"] == b"application/problem+json"
    assert b"retry-after" in dict(start["headers"])
    assert json.loads(body["body"])["retry"] == "same-key"


async def test_an_answer_that_has_begun_is_left_alone():
    """Nothing is written if the response has started."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await asyncio.Event().wait()

    with pytest.raises(asyncio.CancelledError):
        await cut_off(app)
