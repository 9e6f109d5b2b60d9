"""ChatAgent: turns that another service has answered."""

import pytest

from agent_actors.errors import Unavailable
from agent_actors.protocol.messages import AdoptTurn, Failure, Problem, Reply
from tests.fakes import a_turn
from tests.unit.conversation.talk import Talk, problem


async def test_an_adopted_turn_is_committed_like_any(talk: Talk):
    """History, record and count are one save, then comes its event; no model is called."""
    state = await talk.adopt("hi")

    assert (state.status, state.reply) == ("done", Reply("re hi", "theirs"))
    assert (talk.saves, talk.head.user, talk.head.seq) == (1, "ada", 1)
    assert [(record.turn_id, record.seq) for record in talk.head.recent] == [("turn of hi", 1)]
    assert (talk.published(), talk.armed) == ([1], True)
    assert talk.responses.asked == []


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_turn_is_adopted_once(talk: Talk, restarted: bool):
    """Sent again, even after a restart, it is the same turn and saves nothing."""
    first = await talk.adopt("hi")
    if restarted:
        talk.activate()

    assert await talk.adopt("hi") == first
    assert (talk.saves, talk.head.seq, talk.published()) == (1, 1, [1])


async def test_a_turn_is_adopted_once_after_many_others(talk: Talk):
    """Its record has left the head by then."""
    await talk.adopt("hi")
    await talk.turns(60)

    assert (await talk.adopt("hi")).reply == Reply("re hi", "theirs")
    assert talk.head.seq == 61


@pytest.mark.parametrize("worked", [False, True])
async def test_a_save_that_fails_adopts_nothing_twice(talk: Talk, worked: bool):
    """The sender gets an error and sends it again; the turn is there once."""
    talk.client.fail("save", Unavailable("away"), after=worked)
    refused = problem(await talk.adopt("hi"))
    await talk.adopt("hi")

    assert (refused.status, talk.head.seq) == (503, 1)


async def test_a_queue_is_not_touched(talk: Talk):
    """What was accepted goes on behind the adopted turn; what kills its process gets no new try."""
    await talk.parked("slow", "next")
    talk.crash()
    await talk.tick()
    before = talk.head.queue
    await talk.adopt("told")

    assert talk.head.queue == before
    assert talk.tries == [2, 0]
    await talk.complete("slow", Reply("done"))
    assert talk.said == ["told", "slow"]


async def test_an_adopted_turn_that_is_queued_here_ends_once(talk: Talk):
    """While it is in our queue, it ends there."""
    await talk.parked("slow")

    assert (await talk.adopt("slow")).status == "running"
    await talk.complete("slow", Reply("ours"))
    assert [pair.output for pair in talk.head.tail] == [Reply("ours")]
    assert (await talk.adopt("slow")).reply == Reply("ours")


@pytest.mark.parametrize(("user", "closed", "status"), [("eve", False, 404), ("ada", True, 410)])
async def test_no_turn_is_adopted_where_none_may_be(
    talk: Talk, user: str, closed: bool, status: int
):
    """Into the conversation of another user, or one that was deleted with its user."""
    await talk.answered("hi")
    if closed:
        await talk.forget(close=True)

    assert problem(await talk.adopt("told", user=user)).status == status
    assert talk.head.seq == 1


async def test_an_adopted_turn_that_was_cleared_is_gone(talk: Talk):
    """Sent again, it does not come back."""
    await talk.adopt("hi")
    await talk.chat.clear_history()

    assert problem(await talk.adopt("hi")).status == 410
    assert talk.head.seq == 1


async def test_a_failure_is_adopted_like_an_answer(talk: Talk):
    """It is recorded once, is final for its key, and no event is published."""
    turn = a_turn("hi", key="k")
    failed = AdoptTurn(turn, Failure(Problem(502, "t", "d", "same-key")))
    first = await talk.chat.adopt_turn(failed)
    again = await talk.chat.adopt_turn(failed)

    assert first == again
    assert first.status == "failed"
    assert first.error == Problem(502, "t", "d", "new-key", turn.turn_id)
    assert (talk.saves, talk.head.seq, talk.published()) == (1, 0, [])


async def test_a_key_of_an_adopted_turn_is_of_one_message(talk: Talk):
    """Another message under the same key is refused, and changes nothing."""
    await talk.chat.adopt_turn(AdoptTurn(a_turn("hi", key="k"), Reply("yes")))
    refused: object = await talk.chat.adopt_turn(AdoptTurn(a_turn("other", key="k"), Reply("no")))

    assert isinstance(refused, Failure)
    assert refused.error.status == 422
    assert talk.head.seq == 1
