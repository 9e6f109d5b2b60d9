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
from tests.conftest import Serve, Served
from tests.fakes import FakeRuntime, HeldModel, QuickModel, eventually
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
        assert (await got(served, "/users/ada/sessions"))["sessions"] == []
        answer = await replied(served, "ada", "Hello again", session)

        assert answer["metadata"]["session_id"] == session
        assert (await got(served, "/users/ada/sessions"))["sessions"] == [session]
        assert await texts(served, session) == ["Hello again", "reply to Hello again"]


async def test_a_retry_of_a_failed_first_message_finds_its_session(serve: Serve):
    """The key alone leads to it, and the list has it from then on."""
    async with serve(model=FirstFails(lambda: ModelTimedOut("It took too long."))) as served:
        failed = a_problem(await post(served, "ada", "Hello", idempotency_key="k"), 504)
        again = await post(served, "ada", "Hello", idempotency_key="k")

        assert again.json()["metadata"]["session_id"] == failed["session_id"]
        assert (await got(served, "/users/ada/sessions"))["sessions"] == [failed["session_id"]]


async def test_a_session_is_listed_while_its_first_message_waits(serve: Serve):
    """A message that was accepted is on its way; if it fails later, the session is empty again."""
    model = HeldModel()
    async with serve(model=model) as served:
        accepted = await post(served, "ada", "Hello", "s1", prefer="respond-async")
        waiting = await got(served, "/users/ada/sessions")
        model.error = ModelFailed("It refused.", retry="no")
        model.free.set()
        await becomes(served, accepted.headers["location"], "failed")
        failed = await got(served, "/users/ada/sessions")

        assert (accepted.status_code, waiting["sessions"]) == (202, ["s1"])
        assert failed["sessions"] == []


@pytest.mark.parametrize("headers", [{}, {"idempotency_key": "k"}])
@pytest.mark.parametrize("prefer", ["respond-async", "wait=0"])
async def test_an_accepted_message_names_its_session(
    serve: Serve, prefer: str, headers: dict[str, str]
):
    """A 202 has the metadata of a 200; sent back with the next message, it goes on in there."""
    model = HeldModel()
    async with serve(model=model) as served:
        accepted = await post(served, "ada", "Hello", prefer=prefer, **headers)
        told = accepted.json()
        model.free.set()
        await becomes(served, accepted.headers["location"], "done")
        body = {"user_id": "ada", "text": "And?", "metadata": told["metadata"]}
        second = (await served.http.post("/chat/", json=body)).json()

        session = told["metadata"]["session_id"]
        assert accepted.status_code == 202
        assert accepted.headers["location"] == f"/conversations/{session}/turns/{told['turn_id']}"
        assert set(told["metadata"]) == set(second["metadata"])
        assert second["metadata"]["session_id"] == session
        assert len(await texts(served, session)) == 4


async def test_a_parked_message_names_its_session(serve: Serve):
    """So does the 202 of a caller that has waited long enough."""
    model = HeldModel()
    async with serve(model=model, parking_time=0.1) as served:
        accepted = await post(served, "ada", "Hello", "s1", prefer="wait=1")
        model.free.set()

        assert (accepted.status_code, accepted.json()["status"]) == (202, "running")
        assert accepted.json()["metadata"]["session_id"] == "s1"


async def test_the_document_names_the_session_of_a_202(serve: Serve):
    """The OpenAPI document has it as a member that is always there, for `/chat/` alone."""
    async with serve() as served:
        document = served.app.openapi()

    def schema(path: str) -> dict[str, Any]:
        answer = document["paths"][path]["post"]["responses"]["202"]
        name = answer["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        found: dict[str, Any] = document["components"]["schemas"][name]
        return found

    assert {"turn_id", "status", "metadata"} <= set(schema("/chat/")["required"])
    assert "Location" in document["paths"]["/chat/"]["post"]["responses"]["202"]["description"]
    assert "metadata" not in schema("/chat/{actor_id}")["properties"]


async def test_a_session_of_another_user_is_not_listed(serve: Serve):
    """Two users name one session at the same time: it is listed for its owner alone."""
    model = HeldModel()
    async with serve(model=model) as served:
        first = asyncio.create_task(post(served, "ada", "Hello", "s1"))
        await eventually(lambda: model.prompts)
        second = asyncio.create_task(post(served, "eve", "Hello", "s1"))
        await eventually(lambda: listed(served, "eve"))
        model.free.set()
        statuses = [(await each).status_code for each in (first, second)]

        assert statuses == [200, 404]
        assert (await got(served, "/users/ada/sessions"))["sessions"] == ["s1"]
        assert (await got(served, "/users/eve/sessions"))["sessions"] == []


async def test_a_deletion_closes_a_session_without_turns(serve: Serve):
    """It is not shown, but a deletion finds it: no message reaches it afterwards."""
    async with serve(model=FirstFails(lambda: ModelFailed("It refused."))) as served:
        failed = a_problem(await post(served, "ada", "Hello"), 502)
        await served.http.delete("/users/ada")

        a_problem(await post(served, "ada", "Hello again", failed["session_id"]), 410)


async def test_a_session_that_cannot_be_read_hides_no_other(serve: Serve):
    """It is listed, so that somebody notices; its own route says what is wrong."""
    runtime = FakeRuntime()
    async with serve(runtime=runtime, model=QuickModel()) as served:
        for session in ("s1", "s2", "s3"):
            await replied(served, "ada", "Hello", session)
        broken = runtime.client.state["ChatAgent", "session:s2"]
        broken.update(dict.fromkeys(broken, b'{"v": 9000}'))

        assert (await got(served, "/users/ada/sessions"))["sessions"] == ["s1", "s2", "s3"]
        a_problem(await served.http.get("/conversations/s2"), 500)


async def listed(served: Served, user: str) -> tuple[str, ...]:
    """The stored list of a user's sessions."""
    return (await served.services.reader.sessions(user)).session_ids


async def becomes(served: Served, address: str, status: str) -> None:
    """Waits until a turn has that status."""

    async def reached() -> bool:
        return bool((await got(served, address))["status"] == status)

    await eventually(reached)


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
