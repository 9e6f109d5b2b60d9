"""NotificationActor saves notifications before they are sent."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from dapr.actor import ActorId

from agent_actors.errors import Unavailable
from agent_actors.notifications.actor import KEPT, NotificationActor
from agent_actors.protocol import wire
from agent_actors.protocol.events import TurnEvent
from agent_actors.protocol.messages import Failure, ForgetUser, HighWaterMark, MarkRequest
from agent_actors.protocol.notifications import NEWS, NotificationReport, Notify, PhoneNumber, Sms
from agent_actors.state import slots
from tests.fakes import FakeActorClient, a_context, a_host
from tests.hand_clock import HandClock
from tests.unit.users.consumers import event

KEY = (wire.NOTIFICATIONS, "ada")
NUMBER = "+14155550123"
DAY = 86_400.0


class Bench:
    """ada's, three SMS a day; her number was set when the clock began."""

    def __init__(self) -> None:
        self.client = FakeActorClient()
        self.clock = HandClock()
        self.texts: list[Sms] = []
        self.saved_first: list[bool] = []
        """For each call of `send`, whether the mark was saved before."""
        self.phone = PhoneNumber(NUMBER, self.now())
        self._host = a_host(self.clock)
        self.activate()
        self.clock.jump(1)

    def activate(self) -> None:
        """A fresh activation, as after a crash or an idle time."""
        context = a_context(NotificationActor, self.client)
        actor = NotificationActor(context, ActorId("ada"), self._host, 3, self._send)
        self.actor = self._host.activations.record(actor)

    def _send(self, texts: Sequence[Sms]) -> None:
        if texts:
            self.saved_first.append(bool(self.client.did("save")))
        self.texts += texts

    def now(self) -> float:
        return self.clock.now().timestamp()

    async def take(self, *events: TurnEvent) -> Any:
        return await self.actor.notify(Notify(self.phone, events))

    async def told(self, *seqs: int, conversation: str = "ada") -> Any:
        """Delivers turns that were committed now."""
        return await self.take(*(self.turn(seq, conversation) for seq in seqs))

    def turn(self, seq: int, conversation: str = "ada", *, ago: float = 0.0) -> TurnEvent:
        """A turn, committed so many seconds ago."""
        occurred = self.clock.now() - timedelta(seconds=ago)
        told = event(seq, conversation, turn_id=f"turn {seq}")
        return replace(told, occurred_at=occurred.isoformat())

    async def mark(self, conversation: str = "ada") -> int:
        return await self.actor.get_mark(MarkRequest(conversation))

    @property
    def document(self) -> dict[str, Any]:
        return self.client.value(KEY, slots.NOTICES) or {}

    @property
    def statuses(self) -> list[str]:
        return [each["status"] for each in self.document.get("notices", ())]

    @property
    def numbers(self) -> list[int]:
        return [int(each.turn_id.removeprefix("turn ")) for each in self.texts]


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_a_turn_is_saved_before_it_is_sent(bench: Bench):
    """In one transaction with its mark; the status is unknown until it is reported."""
    assert await bench.told(1) == ()

    assert bench.client.did("save") == [("save", *KEY, "notices", "s:ada")]
    assert bench.saved_first == [True]
    (sms,) = bench.texts
    assert sms.text == "New message from ada: said 1 -> answered 1"
    assert (sms.user_id, sms.actor_id, sms.turn_id) == ("ada", "ada", "turn 1")
    assert (sms.since, sms.at) == (bench.phone.since, bench.now())
    (kept,) = bench.document["notices"]
    assert kept == {
        "id": sms.id,
        "at": bench.now(),
        "conversation": "ada",
        "turn_id": "turn 1",
        "status": "unknown",
        "ending": "123",
    }
    assert await bench.mark() == 1


async def test_neither_the_number_nor_the_messages_are_saved(bench: Bench):
    """The number is in the preferences only, and the messages are in the history only."""
    await bench.told(1, 2)
    stored = b"".join(bench.client.state[KEY].values())

    assert NUMBER.encode() not in stored
    assert b"said" not in stored
    assert b"answered" not in stored


async def test_a_turn_causes_one_notification(bench: Bench):
    """However often its event comes, even to another activation or within one batch."""
    await bench.told(1)
    await bench.told(1)
    bench.activate()
    await bench.told(1, 2, 2, 1)

    assert bench.numbers == [1, 2]


@pytest.mark.parametrize("after", [False, True])
async def test_a_save_that_fails_sends_nothing(bench: Bench, after: bool):
    """If the save worked after all, the SMS is lost; otherwise the event comes again."""
    bench.client.fail("save", Unavailable("away"), after=after)

    assert isinstance(await bench.told(1), Failure)
    assert bench.texts == []

    await bench.told(1)
    assert bench.numbers == ([] if after else [1])
    assert bench.statuses == ["unknown"]


async def test_a_gap_is_reported_and_closed_in_order(bench: Bench):
    """An event that comes too early waits for the missing one."""
    await bench.told(1)

    assert await bench.told(3) == (event(3).event_id,)
    assert bench.numbers == [1]
    assert await bench.told(2, 3) == ()
    assert bench.numbers == [1, 2, 3]


async def test_each_conversation_has_a_mark_of_its_own(bench: Bench):
    """The text names it as its users know it."""
    await bench.told(1)
    await bench.told(1, conversation="session:s1")

    assert [text.text.split(":")[0] for text in bench.texts] == [
        "New message from ada",
        "New message from s1",
    ]
    assert bench.texts[1].actor_id == "session:s1"
    assert await bench.mark("session:s1") == 1


@pytest.mark.parametrize(("later", "ages"), [(0, (1, 0)), (2 * NEWS, (NEWS, NEWS - 1))])
async def test_old_turns_are_skipped(bench: Bench, later: float, ages: tuple[float, float]):
    """From before the number, or late for whatever reason: the mark moves, and nothing is kept."""
    bench.clock.jump(later)
    await bench.take(*(bench.turn(seq, ago=ago) for seq, ago in enumerate(ages, 1)))

    assert bench.numbers == [2]
    assert len(bench.statuses) == 1
    assert await bench.mark() == 2


async def test_turns_below_the_floor_are_not_missed(bench: Bench):
    """The event after it is applied at once."""
    assert await bench.take(replace(bench.turn(7), floor=6)) == ()
    assert bench.numbers == [7]


async def test_an_event_of_another_service_causes_one_notification(bench: Bench):
    """It is recognised by its id; from before the phone number or a deletion, it has no effect."""
    foreign = event(None, event_id="one", at=bench.now())
    for each in (foreign, foreign, replace(foreign, event_id="two", at=bench.phone.since)):
        await bench.take(each)
    assert [each.id for each in bench.texts] == ["one"]
    assert bench.document["seen"] == ["one", "two"]

    await bench.actor.forget(ForgetUser((), bench.now()))
    await bench.take(foreign)
    assert len(bench.texts) == 1


async def test_an_event_of_unknown_time_causes_a_notification(bench: Bench):
    """It is not known to be old."""
    await bench.take(event(None, event_id="one"))
    await bench.take(replace(bench.turn(1), occurred_at="yesterday"))

    assert len(bench.texts) == 2


async def test_a_day_has_a_limit(bench: Bench):
    """Further notifications are kept, but not sent; a new day of UTC has a new limit."""
    await bench.told(1, 2, 3, 4)
    await bench.told(5)
    assert bench.numbers == [1, 2, 3]
    assert bench.statuses == ["unknown"] * 3 + ["over the limit"] * 2

    bench.clock.jump(DAY - 2)  # The last second of the day.
    await bench.told(6)
    bench.clock.jump(1)
    await bench.told(7)
    assert bench.numbers == [1, 2, 3, 7]
    assert bench.document["taken"] == 1


async def test_the_last_ones_are_kept(bench: Bench):
    """Newest last."""
    await bench.told(*range(1, KEPT + 3))

    assert len(bench.statuses) == KEPT
    assert bench.document["notices"][0]["turn_id"] == "turn 3"


async def test_a_status_is_saved(bench: Bench):
    """For the notification that it is about."""
    await bench.told(1, 2)
    await bench.actor.report(NotificationReport(bench.texts[1].id, "sent"))
    assert bench.statuses == ["unknown", "sent"]

    bench.activate()
    await bench.actor.report(NotificationReport(bench.texts[0].id, "failed"))
    assert bench.statuses == ["failed", "sent"]
    assert await bench.mark() == 2


async def test_a_report_of_nothing_saves_nothing(bench: Bench):
    """If the notification is not kept any more, or has this status already."""
    await bench.told(1)
    await bench.actor.report(NotificationReport(bench.texts[0].id, "sent"))
    saves = len(bench.client.did("save"))
    await bench.actor.report(NotificationReport(bench.texts[0].id, "sent"))
    await bench.actor.report(NotificationReport("another", "sent"))

    assert len(bench.client.did("save")) == saves


async def test_a_forgotten_user_leaves_marks(bench: Bench):
    """They move up, so events that are still on their way have no effect; nothing else stays."""
    await bench.told(1, 2)
    request = ForgetUser((HighWaterMark("ada", 3), HighWaterMark("session:s1", 1)), bench.now())
    await bench.actor.forget(request)

    assert bench.client.state[KEY].keys() == {"s:ada", "s:session:s1", "tombstone"}
    assert await bench.mark() == 3
    await bench.told(3)
    await bench.told(1, conversation="session:s1")
    assert bench.numbers == [1, 2]
    await bench.told(4)
    assert bench.numbers == [1, 2, 4]
