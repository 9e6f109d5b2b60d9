"""Bugs of the published lessons about users, sessions, and events of other services."""

import pytest

from agent_actors.errors import Unavailable
from tests.conftest import Serve
from tests.fakes import FakeRuntime, QuickModel
from tests.unit.routes.sidecar.lessons import (
    AT_ONCE,
    becomes,
    conversation,
    got,
    letters,
    message,
    replied,
    texts,
    wrapped,
)


async def test_b5_an_event_of_another_service_is_counted_once(serve: Serve):
    """Delivered five times, as a broker may: one exchange, one message, one turn."""
    async with serve(**AT_ONCE) as served:
        for _ in range(5):
            assert await served.deliver(wrapped(conversation()), "/conversations") == "SUCCESS"
            assert await served.deliver(wrapped(message(user_id="bob")), "/messages") == "SUCCESS"

        assert await texts(served, "s1") == ["Hello", "Hi Junaid!"]
        await becomes(served, "/analytics/junaid", {"message_count": 1})
        assert await got(served, "/analytics/bob") == {"message_count": 1}


@pytest.mark.parametrize(
    ("path", "event"), [("/conversations", conversation()), ("/messages", message())]
)
async def test_b6_a_verdict_on_an_event_of_another_service_is_one_that_daprd_knows(
    serve: Serve, path: str, event: dict[str, str]
):
    """The lesson said `ignored`, which daprd takes for an error and delivers for ever."""
    runtime = FakeRuntime()
    async with serve(runtime=runtime) as served:
        assert await served.deliver(wrapped(event | {"event_type": "Other"}), path) == "DROP"
        runtime.client.fail("save", Unavailable("away"))
        assert await served.deliver(wrapped(event), path) == "RETRY"
        assert await served.deliver(wrapped(event), path) == "SUCCESS"


async def test_b30_what_is_known_of_a_user_is_saved(serve: Serve):
    """After three interactions and a restart it is all there, not an empty list."""
    person = {"name": "Ada", "preferred_style": "formal", "user_summary": "Ada is known."}
    paths = ("/memories/ada", "/analytics/ada", "/users/ada/session", "/users/ada/preferences")
    async with serve(model=QuickModel(), **AT_ONCE) as served:
        await served.http.post("/memories/ada/initialize", json=person)
        await served.http.put("/users/ada/preferences", json={"language": "en"})
        for number in range(3):
            await replied(served, "ada", f"m{number}", "s1")
        await becomes(served, "/analytics/ada", {"message_count": 3})
        history = await got(served, "/conversations/s1")
        known = [await got(served, path) for path in paths]
    async with serve(model=QuickModel()) as served:
        assert [await got(served, path) for path in paths] == known
        assert await got(served, "/conversations/s1") == history
        assert len(history["history"]) == 6
        assert len(await served.memory("ada")) == 3


async def test_b31_one_answer_is_one_and_raises_nothing(serve: Serve):
    """Nobody is alerted by it: the turn's own event is all that is told."""
    runtime = FakeRuntime()
    async with serve(runtime=runtime, model=QuickModel(), **AT_ONCE) as served:
        await replied(served, "ada", "the right answer", "s1")
        (event,) = runtime.published
        assert await served.deliver({"id": event.id, "data": event.data}) == "SUCCESS"
        await becomes(served, "/analytics/ada", {"message_count": 1})

        assert event.type == "ConversationUpdated"
        assert len(runtime.published) == 1
        assert await letters(served) == []
