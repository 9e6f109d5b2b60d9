"""Running a turn for a caller."""

import asyncio
from typing import Any, cast

import pytest

from agent_actors.conversation.runner import TurnRunner
from agent_actors.errors import Busy, Gone, Unavailable, Unreachable
from agent_actors.protocol.messages import Reply, TurnState
from agent_actors.settings import Settings
from agent_actors.state.reader import StateReader
from agent_actors.turns.bell import TurnBell
from agent_actors.turns.drain import Drain
from tests.fake_actors import FakeChats, FakeSaved
from tests.fakes import a_turn
from tests.hand_clock import HandClock, settle

RUNNING = TurnState("t", "running")
DONE = TurnState("t", "done", Reply("hi"))


class Desk:
    """`TurnRunner` between a fake ChatAgent and a fake store."""

    def __init__(self, **settings: Any) -> None:
        self.chat = FakeChats(result=RUNNING)
        self.reader = FakeSaved([RUNNING])
        self.bell = TurnBell()
        self.clock = HandClock()
        reader = cast(StateReader, self.reader)
        self.stopping = Drain(self.clock, 7.0, self.bell)
        self.answers = TurnRunner(self.chat, reader, self.bell, self.stopping, Settings(**settings))

    def ask(self, wait: float = 300.0) -> "asyncio.Task[TurnState]":
        return asyncio.create_task(self.answers.answer("ada", a_turn("hi"), wait))


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def test_a_quick_turn_is_not_looked_for(desk: Desk):
    """Its state comes with the call; nor is any, for a caller that does not wait."""
    assert await desk.ask(0.0) == RUNNING
    desk.chat.result = DONE

    assert await desk.ask() == DONE
    assert desk.reader.looks == 0


async def test_a_call_that_was_lost_is_sent_again(desk: Desk):
    """A sidecar that restarts costs the caller a moment; the turn is the same, so it runs once."""
    desk.chat.result = DONE
    desk.chat.errors = [Unreachable("lost"), Unreachable("lost")]
    asked = desk.ask()
    await desk.clock.advance(1.0)

    assert await asked == DONE
    assert len({request.turn.turn_id for request in desk.chat.asked}) == 1
    assert len(desk.chat.asked) == 3


async def test_a_call_that_stays_lost_is_an_error(desk: Desk):
    """After the call time the caller gets 503, with the turn's id."""
    desk.chat.errors = [Unreachable("lost")] * 100
    asked = desk.ask()
    await desk.clock.advance(6.0)

    with pytest.raises(Unreachable) as caught:
        await asked
    assert caught.value.turn_id


async def test_an_actor_that_is_unavailable_is_not_asked_again(desk: Desk):
    """Only a lost call is; an error of the store is an answer."""
    desk.chat.errors = [Unavailable("the store is away")]

    with pytest.raises(Unavailable):
        await desk.ask()
    assert len(desk.chat.asked) == 1


async def test_the_actor_waits_no_longer_than_the_parking_time(desk: Desk):
    """Whatever the caller's patience; a shorter one is passed on."""
    desk.chat.result = DONE
    await desk.ask(300.0)
    await desk.ask(0.5)

    assert [request.wait for request in desk.chat.asked] == [1.5, 0.5]


async def test_a_parked_turn_is_answered_at_the_ring(desk: Desk):
    """As soon as it is saved, without waiting for the next look."""
    asked = desk.ask()
    await settle()
    desk.reader.states = [DONE]
    desk.bell.ring("ada")
    await settle()

    assert asked.done()
    assert await asked == DONE


async def test_a_turn_that_ended_elsewhere_is_found_by_looking(desk: Desk):
    """Without a ring, within a second."""
    asked = desk.ask()
    await settle()
    desk.reader.states = [DONE]
    await desk.clock.advance(1.0)

    assert await asked == DONE


async def test_looks_become_rarer(desk: Desk):
    """From twenty a second to one; each pause is a twentieth of the wait so far."""
    asked = desk.ask()
    await desk.clock.advance(2.0)

    assert 30 <= desk.reader.looks <= 35

    await desk.clock.advance(58.0)

    assert 110 <= desk.reader.looks <= 125

    asked.cancel()


async def test_a_caller_waits_no_longer_than_it_wants(desk: Desk):
    """Then it gets the turn's state."""
    asked = desk.ask(10.0)
    await settle()
    await desk.clock.advance(9.9)

    assert not asked.done()

    await desk.clock.advance(0.2)

    assert await asked == RUNNING


async def test_a_store_that_is_away_for_a_moment_is_waited_out(desk: Desk):
    """The turn is saved; its caller goes on waiting."""
    desk.reader.states = [Unavailable("away"), Unavailable("away"), DONE]
    asked = desk.ask()
    await desk.clock.advance(2.0)

    assert await asked == DONE


async def test_a_turn_that_was_cleared_meanwhile_is_gone(desk: Desk):
    """Gone is an answer, too."""
    desk.reader.states = [Gone("cleared")]
    asked = desk.ask()
    await desk.clock.advance(1.0)

    with pytest.raises(Gone):
        await asked


async def test_callers_are_bounded_per_conversation():
    """Those beyond the queue's length are refused before the actor is called."""
    desk = Desk(queue_length=2)
    desk.chat.gate = asyncio.Event()
    waiting = [desk.ask(), desk.ask()]
    await settle()

    with pytest.raises(Busy):
        await desk.ask()

    desk.chat.result = DONE
    desk.chat.gate.set()
    await asyncio.gather(*waiting)

    assert await desk.ask() == DONE
    assert not desk.answers._callers


async def test_a_caller_that_leaves_does_not_cancel_the_call(desk: Desk):
    """The call goes on in a task of its own."""
    desk.chat.gate = asyncio.Event()
    desk.chat.result = DONE
    asked = desk.ask()
    await settle()
    asked.cancel()
    await asyncio.wait({asked})

    assert len(desk.answers._tasks) == 1

    desk.chat.gate.set()
    await settle()

    assert not desk.answers._tasks
    assert not desk.answers._callers


@pytest.mark.parametrize(
    ("key", "error", "retry", "named"),
    [
        ("", Unavailable("x"), "no", True),
        ("k", Unavailable("x"), "same-key", True),
        ("", Busy("x"), "new-key", False),
        ("k", Busy("x"), "same-key", False),
    ],
)
async def test_advice_fits_the_message(
    desk: Desk, key: str, error: Exception, retry: str, named: bool
):
    """A message without a key cannot be sent again where it may have counted."""
    desk.chat.result = error
    turn = a_turn("hi", key=key)

    with pytest.raises(type(error)) as caught:
        await desk.answers.answer("ada", turn, 300.0)

    assert caught.value.retry == retry  # type: ignore[attr-defined]
    assert caught.value.turn_id == (turn.turn_id if named else None)  # type: ignore[attr-defined]


async def test_a_stop_lets_waiting_callers_go(desk: Desk):
    """When the drain time is over, a waiting caller gets the turn's state and is not cut off."""
    caller = desk.ask()
    await settle()
    desk.stopping.begin()
    await desk.clock.advance(7)

    assert (await caller).status == "running"


async def test_a_turn_behind_another_call_is_queued(desk: Desk):
    """In line for the actor each would keep it for the parking time, unsaved."""
    desk.chat.gate = asyncio.Event()
    asked = [desk.ask(), desk.ask(), desk.ask(0.0)]
    await settle()

    assert [request.wait for request in desk.chat.asked] == [1.5, 0.0, 0.0]

    desk.chat.result = DONE
    desk.chat.gate.set()
    await asyncio.gather(*asked)

    assert not desk.answers._calls


async def test_the_wait_ends_when_the_caller_disconnects(desk: Desk):
    """Its place is free at the next read, and the turn goes on."""
    left = False

    async def gone() -> bool:
        return left

    asked = asyncio.create_task(desk.answers.answer("ada", a_turn("hi"), 300.0, gone))
    await settle()
    left = True
    await desk.clock.advance(1.0)

    assert (await asked).status == "running"
    assert not desk.answers._callers
