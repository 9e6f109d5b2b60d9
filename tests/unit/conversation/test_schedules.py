"""ChatAgent: scheduled messages, when and how often."""

import pytest

from agent_actors.errors import ModelFailed, Unavailable
from agent_actors.protocol.messages import Failure, Problem, Reply
from agent_actors.state import slots
from tests.unit.conversation.planning import (
    due_in,
    ended,
    fire,
    fire_at,
    kept,
    plan,
    remove,
    said,
)
from tests.unit.conversation.talk import ADA, Talk, problem


async def test_the_reminder_is_there_before_the_schedule(talk: Talk):
    """A crash in between leaves a reminder that ends itself, not a schedule without one."""
    schedule = await plan(talk, "hi", 10.0)

    assert [entry[0] for entry in talk.client.log] == ["get", "get", "register", "save"]
    assert due_in(talk, "hi") == "0h0m10s0ms0μs"
    assert (await kept(talk)).schedules == (schedule,)
    assert talk.head.user == ""


async def test_a_schedule_that_could_not_be_saved_is_no_schedule(talk: Talk):
    """Its reminder finds nothing, and ends itself."""
    talk.client.fail("save", Unavailable("away"))
    assert problem(await plan(talk, "hi")).status == 503
    assert due_in(talk, "hi") is not None
    assert await fire_at(talk, 10.0, "hi") is None

    assert due_in(talk, "hi") is None
    assert (talk.responses.asked, talk.waiting) == ([], [])


async def test_the_agent_speaks_up_when_it_is_due(talk: Talk):
    """The content is a turn of the user, marked; nothing of the schedule is left."""
    await talk.answered("before")
    await plan(talk, "hi", 10.0)
    talk.responses.will("hello")
    await fire_at(talk, 10.0, "hi")

    assert said(talk) == [("before", ""), ("hi", "hi")]
    assert talk.head.tail[1].output.content == "hello"
    asked = talk.responses.asked[-1]
    assert (asked.user, asked.message.content, asked.number) == ("ada", "hi", 2)
    assert talk.runtime.published[-1].data["schedule"] == "hi"
    assert talk.runtime.published[0].data["schedule"] is None
    assert (talk.client.value(ADA, slots.SCHEDULES), due_in(talk, "hi")) == (None, None)
    assert talk.armed


async def test_the_first_turn_may_be_a_scheduled_one(talk: Talk):
    """The conversation is the user's from then on."""
    await plan(talk, "hi", 10.0)
    talk.responses.will("hello")
    await fire_at(talk, 10.0, "hi")

    assert (talk.head.user, talk.head.seq) == ("ada", 1)


async def test_a_period_keeps_its_step(talk: Talk):
    """Fired late, the next one is still in step; each has a turn id of its own."""
    await plan(talk, "hi", every=60.0)
    for late in (60.0, 62.0):
        talk.responses.will("hello")
        await fire_at(talk, late, "hi")

    (schedule,) = (await kept(talk)).schedules
    assert (schedule.number, schedule.left) == (2, None)
    assert schedule.next_due - schedule.created == 180.0
    assert due_in(talk, "hi") == "0h0m58s0ms0μs"
    assert len({pair.turn_id for pair in talk.head.tail}) == 2


async def test_missed_times_are_not_made_up_for(talk: Talk):
    """One turn for all of them, then the next of the plan."""
    await plan(talk, "hi", every=60.0)
    talk.responses.will("hello")
    await fire_at(talk, 605.0, "hi")
    await fire(talk, "hi")

    (schedule,) = (await kept(talk)).schedules
    assert (schedule.number, len(said(talk))) == (1, 1)
    assert due_in(talk, "hi") == "0h0m55s0ms0μs"


async def test_a_number_of_times_is_a_number_of_turns(talk: Talk):
    """The last one ends the schedule and its reminder."""
    await plan(talk, "hi", every=60.0, times=2)
    for left in (1, None):
        talk.responses.will("hello")
        await fire_at(talk, 60.0, "hi")
        found = (await kept(talk)).find("hi")
        assert (found.left if found else None) == left

    assert (len(said(talk)), due_in(talk, "hi")) == (2, None)


@pytest.mark.parametrize("again", [False, True])
async def test_a_fire_before_its_time_only_moves_the_reminder(talk: Talk, again: bool):
    """By a clock that is ahead, or of a registration that is over: also in a new activation."""
    await plan(talk, "hi", every=60.0)
    if again:
        talk.activate()
    await fire_at(talk, 57.5, "hi")

    assert due_in(talk, "hi") == "0h0m2s500ms0μs"
    assert (talk.responses.asked, talk.saves) == ([], 1)


@pytest.mark.parametrize("every", [None, 60.0])
async def test_a_fire_that_comes_twice_is_one_turn(talk: Talk, every: float | None):
    """Also at another activation, and while the first one's turn runs."""
    await plan(talk, "hi", 60.0, every=every)
    await fire_at(talk, 60.0, "hi")
    for _ in range(2):
        await fire(talk, "hi")
        talk.activate()

    assert talk.waiting == ["hi"]
    assert [asked.turn_id for asked in talk.responses.asked if asked.start] == [
        talk.head.queue[0].turn.turn_id
    ]
    await talk.chat.complete_turn(ended(talk))
    assert said(talk) == [("hi", "hi")]


@pytest.mark.parametrize("after", [False, True])
async def test_an_occurrence_is_accepted_once_whatever_the_save_says(talk: Talk, after: bool):
    """The save failed, or has worked in spite of its error; the reminder fires again."""
    await plan(talk, "hi", every=60.0)
    talk.client.fail("save", Unavailable("away"), after=after)
    assert isinstance(await fire_at(talk, 60.0, "hi"), Failure)
    assert due_in(talk, "hi") == "0h1m0s0ms0μs"
    talk.activate()
    assert await fire_at(talk, 30.0, "hi") is None

    found = (await kept(talk)).find("hi")
    assert found is not None
    assert (found.number, talk.waiting) == (1, ["hi"])
    assert due_in(talk, "hi") == "0h0m30s0ms0μs"
    await talk.tick()
    assert len({asked.turn_id for asked in talk.responses.asked}) == 1


async def test_a_reminder_that_cannot_be_moved_on_fires_once_more(talk: Talk):
    """The turn runs all the same; that firing is before its time, and moves it."""
    await plan(talk, "hi", every=60.0)
    await talk.answered("before")
    talk.client.fail("register", Unavailable("away"))
    talk.responses.will("hello")
    assert await fire_at(talk, 60.0, "hi") is None

    assert said(talk)[1:] == [("hi", "hi")]
    assert due_in(talk, "hi") == "0h1m0s0ms0μs"
    await fire_at(talk, 30.0, "hi")
    assert (due_in(talk, "hi"), len(said(talk))) == ("0h0m30s0ms0μs", 2)


async def test_a_reminder_that_cannot_be_ended_ends_itself(talk: Talk):
    """After the last time, and after a deletion."""
    for number, deed in enumerate((fire, remove)):
        name = f"hi {number}"
        await plan(talk, name, 10.0)
        talk.clock.jump(10.0)
        talk.client.fail("unregister", Unavailable("away"))
        assert await deed(talk, name) is None
        assert due_in(talk, name) is not None
        await fire_at(talk, 30.0, name)

        assert due_in(talk, name) is None
    assert talk.waiting == ["hi 0"]


async def test_a_failing_model_is_a_recorded_failure(talk: Talk):
    """Nothing is in the history, and the next time comes."""
    await plan(talk, "hi", every=60.0)
    talk.responses.will(Failure(Problem.of(ModelFailed("It failed."))))
    await fire_at(talk, 60.0, "hi")
    talk.responses.will("hello")
    await fire_at(talk, 60.0, "hi")

    assert (talk.statuses, said(talk)) == (["failed", "done"], [("hi", "hi")])


async def test_an_occurrence_does_not_overtake(talk: Talk):
    """It waits in the queue behind earlier messages, and is answered after them."""
    await plan(talk, "hi", 10.0)
    await talk.parked("slow", "next")
    await fire_at(talk, 10.0, "hi")
    assert talk.waiting == ["slow", "next", "hi"]
    assert talk.tries == [1, 0, 0]

    talk.responses.will("re next", "hello")
    await talk.complete("slow", Reply("re slow"))
    assert said(talk) == [("slow", ""), ("next", ""), ("hi", "hi")]


async def test_an_occurrence_finds_a_queue_that_nobody_drives(talk: Talk):
    """As any message after a crash does: what is first is started again at once."""
    await plan(talk, "hi", 10.0)
    await talk.parked("slow")
    talk.activate()
    talk.responses.will("re slow", "hello")
    await fire_at(talk, 10.0, "hi")

    assert said(talk) == [("slow", ""), ("hi", "hi")]


async def test_a_full_queue_lets_it_wait():
    """Until the reminder comes again; it is not lost, and not refused."""
    talk = Talk(queue_length=2)
    await plan(talk, "hi", 10.0)
    await talk.parked("slow", "next")
    assert await fire_at(talk, 10.0, "hi") is None
    assert talk.waiting == ["slow", "next"]
    assert due_in(talk, "hi") == "0h0m10s0ms0μs"
    assert (await kept(talk)).find("hi") is not None

    await talk.complete("slow", Reply("re slow"))
    await fire_at(talk, 30.0, "hi")
    assert talk.waiting == ["next", "hi"]


async def test_a_schedule_waits_for_its_own_answer(talk: Talk):
    """However short its period, one message of it is in the queue: others have room."""
    await plan(talk, "hi", every=1.0)
    for later, rest in ((1.0, "1s0ms"), (1.0, "1s0ms"), (1.25, "0s750ms"), (1.0, "0s750ms")):
        await fire_at(talk, later, "hi")
        assert due_in(talk, "hi") == f"0h0m{rest}0μs"
    assert talk.waiting == ["hi"]

    await talk.chat.complete_turn(ended(talk))
    await fire_at(talk, 1.0, "hi")
    assert talk.waiting == ["hi"]
    assert talk.head.seq == 1


async def test_a_crash_leaves_an_occurrence_to_the_recovery(talk: Talk):
    """Saved and not started: the recovery reminder is there, and starts it."""
    await plan(talk, "hi", 10.0)
    talk.responses.will(Unavailable("away"))
    assert isinstance(await fire_at(talk, 10.0, "hi"), Failure)
    assert (talk.waiting, talk.armed) == (["hi"], True)
    assert talk.tries[0] == 1

    talk.activate()
    talk.responses.will("hello")
    await talk.tick()
    assert said(talk) == [("hi", "hi")]
