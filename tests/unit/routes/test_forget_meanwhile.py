"""`DELETE /users/{user_id}` while something is under way, or goes wrong."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from agent_actors.errors import Unavailable
from agent_actors.protocol import ids, wire
from agent_actors.protocol.codec import encode
from agent_actors.protocol.messages import HighWaterMark
from tests.conftest import Serve, Served
from tests.fakes import FakeActorClient, FakeRuntime, HeldModel, QuickModel, eventually
from tests.unit.routes.sidecar.lessons import (
    AT_ONCE,
    LATER,
    becomes,
    conversation,
    letters,
    post,
    replied,
    wrapped,
)
from tests.unit.routes.test_forget import MARKER, forget, rows_with


@pytest.mark.parametrize("session", [None, "s1"])
async def test_turns_under_way_are_cancelled(serve: Serve, tmp_path: Path, session: str | None):
    """Running and waiting turns are cancelled; their late answers are not committed."""
    model = HeldModel()
    name = ids.session(session) if session else "ada"

    async def say(content: str) -> str:
        told = (
            await served.say("ada", content, prefer="respond-async")
            if session is None
            else await post(served, "ada", content, session, prefer="respond-async")
        )
        assert told.status_code == 202, told.text
        return told.headers["location"]

    async with serve(model=model) as served:
        addresses = [await say(f"{MARKER} {number}") for number in range(2)]
        await eventually(lambda: model.prompts)
        await forget(served)

        for address in addresses:
            state = (await served.http.get(address)).json()
            assert (state["status"], state["error"]["status"]) == ("cancelled", 409)
        assert rows_with(tmp_path, MARKER) == []

        model.says = MARKER
        model.free.set()
        await eventually(lambda: not served.services.turns._tasks)
        await served.services.actors.chat.settle(HighWaterMark(name, 0))
        assert len(model.prompts) == 1
        assert rows_with(tmp_path, MARKER) == []
        assert (await served.services.reader.head(name)).seq == 0


async def test_a_waiting_caller_gets_409(serve: Serve):
    """A waiting caller gets 409, and `retry` says to send a new message."""
    model = HeldModel()
    async with serve(model=model, parking_time=0.05) as served:
        asked = asyncio.create_task(served.say("ada", "slow"))

        async def parked() -> bool:
            return bool((await served.services.reader.head("ada")).queue)

        await eventually(parked)
        await forget(served)
        answer = await asked

        assert (answer.status_code, answer.json()["retry"]) == (409, "new-key")
        model.free.set()


class Interrupted(FakeActorClient):
    """One whose exchanges fail, from a moment on, for one time."""

    left: int | None = None
    """Exchanges that go well before; None: all of them do."""

    @asynccontextmanager
    async def _doing(self, operation: str, *names: str) -> AsyncIterator[None]:
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                self.left = None
                raise Unavailable("away")
        async with super()._doing(operation, *names):
            yield


async def test_a_deletion_that_broke_off_is_finished_by_the_next(serve: Serve):
    """If any part fails, the answer is 503; a retry gives 204 and deletes the rest."""
    runtime = FakeRuntime()
    runtime.client = client = Interrupted()
    async with serve(runtime=runtime, model=QuickModel(), **AT_ONCE) as served:
        for exchanges in range(200):
            user = f"u{exchanges}"
            await _short_life(served, runtime, user)
            client.left = exchanges
            status = (await served.http.delete(f"/users/{user}")).status_code
            client.left = None
            await forget(served, user)

            assert not [state for state in client.state.values() if MARKER in repr(state)]
            assert runtime.letters.kept == {}
            assert (await post(served, user, "x", f"s-{user}")).status_code == 410
            if status == 204:
                break
            assert status == 503

        assert 20 < exchanges < 199


async def _short_life(served: Served, runtime: FakeRuntime, user: str) -> None:
    """A turn of the user's own, one in a session, and a dead letter."""
    runtime.published.clear()
    await served.reply(user, MARKER)
    await replied(served, user, MARKER, f"s-{user}")
    for event in runtime.published:
        envelope = encode({"id": event.id, "specversion": "1.0", "data": event.data})
        assert await served.deliver(envelope) == "SUCCESS"
    await served.deliver(wrapped(conversation(user_id=user)), "/conversations/dead")
    await becomes(served, f"/analytics/{user}", {"message_count": 2})
    last = {"message": MARKER, "reply": f"reply to {MARKER}"}
    await becomes(served, f"/users/{user}/session", {"history": [last, last]})


class Held(FakeActorClient):
    """One whose save of a conversation waits at a gate."""

    def __init__(self, conversation: str) -> None:
        super().__init__()
        self.conversation = conversation
        self.gate = asyncio.Event()
        self.waiting = asyncio.Event()

    @asynccontextmanager
    async def _doing(self, operation: str, *names: str) -> AsyncIterator[None]:
        if (operation, *names[:2]) == ("save", wire.CHAT, self.conversation):
            self.waiting.set()
            await self.gate.wait()
        async with super()._doing(operation, *names):
            yield


async def test_an_old_event_that_comes_meanwhile_has_no_effect(serve: Serve):
    """An old event that arrives during the deletion begins no session."""
    runtime = FakeRuntime()
    runtime.client = client = Held("session:s1")
    async with serve(runtime=runtime) as served:
        client.gate.set()
        told = conversation(user_message=MARKER)
        assert await served.deliver(wrapped(told), "/conversations") == "SUCCESS"
        client.gate.clear()
        client.waiting.clear()
        deleted = asyncio.create_task(served.http.delete("/users/junaid"))
        await client.waiting.wait()
        late = wrapped(told | {"session_id": "s2"}, "e2")
        assert await served.deliver(late, "/conversations") == "SUCCESS"
        client.gate.set()

        assert (await deleted).status_code == 204
        assert not [state for state in client.state.values() if MARKER in repr(state)]
        assert (await served.http.get("/users/junaid/export")).status_code == 404


@pytest.mark.parametrize("path", ["/conversations/dead", "/messages/dead", "/subscribe/dead"])
async def test_an_old_dead_letter_is_not_kept_afterwards(serve: Serve, path: str):
    """An old event is not stored as a dead letter after the deletion; a new one is."""
    async with serve() as served:
        await forget(served, "junaid")
        said = {"role": "user", "content": MARKER}
        data = conversation(actor_id="junaid", input=said, output=said | {"role": "assistant"})
        assert await served.deliver(wrapped(data), path) == "SUCCESS"
        assert await letters(served) == []

        assert await served.deliver(wrapped(data, time=LATER), path) == "SUCCESS"
        assert len(await letters(served)) == 1


async def test_a_deletion_does_not_wait_for_later_messages(serve: Serve):
    """A message that arrives during the deletion belongs to the new data."""
    model = HeldModel()
    runtime = FakeRuntime()
    async with serve(model=model, runtime=runtime, parking_time=0.05) as served:
        model.free.set()
        await served.reply("ada", "old")
        model.free.clear()
        gate = runtime.client.hold("save")
        deleted = asyncio.create_task(served.http.delete("/users/ada"))
        await eventually(lambda: ("save", wire.CHAT, "ada", "head") in runtime.client.log[-1:])
        said = asyncio.create_task(served.say("ada", "new"))
        gate.set()

        assert (await deleted).status_code == 204
        model.free.set()
        assert (await said).status_code == 200
        assert [entry["content"] for entry in (await served.history("ada"))["history"]] == [
            "new",
            "reply to new",
        ]
