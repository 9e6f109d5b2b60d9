"""The activities of a turn's workflow."""

import asyncio

import pytest
from dapr.ext.workflow._durabletask.internal import shared

from agent_actors.errors import Defect, GuardrailRefused, ModelFailed, Refused, Unavailable
from agent_actors.protocol.codec import adapter
from agent_actors.protocol.messages import (
    Exchange,
    Failure,
    Message,
    Person,
    Problem,
    Reply,
    TurnState,
)
from agent_actors.state.documents.conversation import EarlierSummary, Head
from agent_actors.workflow.turn import PromptContext, ReplyRequest, ReplyResult, StoreRequest
from tests.fakes import HeldModel, a_pair
from tests.hand_clock import settle
from tests.unit.workflow.desk import Desk, an_order, ended_as

ORDER = an_order()
TURN_ID = ORDER.turn.turn_id
REPLY = Reply("hello", "held", items='["tool"]')
FAILURE = Failure(Problem(502, "t", "d"))
COMMITTED = Head(user="ada", seq=1, tail=(a_pair(1),), recent=(ended_as(ORDER, "done", 1),))
PAST = PromptContext(1, (Message("user", "before"),), (), Person.new("ada"), "earlier on")


async def test_messages_are_those_that_were_counted(desk: Desk):
    """As `GET /analytics` returns them; a new user has none."""
    assert await desk.steps.fetch_analytics(ORDER) == 0
    await desk.counted(7)

    assert await desk.steps.fetch_analytics(ORDER) == 7


async def test_the_past_is_what_the_ordinary_turn_would_tell_the_model(desk: Desk):
    """Number, memory, the last exchanges that fit, and the summary of what was before them."""
    desk.memory.entries = (Message("user", "before"),)
    tail = tuple(a_pair(seq) for seq in range(9, 12))
    await desk.save(
        Head(user="ada", seq=11, start=9, tail=tail, earlier=EarlierSummary(9, "long ago"))
    )
    past = (await desk.steps.fetch_history(ORDER)).past

    assert past is not None
    assert (past.number, past.memory, past.earlier) == (12, desk.memory.entries, "long ago")
    assert past.window == tuple(pair.exchange for pair in tail[1:])


async def test_the_window_has_a_bound(desk: Desk):
    """The settings' one."""
    small = Desk(window_turns=2)
    tail = tuple(a_pair(seq) for seq in range(1, 6))
    await small.save(Head(user="ada", seq=5, tail=tail))
    past = (await small.steps.fetch_history(ORDER)).past

    assert past is not None
    assert [each.input.content for each in past.window] == ["said 4", "said 5"]


async def test_a_turn_that_has_ended_is_found(desk: Desk):
    """With its state, and without any text."""
    await desk.save(COMMITTED)

    assert (await desk.steps.fetch_history(ORDER)).ended == TurnState(TURN_ID, "done")


@pytest.mark.parametrize(
    ("head", "status"), [(Head(user="eve"), 404), (Head(user="ada", ended="closed"), 410)]
)
async def test_what_no_turn_may_be_in_ends_it(desk: Desk, head: Head, status: int):
    """Another user's session, or a closed one: no further step would change that."""
    await desk.save(head)
    ended = (await desk.steps.fetch_history(ORDER)).ended

    assert ended is not None
    assert ended.error is not None
    assert (ended.status, ended.error.status) == ("failed", status)


async def test_a_store_that_is_away_is_asked_again(desk: Desk):
    """The step fails, so that it is tried again."""
    desk.client.fail("get", Unavailable("away"))

    with pytest.raises(Unavailable):
        await desk.steps.fetch_history(ORDER)


async def test_the_model_is_asked_once_for_a_turn(desk: Desk):
    """However often the step is run in one process, also while the call runs."""
    desk.model.free.clear()
    asked = ReplyRequest(ORDER, 3, PAST)
    running = [asyncio.create_task(desk.steps.generate_reply(asked)) for _ in range(2)]
    await settle()
    desk.model.free.set()
    answers = [*(await asyncio.gather(*running)), await desk.steps.generate_reply(asked)]

    assert answers == [ReplyResult(Reply("reply to hi", model="held"))] * 3
    (prompt,) = desk.model.prompts
    assert (prompt.turn_id, prompt.user, prompt.number) == (TURN_ID, "ada", 1)
    assert (prompt.message_count, prompt.earlier, prompt.memory) == (3, "earlier on", PAST.memory)


@pytest.mark.parametrize(
    ("error", "again"), [(ModelFailed("away"), True), (GuardrailRefused("no"), False)]
)
async def test_a_failure_is_a_value(desk: Desk, error: BaseException, *, again: bool):
    """It says whether another try may succeed; that one calls the model again."""
    desk.model.error = error
    answered = await desk.steps.generate_reply(ReplyRequest(ORDER, 0, PAST))
    desk.model.error = None

    assert isinstance(answered.outcome, Failure)
    assert answered.again is again
    assert (await desk.steps.generate_reply(ReplyRequest(ORDER, 0, PAST))).outcome == Reply(
        "reply to hi", model="held"
    )


async def test_a_process_that_stops_begins_no_call(desk: Desk):
    """The step waits until it is taken away; a call that runs is still answered."""
    held = HeldModel()
    desk.calls.model = held
    running = asyncio.create_task(desk.steps.generate_reply(ReplyRequest(ORDER, 0, PAST)))
    await settle()
    desk.stopping.begin()
    late = asyncio.create_task(desk.steps.generate_reply(ReplyRequest(an_order("late"), 0, PAST)))
    await settle()
    held.free.set()

    assert (await running).outcome == Reply("reply to hi", model="held")
    assert not late.done()
    assert len(held.prompts) == 1
    late.cancel()


@pytest.mark.parametrize("outcome", [REPLY, FAILURE])
async def test_a_turn_is_committed_by_its_conversation(desk: Desk, outcome: Reply | Failure):
    """With the model's items; the workflow keeps no text."""
    state = await desk.steps.store_conversation(StoreRequest(ORDER, outcome))

    assert [(each.turn, each.outcome) for each in desk.chat.adopted] == [(ORDER.turn, outcome)]
    assert state == TurnState(TURN_ID, "done")
    assert desk.followed == [ORDER]


async def test_what_the_conversation_refuses_ends_the_turn(desk: Desk):
    """The user was forgotten meanwhile: to try again would not help."""
    desk.chat.result = Refused(410, "Cleared", "It was deleted.", retry="no")
    state = await desk.steps.store_conversation(StoreRequest(ORDER, REPLY))

    assert state.error is not None
    assert (state.status, state.error.status) == ("failed", 410)


@pytest.mark.parametrize("error", [Unavailable("away"), Defect("a bug")])
async def test_what_was_not_committed_is_tried_again(desk: Desk, error: BaseException):
    """The step fails."""
    desk.chat.result = error

    with pytest.raises(type(error)):
        await desk.steps.store_conversation(StoreRequest(ORDER, REPLY))


async def test_message_sent_is_published(desk: Desk):
    """In the lessons' form, under the turn's id, without any text; without a broker it fails."""
    await desk.save(COMMITTED)
    await desk.steps.publish_message_sent(ORDER)
    ((pubsub, topic, event),) = desk.published

    assert (pubsub, topic, event.id) == ("pubsub", "messages", TURN_ID)
    assert event.data == {"event_type": "MessageSent", "user_id": "ada", "turn_id": TURN_ID}

    desk.refusal = Unavailable("away")
    with pytest.raises(Unavailable):
        await desk.steps.publish_message_sent(ORDER)


async def test_nothing_is_published_for_a_cleared_turn(desk: Desk):
    """A forgotten user would be counted again."""
    await desk.save(Head(user="ada", seq=1, start=1, recent=(ended_as(ORDER, "done", 1),)))
    await desk.steps.publish_message_sent(ORDER)

    assert desk.published == []


def test_tool_calls_survive_the_workflow():
    """An exchange and a reply are the same after their way through JSON."""
    past = PromptContext(
        2, (), (Exchange(Message("user", "a"), Message("assistant", "b"), "[1.0]"),), PAST.person
    )
    asked = ReplyRequest(ORDER, 1, past)
    storing = StoreRequest(ORDER, REPLY)

    for value in (asked, storing):
        assert through_json(value) == value


def through_json(value: object) -> object:
    """As the SDK does it."""
    form = adapter(type(value))
    plain = form.dump_python(value, mode="json", exclude_none=True)
    return form.validate_python(shared.from_json(shared.to_json(plain)))
