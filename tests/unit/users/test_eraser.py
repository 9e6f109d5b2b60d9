"""Forgetting a user: completely, in order, and again after whatever broke off."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from agent_actors.errors import Invalid, NotFound, Refused, Unavailable
from agent_actors.protocol import ids
from agent_actors.protocol.clients import ChatClient, ConsumerClient, SessionClient
from agent_actors.protocol.messages import (
    ForgetConversation,
    ForgetUser,
    HighWaterMark,
    Problem,
    Sessions,
)
from agent_actors.users.eraser import ROUNDS, UserEraser
from tests.fakes import FakeDeadLetters
from tests.hand_clock import HandClock

CONSUMERS = ("memory", "session", "analytics")


@dataclass
class Town:
    """What is known of users: each call of an actor is a step, and one of them may fail."""

    turns: dict[str, int] = field(default_factory=dict)
    """Turns of each conversation that was not cleared."""
    owners: dict[str, str] = field(default_factory=dict)
    shut: set[str] = field(default_factory=set)
    """Conversations that are closed for ever."""
    stored: set[str] = field(default_factory=set)
    """Conversations of which text is stored."""
    pages: list[tuple[str, ...]] = field(default_factory=list)
    """The open list of sessions."""
    closed: list[tuple[str, ...]] = field(default_factory=list)
    known: set[str] = field(default_factory=set)
    """Consumers that know the user."""
    passed: dict[tuple[str, str], int] = field(default_factory=dict)
    """By consumer and conversation."""
    ended: list[float] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    fails: int = -1
    """The number of the step that fails."""
    worked: bool = False
    """Whether it has taken effect all the same."""
    rounds: int = 1
    """How often erasing is asked for until it is done."""

    @asynccontextmanager
    async def step(self, what: str) -> AsyncIterator[None]:
        number = len(self.log)
        self.log.append(what)
        if number == self.fails and not self.worked:
            raise Unavailable("away")
        yield
        if number == self.fails:
            raise Unavailable("away")


@dataclass
class Chats(ChatClient):
    """ChatAgents."""

    town: Town

    async def forget(self, conversation: str, request: ForgetConversation) -> HighWaterMark:
        town = self.town
        async with town.step(f"hide {conversation}"):
            if town.owners.get(conversation, request.user) != request.user:
                raise Problem.of(NotFound("There is no such conversation.")).error()
            if request.close:
                town.shut.add(conversation)
            return HighWaterMark(conversation, town.turns.get(conversation, 0))
        raise AssertionError("not reached")

    async def settle(self, upto: HighWaterMark) -> bool:
        town, conversation = self.town, upto.conversation
        async with town.step(f"erase {conversation}"):
            marks = [town.passed.get((each, conversation), 0) for each in CONSUMERS]
            reached = min(marks) >= upto.seq
            done = reached and town.log.count(f"erase {conversation}") >= town.rounds
            if done:
                town.stored.discard(conversation)
            return done
        raise AssertionError("not reached")


@dataclass
class Consumers(ConsumerClient):
    """One kind of consumer."""

    town: Town
    name: str

    async def forget(self, user: str, request: ForgetUser) -> None:
        town = self.town
        async with town.step(f"{self.name} forgets"):
            town.known.discard(self.name)
            town.passed.update({(self.name, p.conversation): p.seq for p in request.passed})
            town.ended.append(request.at)


@dataclass
class Lists(SessionClient):
    """The list of sessions."""

    town: Town

    async def close_all(self, user: str) -> None:
        async with self.town.step("close the list"):
            self.town.closed += self.town.pages
            self.town.pages = []

    async def closed(self, user: str) -> Sessions:
        async with self.town.step("read the list"):
            return Sessions(self.town.closed[0] if self.town.closed else ())
        raise AssertionError("not reached")

    async def drop(self, user: str, page: Sessions) -> None:
        async with self.town.step("drop a page"):
            if self.town.closed and self.town.closed[0] == page.session_ids:
                del self.town.closed[0]


class Bench:
    """Ada, who has a conversation and three sessions on two pages, and Eve."""

    def __init__(self) -> None:
        names = ["ada", *(ids.session(each) for each in "abc")]
        self.town = Town(
            turns=dict.fromkeys(names, 3),
            owners=dict.fromkeys(names, "ada"),
            stored={*names, "eve"},
            pages=[("a", "b"), ("c",)],
            known=set(CONSUMERS),
        )
        self.clock = HandClock()
        self.letters = FakeDeadLetters()
        town = self.town
        self.forgetting = UserEraser(
            Chats(town),
            [Consumers(town, each) for each in CONSUMERS],
            Lists(town),
            self.letters,
            self.clock,
        )

    async def forget(self) -> None:
        await self.forgetting.forget("ada")

    @property
    def rest(self) -> object:
        """What is left in the end."""
        town = self.town
        return town.stored, town.known, town.shut, town.pages, town.closed, town.passed


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_nothing_is_left_of_a_forgotten_user(bench: Bench):
    """Sessions are closed for ever, but not the user's own conversation, which may start over."""
    await bench.forget()
    once = repr(bench.rest)

    assert bench.town.stored == {"eve"}
    assert (bench.town.known, bench.town.pages, bench.town.closed) == (set(), [], [])
    assert bench.town.shut == {"session:a", "session:b", "session:c"}
    await bench.forget()
    assert repr(bench.rest) == once


async def test_every_consumer_moves_past_every_turn(bench: Bench):
    """In all conversations: an event that is still on its way has no effect."""
    await bench.forget()

    assert bench.town.passed == {
        (consumer, conversation): 3
        for consumer in CONSUMERS
        for conversation in ("ada", "session:a", "session:b", "session:c")
    }


async def test_events_from_before_the_call_have_no_effect(bench: Bench):
    """Every consumer gets the time of the call before any session is looked up."""
    bench.clock.jump(60)
    await bench.forget()

    assert set(bench.town.ended) == {bench.clock.now().timestamp()}
    first = [f"{consumer} forgets" for consumer in CONSUMERS]
    assert bench.town.log[: len(first) + 1] == [*first, "close the list"]


async def test_a_conversation_is_hidden_then_passed_then_erased(bench: Bench):
    """Erased before, a consumer would miss an event; passed before, one could still come."""
    bench.town.pages = []
    await bench.forget()

    assert bench.town.log[-5:] == [
        "hide ada",
        *(f"{consumer} forgets" for consumer in CONSUMERS),
        "erase ada",
    ]


async def test_a_page_is_dropped_when_its_sessions_are_erased(bench: Bench):
    """So a deletion that broke off finds them again."""
    await bench.forget()
    log = bench.town.log

    assert log.index("erase session:b") < log.index("drop a page") < log.index("hide session:c")


async def test_a_session_of_another_user_is_left_alone(bench: Bench):
    """It is on ada's list because she asked for it, but another user opened it first."""
    bench.town.owners["session:b"] = "eve"
    await bench.forget()

    assert bench.town.stored == {"eve", "session:b"}
    assert ("memory", "session:b") not in bench.town.passed
    assert bench.town.closed == []


async def test_any_other_refusal_is_raised(bench: Bench):
    """The deletion is not reported as complete."""

    async def refuse(conversation: str, request: ForgetConversation) -> HighWaterMark:
        raise Problem.of(Invalid("no")).error()

    bench.forgetting.chat.forget = refuse  # type: ignore[method-assign]

    with pytest.raises(Refused):
        await bench.forget()
    assert bench.town.closed == [("a", "b"), ("c",)]


async def test_erasing_is_asked_for_until_it_is_done(bench: Bench):
    """A long conversation takes some rounds."""
    bench.town.rounds = 3
    await bench.forget()

    assert bench.town.log.count("erase ada") == 3
    assert bench.town.stored == {"eve"}


async def test_erasing_is_not_waited_for_without_end(bench: Bench):
    """The conversation is hidden, and the request can be sent again."""
    bench.town.rounds = ROUNDS + 1

    with pytest.raises(Unavailable):
        await bench.forget()
    bench.town.rounds = 1
    await bench.forget()
    assert bench.town.stored == {"eve"}


async def test_a_session_that_is_opened_meanwhile_is_of_a_new_life(bench: Bench):
    """It is on another list."""
    close_all = bench.forgetting.sessions.close_all

    async def then_open(user: str) -> None:
        await close_all(user)
        bench.town.pages.append(("new",))

    bench.forgetting.sessions.close_all = then_open  # type: ignore[method-assign]
    await bench.forget()

    assert bench.town.pages == [("new",)]
    assert "session:new" not in bench.town.shut


async def test_dead_letters_about_the_user_are_forgotten(bench: Bench):
    """In every form of event, under either name; those of others stay."""
    told = [
        b'{"data": {"user_id": "ada", "seq": 1}}',
        b'{"data": {"actor_id": "ada", "user_id": "eve"}}',
        b'{"data": "{\\"user_id\\": \\"ada\\"}"}',
        b'{"user_id": "ada"}',
    ]
    others = [b'{"data": {"user_id": "eve", "actor_id": "eve"}}', b'"ada"', b"[]"]
    for number, event in enumerate((*told, *others)):
        await bench.letters.keep(f"topic{number}", event, "why", 1)
    await bench.forget()

    assert len(bench.letters.kept) == len(others)


async def test_a_user_nobody_knows_can_be_forgotten(bench: Bench):
    """There is nothing to erase, and that is no error."""
    await bench.forgetting.forget("nobody")

    assert "ada" in bench.town.stored


@pytest.mark.parametrize("worked", [False, True])
async def test_a_deletion_that_broke_off_is_finished_by_sending_it_again(worked: bool):
    """Wherever it broke, and whether that step had worked or not, the end is the same."""
    whole = Bench()
    await whole.forget()
    for number in range(len(whole.town.log)):
        bench = Bench()
        bench.town.fails, bench.town.worked = number, worked
        with pytest.raises(Unavailable):
            await bench.forget()
        await bench.forget()

        assert bench.rest == whole.rest, whole.town.log[number]
