"""Turns for a model whose server fails."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from typing import Any, TypeVar

import httpx2
import pytest

from agent_actors.errors import ModelError
from agent_actors.model.agents_sdk import AgentsModel, connection
from tests.fakes import eventually
from tests.hand_clock import HandClock
from tests.unit.model.agents_sdk.vendor import a_prompt

R = TypeVar("R")

SECRET = "my doctor is called Bob"

both = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


async def in_time(work: Coroutine[Any, Any, R], clock: HandClock) -> R:
    """The result, on a clock that moves whenever something waits for it."""
    task = asyncio.create_task(work)

    async def moved() -> bool:
        if not task.done() and clock.waiting:
            await clock.advance(connection.LONGEST_WAIT)
        return task.done()

    await eventually(moved)
    return await task


async def failing(model: AgentsModel, clock: HandClock, said: str = SECRET) -> ModelError:
    """How a turn fails; the caller's error quotes neither messages nor the key."""
    with pytest.raises(ModelError) as caught:
        await in_time(model.reply(a_prompt(said)), clock)
    failed = caught.value
    for hidden in (said, "the-key", "vendor.test"):
        assert hidden not in f"{failed!r} {failed.detail}"
    assert failed.__cause__ is None
    return failed


class Pausing(httpx2.AsyncByteStream):
    """A stream that begins and then stalls."""

    def __init__(self) -> None:
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b'data: {"choices": [{"index": 0, "delta": {"content": "he"}}]}\n\n'
        await asyncio.Event().wait()

    async def aclose(self) -> None:
        self.closed = True


class Breaking(httpx2.AsyncByteStream):
    """A body that breaks off, as with a lost connection."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b'data: {"choices": [{"index": 0, "delta": {"content": "he"}}]}\n\n'
        raise httpx2.RemoteProtocolError("the peer closed the connection")
