"""Summaries: when one is due, what it is made of, and that its failures harm nobody."""

import asyncio
from collections.abc import AsyncIterator
from contextvars import ContextVar
from dataclasses import dataclass, field

import pytest

from agent_actors.errors import ModelFailed, Unavailable
from agent_actors.model import Model, SummaryPrompt
from agent_actors.protocol import ids, wire
from agent_actors.protocol.clients import ChatClient, MemoryClient
from agent_actors.protocol.codec import encode
from agent_actors.protocol.messages import ConversationSummary, Message, UserSummary
from agent_actors.settings import Settings
from agent_actors.state import slots
from agent_actors.state.documents.conversation import EarlierSummary, Head, Segment
from agent_actors.state.documents.users import Memory, Profile
from agent_actors.state.reader import StateReader
from agent_actors.state.slots import Slot
from agent_actors.state.store import StateStore
from agent_actors.state.versions import Document
from agent_actors.users.summaries import (
    AT_ONCE,
    CHARACTERS,
    LONGEST,
    LONGEST_REST,
    PAIRS,
    TRIES,
    Summaries,
)
from tests.fakes import FakeActorClient, a_pair
from tests.hand_clock import HandClock, settle

TIME = 30.0
WHOSE: ContextVar[str] = ContextVar("whose", default="nobody's")
SAID = (Message("user", "hi"), Message("assistant", "hello"))


class Summing(Model):
    """Sums up what it is given, once it is let go; keeps every digest."""

    def __init__(self) -> None:
        self.uses_history = True
        self.digests: list[SummaryPrompt] = []
        self.contexts: list[str] = []
        self.free = asyncio.Event()
        self.free.set()
        self.errors: list[Exception] = []
        self.says = "a summary"

    async def summarise(self, digest: SummaryPrompt) -> str:
        self.digests.append(digest)
        self.contexts.append(WHOSE.get())
        await self.free.wait()
        if self.errors:
            raise self.errors.pop(0)
        return self.says


@dataclass
class Kept(MemoryClient, ChatClient):  # type: ignore[misc]
    """MemoryAgentActor and ChatAgent, as far as they keep summaries."""

    users: list[tuple[str, UserSummary]] = field(default_factory=list)
    conversations: list[tuple[str, ConversationSummary]] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)

    async def keep_summary(self, user: str, request: UserSummary) -> None:
        if self.errors:
            raise self.errors.pop(0)
        self.users.append((user, request))

    async def sum_up(self, conversation: str, request: ConversationSummary) -> None:
        self.conversations.append((conversation, request))


class Bench:
    """Summaries on a store in memory."""

    def __init__(self) -> None:
        self.clock = HandClock()
        self.client = FakeActorClient()
        self.model = Summing()
        self.kept = Kept()
        reader = StateReader(StateStore(self.client, self.clock, 5.0), 256)
        settings = Settings(summary_events=4, summary_time=TIME)
        self.summaries = Summaries(self.model, reader, self.kept, self.kept, self.clock, settings)

    def store(self, kind: str, name: str, slot: Slot[Document], document: Document) -> None:
        self.client.state[kind, name][slot.key] = encode(document)

    def remembered(self, user: str, events: int, summarised: int = 0) -> None:
        """What memory has applied, and how much of it the summary knows."""
        memory = Memory(events=events, summarised=summarised, fresh=SAID)
        self.store(wire.MEMORY, ids.memory_id(user), slots.MEMORY, memory)

    def conversation(
        self, pairs: int, earlier: EarlierSummary | None = None, said: str = ""
    ) -> None:
        """The conversation ada, in closed segments."""
        head = Head(user="ada", seq=pairs, earlier=earlier or EarlierSummary())
        self.store(wire.CHAT, "ada", slots.HEAD, head)
        for number in range((pairs - 1) // 8 + 1):
            seqs = range(8 * number + 1, min(8 * number + 8, pairs) + 1)
            segment = Segment(pairs=tuple(a_pair(seq, said) for seq in seqs))
            self.store(wire.CHAT, "ada", slots.segment(number), segment)

    async def request(self, user: str, events: int) -> None:
        self.summaries.request_user_summary(user, events)
        await settle()

    async def request_conversation(self, after: int, upto: int) -> None:
        self.summaries.request_conversation_summary("ada", ConversationSummary(after, upto, ""))
        await settle()


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    yield bench
    await bench.summaries.stop()


async def test_a_summary_is_due_by_number(bench: Bench):
    """As soon as it does not know so many exchanges."""
    bench.remembered("ada", 4)
    await bench.request("ada", 4)

    assert bench.kept.users == [("ada", UserSummary(4, "a summary"))]


async def test_a_summary_is_due_by_time(bench: Bench):
    """So long after the first exchange that it does not know, and no sooner."""
    bench.remembered("ada", 1)
    await bench.request("ada", 1)
    await bench.clock.advance(29)
    assert bench.model.digests == []

    await bench.clock.advance(1)
    assert bench.kept.users == [("ada", UserSummary(1, "a summary"))]


async def test_a_summary_that_waits_for_its_time_is_made_by_number(bench: Bench):
    """Whichever comes first; and once, not twice."""
    for fresh in (1, 2, 3, 4):
        bench.remembered("ada", fresh)
        await bench.request("ada", fresh)
    await bench.clock.advance(60)

    assert bench.kept.users == [("ada", UserSummary(4, "a summary"))]


async def test_a_summary_that_knows_everything_is_not_made(bench: Bench):
    """Neither where memory says so, nor where it is found so when it is due."""
    await bench.request("ada", 0)
    bench.remembered("eve", 3, summarised=3)
    await bench.request("eve", 4)
    await bench.clock.advance(60)

    assert bench.model.digests == []


async def test_a_summary_is_made_from_the_last_one_and_later_messages(bench: Bench):
    """And of the user's name."""
    bench.remembered("ada", 4)
    profile = Profile(name="Ada", user_summary="Ada counts.")
    bench.store(wire.MEMORY, ids.memory_id("ada"), slots.PROFILE, profile)
    await bench.request("ada", 4)

    assert bench.model.digests == [SummaryPrompt("Ada", "Ada counts.", SAID)]


async def test_a_user_has_one_summary_at_a_time(bench: Bench):
    """Messages that come meanwhile are for the next one, which the next event requests."""
    bench.remembered("ada", 4)
    bench.model.free.clear()
    for fresh in range(4, 9):
        await bench.request("ada", fresh)
    assert len(bench.model.digests) == 1

    bench.model.free.set()
    await settle()
    await bench.request("ada", 5)
    assert len(bench.model.digests) == 2


async def test_users_do_not_wait_for_each_other(bench: Bench):
    """But only some summaries are made at the same time: turns come first."""
    bench.model.free.clear()
    for number in range(AT_ONCE + 2):
        bench.remembered(f"u{number}", 4)
        await bench.request(f"u{number}", 4)
    assert len(bench.model.digests) == AT_ONCE

    bench.model.free.set()
    await settle()
    assert len(bench.kept.users) == AT_ONCE + 2


async def test_a_long_summary_is_cut(bench: Bench):
    """It is read with every turn."""
    bench.remembered("ada", 4)
    bench.model.says = "x" * (LONGEST + 1)
    await bench.request("ada", 4)

    assert bench.kept.users == [("ada", UserSummary(4, "x" * LONGEST))]


async def test_a_part_that_is_away_is_asked_again(bench: Bench):
    """Store and actor, after a second and twice as long each time; one model call is paid for."""
    bench.remembered("ada", 4)
    bench.kept.errors = [Unavailable("away")] * 2
    bench.client.fail("get", Unavailable("away"))
    await bench.request("ada", 4)
    for pause, kept in ((1.0, 0), (1.0, 0), (2.0, 1)):
        await bench.clock.advance(pause)

        assert len(bench.kept.users) == kept
    assert len(bench.model.digests) == 1


async def test_a_model_that_failed_is_left_alone(bench: Bench):
    """Failures may have cost, so it rests, twice as long each time."""
    bench.remembered("ada", 4)
    bench.model.errors = [ModelFailed("no")] * 2
    await bench.request("ada", 4)
    asked = [len(bench.model.digests)]
    for pause in (TIME - 1, 1, 2 * TIME - 1, 1):
        await bench.clock.advance(pause)
        asked.append(len(bench.model.digests))
        await bench.request("ada", 4)

    assert asked == [1, 1, 2, 2, 3]
    assert bench.kept.users


async def test_a_model_that_keeps_failing_is_left_to_the_next_event(bench: Bench):
    """After some attempts, with a warning that names the user and no message."""
    bench.remembered("ada", 4)
    bench.model.errors = [ModelFailed("no")] * TRIES
    await bench.request("ada", 4)
    await bench.clock.advance(LONGEST_REST * TRIES)
    assert (len(bench.model.digests), bench.kept.users) == (TRIES, [])

    await bench.request("ada", 4)
    assert len(bench.kept.users) == 1


async def test_half_a_character_is_no_summary(bench: Bench):
    """It could not be kept, and would be paid for again and again."""
    bench.remembered("ada", 4)
    bench.model.says = "\ud800"
    for _ in range(3):
        await bench.request("ada", 4)

    assert (len(bench.model.digests), bench.kept.users) == (1, [])


async def test_a_failure_is_logged_without_messages(bench: Bench, caplog: pytest.LogCaptureFixture):
    """A model's exception may contain them (I13); the next event requests a summary again."""
    bench.remembered("ada", 4)
    bench.model.errors = [RuntimeError("a secret")]
    await bench.request("ada", 4)

    assert "RuntimeError" in caplog.text
    assert "secret" not in "".join(r.message for r in caplog.records if r.levelname != "DEBUG")

    await bench.request("ada", 4)
    assert len(bench.kept.users) == 1


async def test_a_stop_ends_what_is_made(bench: Bench):
    """Nothing is kept of it, and a second stop finds nothing."""
    bench.remembered("ada", 4)
    bench.model.free.clear()
    await bench.request("ada", 4)
    await bench.request("eve", 1)
    for _ in range(2):
        await bench.summaries.stop()
    bench.model.free.set()
    await bench.clock.advance(60)

    assert bench.kept.users == []
    assert bench.clock.waiting == 0


async def test_a_summary_inherits_nothing_of_the_turn_that_requested_it(bench: Bench):
    """With a caller's reentrancy id, its calls could enter during a running turn."""
    WHOSE.set("the turn's")
    bench.remembered("ada", 4)
    await bench.request("ada", 4)

    assert bench.model.contexts == ["nobody's"]


async def test_a_conversation_is_summed_up(bench: Bench):
    """From the last summary and the pairs after it, up to where the model sees again."""
    bench.conversation(12, EarlierSummary(3, "They greeted."))
    await bench.request_conversation(3, 5)
    (digest,) = bench.model.digests

    assert (digest.about, digest.previous) == ("", "They greeted.")
    assert [entry.content for entry in digest.messages] == ["said 4", "answered 4", "said 5",
                                                        "answered 5"]  # fmt: skip
    assert bench.kept.conversations == [("ada", ConversationSummary(3, 5, "a summary"))]


async def test_a_conversation_is_not_summed_up_for_a_model_that_does_not_converse(bench: Bench):
    """It would never see the summary."""
    bench.model.uses_history = False
    bench.conversation(12)
    await bench.request_conversation(0, 5)

    assert bench.model.digests == []


async def test_a_conversation_has_one_summary_at_a_time(bench: Bench):
    """Every turn requests it until it is there."""
    bench.conversation(12)
    bench.model.free.clear()
    for _ in range(3):
        await bench.request_conversation(0, 5)
    assert len(bench.model.digests) == 1

    bench.model.free.set()
    await settle()
    await bench.request_conversation(0, 6)
    assert len(bench.model.digests) == 2


async def test_a_summary_that_is_there_is_not_made_again(bench: Bench):
    """Another replica was quicker, or the conversation was cleared."""
    bench.conversation(12, EarlierSummary(5, "newer"))
    await bench.request_conversation(0, 5)

    assert (bench.model.digests, bench.kept.conversations) == ([], [])


async def test_what_a_conversations_summary_is_made_of_is_bounded(bench: Bench):
    """The last turns that left the window, each message cut."""
    bench.conversation(60, said="x" * (CHARACTERS + 1))
    await bench.request_conversation(0, 50)
    (digest,) = bench.model.digests

    assert len(digest.messages) == 2 * PAIRS
    assert digest.messages[0] == Message("user", "x" * CHARACTERS)
    assert digest.messages[-1] == Message("assistant", "answered 50")
