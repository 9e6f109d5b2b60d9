"""Which route takes the events of which topic."""

import json
from typing import Any

import pytest

from agent_actors.errors import Conflict
from agent_actors.protocol import wire
from agent_actors.protocol.codec import encode
from agent_actors.routes.sidecar import subscriptions
from tests.conftest import Serve
from tests.unit.routes.sidecar.lessons import conversation, got, message, texts, wrapped
from tests.unit.routes.sidecar.test_events import ours

EVENTS: list[dict[str, Any]] = [
    ours(1),
    ours(3),
    ours(1) | {"data": 7},
    ours(1, version=9),
    wrapped(conversation()),
    wrapped(message()),
]


@pytest.mark.parametrize("path", subscriptions.ROUTES)
async def test_in_process_a_callback_answers_as_its_route_does(serve: Serve, path: str):
    """The function that the runtime calls is the route's own."""
    async with serve() as served:
        called = subscriptions.callbacks(served.services)

        assert called.keys() == subscriptions.ROUTES.keys()
        for event in EVENTS:
            envelope = encode(event)
            answer = json.loads(await called[path](envelope))
            assert answer["status"] == await served.deliver(envelope, path)


async def test_a_letter_goes_to_the_route_of_its_topic(serve: Serve):
    """As on Dapr, where a dead letter is kept with its topic."""
    async with serve() as served:
        for topic, event in (
            (wire.USER_CHAT, ours(1)),
            (wire.CONVERSATIONS, wrapped(conversation())),
            (wire.MESSAGES, wrapped(message(user_id="bob"))),
        ):
            await subscriptions.redeliver(served.services, topic, encode(event))

        assert await served.services.reader.mark("ada", "ada") == 1
        assert len(await texts(served, "s1")) == 2
        assert await got(served, "/analytics/bob") == {"message_count": 1}


@pytest.mark.parametrize(
    ("topic", "event"),
    [
        (wire.USER_CHAT, wrapped(conversation())),
        (wire.USER_CHAT, ours(2)),
        (wire.CONVERSATIONS, wrapped(message())),
        (wire.MESSAGES, wrapped(conversation())),
        ("another", wrapped(message())),
        (wire.USER_CHAT + "-dead", ours(1)),
    ],
)
async def test_a_letter_that_fails_again_stays(serve: Serve, topic: str, event: dict[str, Any]):
    """Junk, a gap, a topic that nobody takes: the letter is kept."""
    async with serve() as served:
        with pytest.raises(Conflict):
            await subscriptions.redeliver(served.services, topic, encode(event))
