"""Callers whose turns are run by workflows."""

import asyncio
from dataclasses import replace

import pytest

from agent_actors.errors import Busy, Gone, Invalid, NotFound, Unavailable
from agent_actors.protocol.messages import Problem, TurnState
from agent_actors.state.documents.conversation import Head
from agent_actors.workflow.client import WorkflowProgress
from agent_actors.workflow.turn import TurnOrder
from tests.fakes import a_pair
from tests.hand_clock import settle
from tests.unit.workflow.desk import CONVERSATION, Desk, an_order, ended_as

ORDER = an_order(key="k")
TURN_ID = ORDER.turn.turn_id
RUNNING = TurnState(TURN_ID, "running")


def ask(desk: Desk, order: TurnOrder = ORDER, wait: float = 60.0) -> "asyncio.Task[TurnState]":
    return asyncio.create_task(desk.runner.answer(order.conversation, order.turn, wait))


async def committed(desk: Desk, *, ring: bool = True) -> None:
    """The turn is in its conversation."""
    recent = (ended_as(ORDER, "done", 1),)
    await desk.save(Head(user="ada", seq=1, tail=(a_pair(1),), recent=recent))
    if ring:
        desk.bell.ring(ORDER.conversation)


async def test_a_caller_is_answered_as_soon_as_the_turn_is_committed(desk: Desk):
    """It does not wait for the rest of the workflow, which is purged at its end."""
    asked = ask(desk)
    await settle()
    await committed(desk)
    state = await asked

    assert state.reply == a_pair(1).output
    assert [order.turn for order in desk.workflows.scheduled] == [ORDER.turn]
    assert desk.workflows.purged == []

    desk.workflows.end(WorkflowProgress(ORDER, "done", TurnState(TURN_ID, "done")))
    await settle()

    assert desk.workflows.purged == [TURN_ID]


async def test_a_turn_of_another_process_is_looked_for(desk: Desk):
    """No bell rings here then."""
    asked = ask(desk)
    await settle()
    await committed(desk, ring=False)
    await desk.clock.advance(1.0)

    assert (await asked).status == "done"


async def test_a_retry_after_the_end_starts_nothing(desk: Desk):
    """The first answer is given again."""
    await committed(desk)

    assert (await ask(desk)).reply == a_pair(1).output
    assert desk.workflows.scheduled == []


async def test_a_retry_meanwhile_waits_for_the_same_workflow(desk: Desk):
    """It is started once by this process."""
    asked = [ask(desk)]
    await settle()
    asked.append(ask(desk))
    await settle()
    await committed(desk)

    assert {state.status for state in await asyncio.gather(*asked)} == {"done"}
    assert len(desk.workflows.scheduled) == 1


@pytest.mark.parametrize("over", [False, True])
async def test_a_key_is_of_one_message(desk: Desk, *, over: bool):
    """With another one it is refused, while the first runs and after its end."""
    asked = ask(desk)
    await settle()
    if over:
        await committed(desk)
        await asked

    with pytest.raises(Invalid):
        await ask(desk, an_order("other", key="k"))
    asked.cancel()


@pytest.mark.parametrize(
    ("head", "error"), [(Head(user="eve"), NotFound), (Head(user="ada", ended="closed"), Gone)]
)
async def test_where_no_turn_may_be_none_is_started(desk: Desk, head: Head, error: type[Exception]):
    """As ChatAgent would refuse it."""
    await desk.save(head)

    with pytest.raises(error):
        await ask(desk)
    assert desk.workflows.scheduled == []


async def test_a_sidecar_that_is_away(desk: Desk):
    """The error has the turn's id: the workflow may have been started."""
    desk.workflows.error = Unavailable("away")

    with pytest.raises(Unavailable) as caught:
        await ask(desk)
    assert (caught.value.turn_id, caught.value.retry) == (TURN_ID, "same-key")


async def test_too_many_callers(desk: Desk):
    """As in the ordinary way."""
    small = Desk(queue_length=1)
    first = ask(small)
    await settle()

    with pytest.raises(Busy):
        await ask(small, an_order("other"))
    first.cancel()


async def test_a_caller_waits_no_longer_than_he_will(desk: Desk):
    """Then it gets the turn as running."""
    asked = ask(desk, wait=10.0)
    await desk.clock.advance(11.0)

    assert await asked == RUNNING


async def test_a_caller_who_does_not_wait(desk: Desk):
    """It gets its answer as soon as the workflow has started."""
    assert await ask(desk, wait=0.0) == RUNNING
    assert len(desk.workflows.scheduled) == 1


@pytest.mark.parametrize("asked_as", [CONVERSATION, "ada"])
async def test_a_running_turn_is_found(desk: Desk, asked_as: str):
    """By its session, and by its user, in this process and in another."""
    desk.workflows.known[TURN_ID] = WorkflowProgress(ORDER, "running")
    elsewhere = await desk.runner.turn(asked_as, TURN_ID)
    await ask(desk, wait=0.0)

    assert elsewhere == await desk.runner.turn(asked_as, TURN_ID) == RUNNING


async def test_a_running_turn_is_nobody_elses(desk: Desk):
    """Another user does not learn that it is there."""
    desk.workflows.known[TURN_ID] = WorkflowProgress(ORDER, "running")

    with pytest.raises(NotFound):
        await desk.runner.turn("eve", TURN_ID)


async def test_a_workflow_that_failed(desk: Desk):
    """Its caller gets advice; a minute later the workflow is purged."""
    asked = ask(desk)
    await settle()
    desk.workflows.end(WorkflowProgress(ORDER, "failed"))
    state = await asked

    assert state.error is not None
    assert (state.status, state.error.status, state.error.retry) == ("failed", 503, "same-key")
    assert await desk.runner.turn(CONVERSATION, TURN_ID) == state
    assert desk.workflows.purged == []

    await desk.clock.advance(61.0)

    assert desk.workflows.purged == [TURN_ID]


async def test_a_workflow_that_was_refused(desk: Desk):
    """Its caller gets the problem that ended it."""
    problem = Problem(422, "t", "d")
    asked = ask(desk)
    await settle()
    desk.workflows.end(WorkflowProgress(ORDER, "done", TurnState(TURN_ID, "failed", error=problem)))

    assert (await asked).error == problem


async def test_the_workflow_of_a_forgotten_user_is_purged_at_once(desk: Desk):
    """The session was deleted with its user while the workflow ran."""
    await ask(desk, wait=0.0)
    await desk.save(Head(user="ada", ended="closed"))
    desk.workflows.end(WorkflowProgress(ORDER, "done", TurnState(TURN_ID, "failed")))
    await desk.clock.advance(1.5)

    assert desk.workflows.purged == [TURN_ID]


async def test_a_sidecar_that_goes_while_callers_wait(desk: Desk):
    """They go on waiting, and the workflow is erased when it is back."""
    asked = ask(desk)
    await settle()
    desk.workflows.end(WorkflowProgress(ORDER, "done", TurnState(TURN_ID, "done")))
    desk.workflows.error = Unavailable("away")
    await desk.clock.advance(5.0)

    assert not asked.done()

    desk.workflows.error = None
    await committed(desk)
    await desk.clock.advance(61.0)

    assert (await asked).status == "done"
    assert desk.workflows.purged == [TURN_ID]


async def test_a_stop_ends_what_is_followed(desk: Desk):
    """The sidecar erases what is left by then."""
    await ask(desk, wait=0.0)
    await desk.runner.stop()

    assert desk.workflows.purged == []
    assert not desk.runner._tasks


@pytest.mark.parametrize("here", [True, False])
async def test_a_session_that_is_about_to_be_another_users(desk: Desk, *, here: bool):
    """The same key and message do not give a user the answer of another, in no process."""
    desk.workflows.known[TURN_ID] = WorkflowProgress(ORDER, "running")
    if here:
        await ask(desk, wait=0.0)
    strangers = TurnOrder(CONVERSATION, replace(ORDER.turn, user="eve"))

    with pytest.raises(NotFound):
        await ask(desk, strangers)
