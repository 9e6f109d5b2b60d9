"""NotificationActor as a consumer: which turns cause a notification."""

import json
from typing import Any

import pytest

from agent_actors.notifications.recipients import LOOK_BACK, NOTHING_OWED, NotificationRecipients
from agent_actors.protocol import wire
from agent_actors.protocol.clients import ProxyFactory
from agent_actors.protocol.events import TurnEvent
from agent_actors.protocol.messages import Message
from agent_actors.protocol.notifications import NEWS, Notify, timestamp
from agent_actors.users.feed import EventFeed
from tests.fakes import FakeActorClient
from tests.unit.notifications.phones import Kept


class Actor(NotificationRecipients):
    """Recipients without an actor: events in order are taken, the others are too early."""

    def __init__(self, kept: Kept) -> None:
        super().__init__(ProxyFactory(kept.client), kept.reader, kept.clock)
        self.applied: int = 0
        self.calls: list[list[int | None]] = []

    async def notify(self, user: str, request: Notify) -> tuple[str, ...]:
        self.calls.append([event.seq for event in request.events])
        early = []
        for event in request.events:
            mark = max(self.applied, event.floor)
            if event.seq == mark + 1:
                self.applied = event.seq
            elif event.seq is not None and event.seq > mark:
                early.append(event.event_id)
        return tuple(early)


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def owners(kept: Kept) -> Actor:
    return Actor(kept)


@pytest.fixture
def marked(owners: Actor, kept: Kept) -> Actor:
    """The actor's mark."""

    class Answering(FakeActorClient):
        async def invoke_method(self, *names: Any) -> bytes:
            return json.dumps(owners.applied).encode()

    owners._factory = ProxyFactory(Answering())
    return owners


def told(seq: int | None, event_id: str = "") -> TurnEvent:
    said = Message("user", "hi"), Message("assistant", "hello")
    return TurnEvent("ada", event_id or f"event {seq}", *said, seq)


async def test_a_user_without_a_number_costs_a_read(owners: Actor, kept: Kept):
    """No actor is called, and no event is missed."""
    kept.history(10, 5)

    assert await owners.apply("ada", [told(1)]) == ()
    assert await owners.mark("ada", "ada") == NOTHING_OWED
    assert owners.calls == []
    assert [entry[0] for entry in kept.client.log] == ["get", "get"]


async def test_a_batch_is_put_in_order(marked: Actor, kept: Kept):
    """Events may overtake each other; those of other services have no number."""
    kept.number()
    kept.history(0, 0)
    await marked.apply("ada", [told(2), told(None, "foreign"), told(1)])

    assert marked.calls == [[None, 1, 2]]


async def test_notifications_start_with_the_first_turn_after_the_number(marked: Actor, kept: Kept):
    """Those before it are not missed, however many they are; those after it are not lost."""
    kept.history(*[10.0] * 5)
    kept.number()
    assert await marked.mark("ada", "ada") == 5

    kept.clock.jump(2)
    kept.history(*[12.0] * 5, 1.0, 0.0)
    assert await marked.mark("ada", "ada") == 5
    assert await marked.apply("ada", [told(7)]) == ("event 7",)
    assert await marked.apply("ada", [told(6), told(7)]) == ()
    assert marked.applied == 7


async def test_notifications_continue_after_a_new_number(marked: Actor, kept: Kept):
    """Turns from the time between two numbers cause none."""
    marked.applied = 2
    kept.history(30, 30, 20, 20)
    kept.number()
    assert await marked.mark("ada", "ada") == 4

    kept.clock.jump(2)
    kept.history(30, 30, 20, 20, 1)
    assert await marked.apply("ada", [told(5)]) == ()
    assert marked.applied == 5


@pytest.mark.parametrize(
    ("later", "ages", "more", "mark"),
    [
        (5, [3, 2, 1], {"start": 2}, 2),
        (2 * NEWS, [NEWS + 1, NEWS + 1, 10], {}, 2),
        (5, [1.0] * (LOOK_BACK + 8), {}, 8),
        (0, [-1, -1], {"start": 1, "user": "bob"}, 0),
    ],
    ids=["cleared", "old", "beyond the look back", "another user's"],
)
async def test_turns_that_cause_no_notification_are_not_missed(
    marked: Actor, kept: Kept, later: float, ages: list[float], more: dict[str, Any], mark: int
):
    """The mark is past them, so that nothing waits for them; an event may name any conversation."""
    kept.number()
    kept.clock.jump(later)
    kept.history(*ages, **more)

    assert await marked.mark("ada", "ada") == mark


async def test_who_has_all_reads_no_more_than_the_head(marked: Actor, kept: Kept):
    """As in each rest of a conversation."""
    kept.number()
    kept.history(1, 1)
    marked.applied = 2

    assert await marked.mark("ada", "ada") == 2
    assert [entry[1:] for entry in kept.client.log] == [
        (wire.SESSION, "ada", "phone"),
        (wire.CHAT, "ada", "head"),
    ]


async def test_what_is_read_from_the_history_has_its_time(marked: Actor, kept: Kept):
    """An old turn that a consumer gets later is recognised as old."""
    kept.number()
    kept.clock.jump(5)
    kept.history(3, 2)
    feed = EventFeed((marked,), kept.reader, kept.clock, 1.0)
    missed = await feed.missed(marked, "ada", "ada")

    assert [kept.now - (timestamp(each.occurred_at) or 0.0) for each in missed] == [3, 2]
