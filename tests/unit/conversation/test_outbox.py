"""The events a conversation owes."""

import asyncio
import json
from dataclasses import replace

import pytest

from agent_actors.conversation.outbox import Outbox, turn_event
from agent_actors.errors import Invalid, Unavailable
from agent_actors.protocol import ids
from agent_actors.protocol.codec import encode
from agent_actors.protocol.events import CloudEvent
from agent_actors.state.documents.conversation import Head
from tests.fakes import FakeRuntime, a_pair
from tests.hand_clock import HandClock, settle

HEAD = Head(user="ada", seq=3, start=1, low=2)


async def test_the_published_json_of_a_turn():
    """Exactly these fields are published; the envelope has the id, type and subject."""
    runtime = FakeRuntime()
    await Outbox(runtime.publish, HandClock(), 5.0).publish("session:x", HEAD, a_pair(3, "10m"))
    (event,) = runtime.published

    assert (event.id, event.type) == (ids.event_id("session:x", 3), "ConversationUpdated")
    assert (event.source, event.subject) == ("agent-actors", "session:x")
    assert json.loads(encode(event.data)) == {
        "version": 1,
        "event_id": event.id,
        "event_type": "ConversationUpdated",
        "actor_id": "session:x",
        "actor_type": "ChatAgent",
        "history_key": "history-session:x",
        "user_id": "ada",
        "session_id": "x",
        "turn_id": "turn 3",
        "seq": 3,
        "input": {"role": "user", "content": "10m"},
        "output": {"role": "assistant", "content": "answered 3"},
        "user_message": "10m",
        "assistant_reply": "answered 3",
        "model": "echo",
        "usage": {"input_tokens": 0, "output_tokens": 0},
        "occurred_at": "2026-01-01T00:00:00+00:00",
        "floor": 1,
        "schedule": None,
    }


def test_an_event_is_the_same_each_time():
    """It is made from its pair; only the number of erased turns may have changed."""
    first = turn_event("ada", HEAD, a_pair(3))
    later = replace(HEAD, seq=9, start=5, low=3)

    assert turn_event("ada", later, a_pair(3)) == replace(first, floor=2)


@pytest.mark.parametrize("error", [Unavailable("away"), Invalid("no component"), TimeoutError()])
async def test_an_event_that_is_not_taken_is_only_logged(
    error: BaseException, caplog: pytest.LogCaptureFixture
):
    """The log has its id, and no text."""
    runtime = FakeRuntime()
    runtime.refusal = error
    await Outbox(runtime.publish, HandClock(), 5.0).publish("ada", HEAD, a_pair(1, "secret"))

    assert ids.event_id("ada", 1) in caplog.text
    assert "secret" not in caplog.text


async def test_a_broker_that_does_not_answer_is_waited_for_the_call_time():
    """Then the turn goes on; the reminder publishes again."""
    clock = HandClock()

    async def never(pubsub: str, topic: str, event: CloudEvent) -> None:
        await asyncio.Event().wait()

    published = asyncio.create_task(Outbox(never, clock, 5.0).publish("ada", HEAD, a_pair(1)))
    await settle()
    await clock.advance(5)

    assert published.done()
    assert published.exception() is None
