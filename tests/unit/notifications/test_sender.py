"""The sending of notifications, outside every actor's turn."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import pytest

from agent_actors.errors import AgentError, BindingFailed, Conflict, Defect, Invalid, Unavailable
from agent_actors.notifications.sender import AT_ONCE, TRIES, SmsBinding, SmsSender
from agent_actors.protocol import wire
from agent_actors.protocol.clients import NotificationClient, ProxyFactory
from agent_actors.protocol.codec import encode
from agent_actors.protocol.dead_letters import is_about
from agent_actors.protocol.notifications import NotificationReport, PhoneNumber, Sms
from agent_actors.state import slots
from agent_actors.state.documents.users import Tombstone
from tests.fakes import FakeDeadLetters
from tests.hand_clock import settle
from tests.readings import counted
from tests.unit.notifications.phones import NUMBER, Kept

WHOSE: ContextVar[str] = ContextVar("whose", default="nobody's")


@dataclass
class Reported(NotificationClient):
    """The actor as the sender sees it."""

    factory: ProxyFactory
    reports: list[NotificationReport] = field(default_factory=list)
    errors: list[AgentError] = field(default_factory=list)

    async def report(self, user: str, request: NotificationReport) -> None:
        assert user == "ada"
        if self.errors:
            raise self.errors.pop(0)
        self.reports.append(request)


class Bench(Kept):
    """A sender with the binding `sms`, which may take ten seconds."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = self.now
        self.number()
        self.letters = FakeDeadLetters()
        self.actors = Reported(ProxyFactory(self.client))
        self.asked: list[tuple[str, str, Any, dict[str, str]]] = []
        self.contexts: list[str] = []
        self.errors: list[BaseException] = []
        self.free = asyncio.Event()
        self.free.set()
        carrier = SmsBinding(self.invoke, "sms", 10.0)
        self.sending = SmsSender(carrier, self.actors, self.reader, self.letters, self.clock)

    async def invoke(self, name: str, operation: str, data: Any, metadata: dict[str, str]) -> bytes:
        self.asked.append((name, operation, data, metadata))
        self.contexts.append(WHOSE.get())
        await self.free.wait()
        if self.errors:
            raise self.errors.pop(0)
        return b""

    def sms(self, number: int = 1, user: str = "ada") -> Sms:
        """One for the number that the user had at the beginning."""
        named = (f"sms {number}", user, "ada", f"turn {number}", f"text {number}")
        return Sms(*named, since=self.begun, at=self.now)

    async def send(self, *texts: Sms) -> None:
        self.sending.send(texts)
        await settle()

    @property
    def statuses(self) -> list[tuple[str, str]]:
        return [(each.notice_id, each.status) for each in self.actors.reports]

    @property
    def sent(self) -> list[str]:
        return [data for _, _, data, _ in self.asked]

    async def requeue(self) -> None:
        """Sends the oldest dead letter again."""
        letter = next(iter(self.letters.kept.values()))
        await self.sending.resend(json.dumps(letter.event).encode())

    def forgotten(self) -> None:
        """The user is deleted now: the number goes, and a tombstone stays."""
        self.number(None)
        key = slots.TOMBSTONE.key
        self.client.state[wire.ANALYTICS, "ada"][key] = encode(Tombstone(at=self.now))


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    yield bench
    bench.free.set()
    await bench.sending.stop()


async def test_an_sms_is_sent_and_reported(bench: Bench):
    """As Dapr's component wants it; it inherits nothing of its turn, such as a reentrancy id."""
    WHOSE.set("the turn's")
    await bench.send(bench.sms())

    assert bench.contexts == ["nobody's"]
    assert bench.asked == [("sms", "create", "text 1", {"toNumber": NUMBER})]
    assert bench.statuses == [("sms 1", "sent")]
    assert bench.letters.kept == {}


async def test_sending_waits_for_nothing(bench: Bench):
    """Its caller is an actor's turn."""
    bench.free.clear()
    bench.sending.send([bench.sms()])

    assert bench.asked == []


async def test_the_sms_of_a_user_go_one_after_the_other(bench: Bench):
    """In order, even if they are added later; other users do not wait."""
    bench.free.clear()
    await bench.send(bench.sms(1), bench.sms(2))
    await bench.send(bench.sms(3))
    assert bench.sent == ["text 1"]

    bench.free.set()
    await settle()
    assert bench.sent == ["text 1", "text 2", "text 3"]
    await bench.send(bench.sms(4))
    assert bench.statuses[-1] == ("sms 4", "sent")


async def test_not_too_many_are_sent_at_once(bench: Bench):
    """The others wait, and their time does not run."""
    for number in range(AT_ONCE + 1):
        user = bench.client.state[wire.SESSION, f"user {number}"]
        user[slots.PHONE.key] = encode(PhoneNumber(NUMBER, bench.now))
    bench.free.clear()
    bench.actors.errors = [Defect("of others")] * AT_ONCE
    await bench.send(*(bench.sms(n, f"user {n}") for n in range(AT_ONCE + 1)))
    assert len(bench.asked) == AT_ONCE

    await bench.clock.advance(10)
    assert len(bench.asked) == AT_ONCE + 1


@pytest.mark.parametrize(
    "error", [BindingFailed("It has answered 400."), Defect("no"), Invalid("no")]
)
async def test_what_failed_is_a_dead_letter(
    bench: Bench, error: AgentError, caplog: pytest.LogCaptureFixture
):
    """Found by its user, and not sent again; the log has neither number nor text."""
    caplog.set_level("DEBUG")
    bench.errors = [error]
    await bench.send(bench.sms(1), bench.sms(2))
    (letter,) = bench.letters.kept.values()

    assert bench.statuses == [("sms 1", "failed"), ("sms 2", "sent")]
    assert (letter.topic, letter.reason, letter.tries) == ("sms", error.detail.rstrip("."), 1)
    assert is_about(letter.event, "ada")
    assert letter.event["data"]["text"] == "text 1"
    assert NUMBER not in json.dumps(letter.event)
    assert bench.sent == ["text 1", "text 2"]
    assert "sms 1" in caplog.text
    assert NUMBER not in caplog.text
    assert "text 1" not in caplog.text


async def test_without_an_answer_it_is_unknown(bench: Bench):
    """In time, or at all: it may have been sent, so it is not sent again, and no letter is kept."""
    bench.free.clear()
    await bench.send(bench.sms(1))
    await bench.clock.advance(9.9)
    assert bench.statuses == []

    await bench.clock.advance(0.1)
    bench.free.set()
    bench.errors = [Unavailable("away")]
    await bench.send(bench.sms(2))
    assert bench.statuses == [("sms 1", "unknown"), ("sms 2", "unknown")]
    assert bench.letters.kept == {}
    assert len(bench.asked) == 2


@pytest.mark.parametrize("number", [None, "+14155550199"])
async def test_a_number_that_was_withdrawn_gets_nothing(bench: Bench, number: str | None):
    """Neither does a new number, and no dead letter is kept."""
    bench.clock.jump(1)
    bench.number(number)
    await bench.send(bench.sms())

    assert bench.asked == []
    assert bench.statuses == [("sms 1", "failed")]
    assert bench.letters.kept == {}


async def test_a_number_that_cannot_be_read_is_a_failure(bench: Bench):
    """Nothing was sent, so the dead letter can be requeued."""
    bench.client.fail("get", Unavailable("away"))
    await bench.send(bench.sms())

    assert bench.asked == []
    assert len(bench.letters.kept) == 1
    assert bench.statuses == [("sms 1", "failed")]


async def test_a_user_who_is_deleted_meanwhile_leaves_no_letter(bench: Bench):
    """Whether the letter is kept before the deletion or after."""
    bench.free.clear()
    await bench.send(bench.sms())
    bench.forgotten()
    bench.errors = [BindingFailed("no")]
    bench.free.set()
    await settle()

    assert bench.letters.kept == {}


async def test_a_letter_that_cannot_be_kept_is_logged(
    bench: Bench, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    """With its id; the status of the SMS is still reported."""

    async def away(*_: object) -> str:
        raise Unavailable("away")

    monkeypatch.setattr(bench.letters, "keep", away)
    bench.errors = [BindingFailed("no")]
    await bench.send(bench.sms())

    assert "the dead letter of sms sms 1 may not be kept" in caplog.text
    assert bench.statuses == [("sms 1", "failed")]


async def test_a_report_is_tried_again(bench: Bench):
    """The actor may be away; after some attempts the status stays unknown."""
    bench.actors.errors = [Unavailable("away")] * (TRIES - 1)
    await bench.send(bench.sms(1))
    assert bench.statuses == []
    await bench.clock.advance(7)
    assert bench.statuses == [("sms 1", "sent")]

    bench.actors.errors = [Unavailable("away")] * TRIES
    await bench.send(bench.sms(2))
    await bench.clock.advance(60)
    assert bench.statuses == [("sms 1", "sent")]
    assert bench.clock.waiting == 0


async def test_a_dead_letter_is_sent_again_by_hand(bench: Bench):
    """To the number that the user has then."""
    bench.errors = [BindingFailed("no"), BindingFailed("still no"), Unavailable("away")]
    await bench.send(bench.sms())
    for words in ("still no", "may have been sent"):
        with pytest.raises(Conflict, match=words):
            await bench.requeue()

    bench.number("+14155550199")
    await bench.requeue()
    await settle()
    assert bench.asked[-1] == ("sms", "create", "text 1", {"toNumber": "+14155550199"})
    assert bench.statuses[-1] == ("sms 1", "sent")

    bench.number(None)
    with pytest.raises(Conflict, match="no phone number"):
        await bench.requeue()


async def test_a_dead_letter_is_not_sent_twice_at_once(bench: Bench):
    """A second request is refused meanwhile; another letter can be sent, and a failed one later."""
    bench.errors = [BindingFailed("no")]
    await bench.send(bench.sms(1))
    bench.free.clear()
    requeued = asyncio.create_task(bench.requeue())
    other = asyncio.create_task(bench.sending.resend(encode({"data": bench.sms(2)})))
    await settle()
    async with asyncio.timeout(5):
        with pytest.raises(Conflict, match="being sent right now"):
            await bench.requeue()
    assert bench.sent == ["text 1", "text 1", "text 2"]

    bench.errors = [BindingFailed("still no")]
    bench.free.set()
    async with asyncio.timeout(5):
        with pytest.raises(Conflict, match="still no"):
            await requeued
        await other
        await bench.requeue()
    assert bench.sent[3:] == ["text 1"]


async def test_a_letter_that_was_sent_does_not_wait_for_its_report(bench: Bench):
    """It can be forgotten at once; the report follows, and draining waits for it."""
    bench.errors = [BindingFailed("no")]
    await bench.send(bench.sms())
    bench.actors.errors = [Unavailable("away")]
    async with asyncio.timeout(5):
        await bench.requeue()
    assert bench.statuses == [("sms 1", "failed")]

    draining = asyncio.create_task(bench.sending.drain())
    await settle()
    assert not draining.done()
    await bench.clock.advance(1)
    async with asyncio.timeout(5):
        await draining
    assert bench.statuses[-1] == ("sms 1", "sent")


async def test_a_failed_letter_waits_for_its_report(bench: Bench):
    """It must not come after the report of a later call that succeeds."""
    bench.errors = [BindingFailed("no"), BindingFailed("still no")]
    await bench.send(bench.sms())
    bench.actors.errors = [Unavailable("away")]
    requeued = asyncio.create_task(bench.requeue())
    await settle()
    assert not requeued.done()

    await bench.clock.advance(1)
    async with asyncio.timeout(5):
        with pytest.raises(Conflict, match="still no"):
            await requeued
    assert bench.statuses == [("sms 1", "failed")] * 2


@pytest.mark.parametrize(
    "event", [b"", b"{", b"[]", b"{}", b'{"data": {}}', b'{"data": {"user_id": 1}}']
)
async def test_a_letter_without_an_sms_cannot_be_sent(bench: Bench, event: bytes):
    """It is kept as it is."""
    with pytest.raises(Conflict, match="has no SMS"):
        await bench.sending.resend(event)


async def test_draining_waits_for_what_is_sent(bench: Bench):
    """And returns when that is reported."""
    bench.free.clear()
    await bench.send(bench.sms(1), bench.sms(2))
    draining = asyncio.create_task(bench.sending.drain())
    await settle()
    assert not draining.done()

    bench.free.set()
    async with asyncio.timeout(5):
        await draining
    assert len(bench.statuses) == 2


async def test_a_stop_ends_what_is_sent(bench: Bench):
    """The status stays unknown; a second stop has no effect."""
    bench.free.clear()
    await bench.send(bench.sms(1), bench.sms(2))
    for _ in range(2):
        await bench.sending.stop()
    bench.free.set()
    await settle()

    assert bench.sent == ["text 1"]
    assert bench.statuses == []


async def test_a_defect_is_logged_without_its_text(bench: Bench, caplog: pytest.LogCaptureFixture):
    """It may contain a number."""
    bench.errors = [RuntimeError(NUMBER)]
    await bench.send(bench.sms(1))
    await bench.send(bench.sms(2))

    assert "an SMS was not sent: RuntimeError" in caplog.text
    assert NUMBER not in caplog.text
    assert bench.statuses == [("sms 2", "sent")]


async def test_each_sms_is_counted_by_its_end(bench: Bench):
    """Also one that is sent by hand; what was refused is a dead letter, once."""
    bench.errors = [BindingFailed("refused"), Unavailable("away")]
    await bench.send(bench.sms(1), bench.sms(2), bench.sms(3))
    bench.errors = [BindingFailed("still refused")]
    with pytest.raises(Conflict):
        await bench.requeue()
    await bench.requeue()
    readings = counted(bench.sending._counters)
    ends = {each: readings.of("sms_total", result=each) for each in ("sent", "failed", "unknown")}

    assert ends == {"sent": 2, "failed": 2, "unknown": 1}
    assert readings.of("dead_letters_total", topic="sms") == 1
