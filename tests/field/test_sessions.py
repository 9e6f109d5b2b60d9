"""Sessions whose first message fails: the client learns which one it was, and goes on in it.

Empty sessions that nobody can name fill the lists of other services: aaif-goose/goose#9348,
ForumMagnum/ForumMagnum#1042, NousResearch/hermes-agent#63078.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from agent_actors.errors import (
    AgentError,
    Busy,
    GuardrailRefused,
    ModelFailed,
    ModelTimedOut,
    Unavailable,
)
from agent_actors.model import Model, Prompt
from agent_actors.protocol.messages import Reply
from tests.conftest import Serve
from tests.fakes import FakeRuntime, HeldModel, eventually
from tests.unit.routes.edge.test_problems import a_problem
from tests.unit.routes.sidecar.lessons import got, post, replied, texts


class FirstFails(Model):
    """Fails once, then answers."""

    def __init__(self, error: Callable[[], AgentError]) -> None:
        self._error: Callable[[], AgentError] | None = error

    async def reply(self, prompt: Prompt) -> Reply:
        if self._error is not None:
            error, self._error = self._error(), None
            raise error
        return Reply(f"reply to {prompt.message.content}")


FAILURES: list[tuple[Callable[[], AgentError], int]] = [
    (lambda: ModelFailed("It refused."), 502),
    (lambda: ModelFailed("It is not there.", retry="no"), 502),
    (lambda: ModelTimedOut("It took too long."), 504),
    (lambda: GuardrailRefused("A guardrail refused."), 422),
]


@pytest.mark.parametrize(("error", "status"), FAILURES)
@pytest.mark.parametrize("headers", [{}, {"idempotency_key": "k"}])
async def test_a_failed_first_message_names_its_session(
    serve: Serve, error: Callable[[], AgentError], status: int, headers: dict[str, str]
):
    """The next message goes on in it, and the list has one session, with one turn."""
    async with serve(model=FirstFails(error)) as served:
        failed = a_problem(await post(served, "ada", "Hello", **headers), status)
        session = failed["session_id"]
        answer = await replied(served, "ada", "Hello again", session)

        assert answer["metadata"]["session_id"] == session
        assert (await got(served, "/users/ada/sessions"))["sessions"] == [session]
        assert await texts(served, session) == ["Hello again", "reply to Hello again"]


async def test_a_failed_message_in_a_session_names_it(serve: Serve):
    """The same for one that the client has named itself."""
    async with serve(model=FirstFails(lambda: ModelFailed("It refused."))) as served:
        failed = a_problem(await post(served, "ada", "Hello", "s1"), 502)

        assert failed["session_id"] == "s1"


async def test_a_store_that_is_away_names_the_session(serve: Serve):
    """It may have been listed before the store went away."""
    runtime = FakeRuntime()
    async with serve(runtime=runtime, call_time=0.2) as served:
        runtime.client.fail("save", Unavailable("The store is away."), times=100)
        failed = a_problem(await post(served, "ada", "Hello"), 503)

        assert failed["session_id"]


async def test_a_message_that_is_no_message_opens_nothing(serve: Serve):
    """What is refused before has no session, and leaves none on the list."""
    async with serve() as served:
        for text, status in ((" ", 400), ("x" * 70_000, 413)):
            failed = a_problem(await post(served, "ada", text), status)
            assert "session_id" not in failed
        assert (await got(served, "/users/ada/sessions"))["sessions"] == []


async def test_a_busy_session_is_named(serve: Serve):
    """429 is for this session, and a retry goes to the same one."""
    model = HeldModel()
    async with serve(model=model, queue_length=1) as served:
        first = asyncio.create_task(post(served, "ada", "Hello", "s1"))
        await eventually(lambda: model.prompts)
        failed: Any = a_problem(await post(served, "ada", "Me too", "s1"), Busy.status)
        model.free.set()
        await first

        assert failed["session_id"] == "s1"
