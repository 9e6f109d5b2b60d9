"""ChatAgent: what is left of a conversation whose user is forgotten."""

import pytest

from agent_actors.errors import Gone, NotFound, Unavailable
from agent_actors.protocol.messages import Failure, HighWaterMark, Reply
from agent_actors.state.reader import StateReader
from agent_actors.state.store import StateStore
from tests.fakes import a_turn
from tests.unit.conversation.talk import ADA, Talk, problem, segment


def reader(talk: Talk) -> StateReader:
    return StateReader(StateStore(talk.client, talk.clock, 5.0), 256)


def text(talk: Talk) -> str:
    """All that is stored of the conversation."""
    return b" ".join(talk.client.state[ADA].values()).decode()


async def test_a_forgotten_conversation_says_how_far_it_came(talk: Talk):
    """It is hidden in one save, and no later event has that number, or a lower one."""
    await talk.say(*"abc")

    assert await talk.forget() == HighWaterMark("ada", 3)
    assert await talk.chat.get_conversation_history() == ()
    assert (talk.head.seq, talk.head.start, talk.saves) == (3, 3, 4)
    assert (await reader(talk).history("ada", 9)).pairs == ()

    await talk.answered("new")
    assert talk.published()[-1] == 4


async def test_what_is_queued_is_cancelled(talk: Talk):
    """It has an end, and the model's late one is ignored."""
    await talk.parked("slow", "next")
    await talk.forget()
    await talk.complete("slow", Reply("late"))

    assert (talk.head.queue, talk.statuses) == ((), ["cancelled", "cancelled"])
    assert talk.head.seq == 0
    assert "late" not in text(talk)


async def test_another_users_conversation_is_not_forgotten(talk: Talk):
    """The first user of a conversation keeps it."""
    await talk.answered("hi")
    before = talk.head

    assert problem(await talk.forget("eve", close=True)).status == 404
    assert talk.head == before


async def test_a_conversation_that_never_was_is_left_alone(talk: Talk):
    """No document is made for it."""
    assert await talk.forget() == HighWaterMark("ada", 0)
    assert (talk.saves, talk.armed) == (0, False)


async def test_a_session_without_a_turn_is_closed_all_the_same(talk: Talk):
    """Its first turn may be on its way: it comes too late."""
    assert await talk.forget(close=True) == HighWaterMark("ada", 0)
    assert problem(await talk.process(a_turn("hi"))).status == 410
    assert talk.responses.asked == []


async def test_a_closed_conversation_is_closed_for_ever(talk: Talk):
    """Also after a restart, and when its user is forgotten again."""
    await talk.answered("hi", key="k")
    for _ in range(2):
        await talk.forget(close=True)
        talk.activate()

        for message in (a_turn("hi", key="k"), a_turn("other")):
            assert problem(await talk.process(message)).status == 410
    assert (talk.head.seq, len(talk.responses.asked)) == (1, 1)


async def test_a_stranger_does_not_learn_that_a_conversation_was_closed(talk: Talk):
    """To another user it is not there, as before."""
    await talk.answered("hi")
    await talk.forget(close=True)

    assert problem(await talk.process(a_turn("hi", user="eve"))).status == 404


async def test_a_conversation_that_is_not_closed_can_be_begun_again(talk: Talk):
    """By the next turn, quick or parked."""
    await talk.answered("old")
    await talk.forget()
    await talk.answered("new")

    assert [entry.content for entry in await talk.chat.get_conversation_history()] == [
        "new",
        "re new",
    ]

    await talk.forget()
    await talk.parked("slow")
    assert talk.head.ended == ""


@pytest.mark.parametrize("close", [False, True])
async def test_the_count_of_a_forgotten_conversation_is_not_there(talk: Talk, close: bool):
    """One that is not closed goes on with the next turn, since numbers never go back."""
    await talk.answered("old")
    await talk.forget(close=close)
    with pytest.raises(NotFound):
        await reader(talk).count("ada")
    if not close:
        await talk.answered("new")
        assert await reader(talk).count("ada") == 2


async def test_a_forgotten_answer_is_gone(talk: Talk):
    """A retry with its key gets that outcome, and does not run again."""
    state = await talk.answered("hi", key="k")
    await talk.forget()

    assert problem(await talk.process(a_turn("hi", key="k"))).status == 410
    with pytest.raises(Gone):
        await reader(talk).turn("ada", state.turn_id)


async def test_forgetting_can_be_repeated(talk: Talk):
    """An interrupted deletion is sent again; turns in between are forgotten as well."""
    await talk.answered("a")
    assert await talk.forget() == HighWaterMark("ada", 1)
    assert await talk.forget() == HighWaterMark("ada", 1)

    await talk.answered("b")
    assert await talk.forget() == HighWaterMark("ada", 2)


async def test_forgetting_that_cannot_be_saved_is_refused(talk: Talk):
    """Nothing is hidden then."""
    await talk.answered("a")
    talk.client.fail("save", Unavailable("away"))

    assert problem(await talk.forget()).status == 503
    assert (talk.head.start, talk.head.ended) == (0, "")


async def test_the_reminder_is_there_before_the_end_is_saved(talk: Talk):
    """Whatever becomes of the deletion, what was hidden is erased."""
    await talk.answered("a")
    talk.remembers(1)
    await talk.tick()
    assert not talk.armed

    await talk.forget()
    assert talk.armed


async def test_settling_erases_what_consumers_have_passed(talk: Talk):
    """And rests: the reminder goes."""
    await talk.turns(12)
    await talk.forget()
    talk.remembers(12)

    assert await talk.settle() is True
    assert (segment(talk, 0), segment(talk, 1), talk.head.tail) == (None, None, ())
    assert not talk.armed
    assert "re m" not in text(talk)


async def test_settling_waits_for_the_consumers(talk: Talk):
    """What one of them has not passed is not erased, but published again."""
    await talk.say(*"abc")
    await talk.forget()
    talk.remembers(2)
    talk.runtime.published.clear()

    assert await talk.settle() is False
    assert (talk.head.low, talk.published(), talk.armed) == (3, [3], True)


async def test_the_slowest_consumer_is_waited_for():
    """The mark of each is read."""
    talk = Talk()
    slow = talk.another_consumer()
    await talk.say(*"abc")
    talk.runtime.published.clear()
    talk.remembers(3)
    slow.marks["ada", "ada"] = 1
    await talk.tick()

    assert (talk.published(), talk.armed) == ([2, 3], True)


async def test_settling_does_not_wait_for_later_turns(talk: Talk):
    """A deletion has to erase what came before it, and no new turn."""
    await talk.answered("old")
    await talk.forget()
    talk.remembers(1)
    await talk.parked("slow")

    assert await talk.settle() is True
    assert (talk.head.low, len(talk.head.queue), talk.armed) == (2, 1, True)

    await talk.complete("slow", Reply("done"))
    assert await talk.settle() is True
    assert talk.armed


async def test_settling_erases_some_segments_at_a_time():
    """Twenty segments; the caller calls again."""
    talk = Talk()
    await talk.turns(8 * 21)
    await talk.forget()
    talk.remembers(8 * 21)

    assert await talk.settle() is False
    assert await talk.settle() is True
    assert talk.head.low == 8 * 21 + 1


async def test_settling_that_fails_returns_its_error(talk: Talk):
    """The caller gets the error, and does not take it for done."""
    await talk.answered("a")
    await talk.forget()
    talk.memories.error = Unavailable("away")

    assert isinstance(await talk.settle(), Failure)
