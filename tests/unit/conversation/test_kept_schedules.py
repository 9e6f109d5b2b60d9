"""ChatAgent: which schedules it keeps, and when they end."""

import pytest
from dapr.actor import ActorId

from agent_actors.conversation.agent import ChatAgent
from agent_actors.errors import Unavailable
from agent_actors.protocol.messages import Failure
from agent_actors.protocol.schedules import BYTES, ENDED, Schedule, Schedules
from tests.fakes import a_context, a_turn
from tests.unit.conversation.planning import (
    due_in,
    ended,
    fire_at,
    kept,
    plan,
    remove,
    said,
    seconds,
)
from tests.unit.conversation.talk import ADA, Talk, problem


async def test_a_retry_of_a_key_is_the_same_schedule(talk: Talk):
    """As it is now; another one with its key is refused, and one that has ended is not begun."""
    await plan(talk, "hi", every=60.0, times=2, key="k")
    await fire_at(talk, 60.0, "hi")
    again = await plan(talk, "hi", every=60.0, times=2, key="k")
    other = problem(await plan(talk, "other", key="k"))
    await remove(talk, "hi")
    ended = problem(await plan(talk, "hi", every=60.0, times=2, key="k"))
    still_other = problem(await plan(talk, "other", key="k"))

    assert (again.number, again.left) == (1, 1)
    assert (other.status, ended.status, still_other.status) == (422, 410, 422)
    assert (await kept(talk)).schedules == ()


async def test_the_keys_of_ended_schedules_are_bounded(talk: Talk):
    """The oldest goes first; those without a key are not kept."""
    for number in range(ENDED + 2):
        await plan(talk, f"hi {number}", key=f"k{number}")
        await remove(talk, f"hi {number}")
        await plan(talk, "unkeyed")
        await remove(talk, "unkeyed")

    ended = [each.id for each in (await kept(talk)).ended]
    assert ended == [f"hi {number}" for number in range(2, ENDED + 2)]


async def test_a_user_has_so_many_schedules():
    """One more is refused, until another has ended."""
    talk = Talk(schedules=2)
    await plan(talk, "one")
    await plan(talk, "two")
    refused = problem(await plan(talk, "three"))
    assert (refused.status, refused.retry) == (409, "no")
    assert due_in(talk, "three") is None

    await remove(talk, "one")
    assert isinstance(await plan(talk, "three"), Schedule)


async def test_the_document_is_bounded():
    """By the size of all of them together; a single one may be as long as a message."""
    talk = Talk(message_bytes=1_048_576)
    assert isinstance(await plan(talk, "x" * (BYTES - 2)), Schedule)
    assert problem(await plan(talk, "äa")).status == 409
    assert isinstance(await plan(talk, "ä"), Schedule)

    alone = Talk(message_bytes=1_048_576)
    assert isinstance(await plan(alone, "x" * (BYTES + 1)), Schedule)
    assert problem(await plan(alone, "y")).status == 409


async def test_a_deletion_is_idempotent(talk: Talk):
    """What it ended is gone; what is not there is no error, and nothing is done."""
    await plan(talk, "hi")
    for _ in range(2):
        assert await remove(talk, "hi") is None
    assert await remove(talk, "never was") is None

    assert (talk.saves, due_in(talk, "hi")) == (2, None)
    assert len(talk.client.did("unregister")) == 1


async def test_queued_occurrences_go_on_after_a_deletion(talk: Talk):
    """A turn is a turn."""
    await plan(talk, "hi", every=60.0)
    await fire_at(talk, 60.0, "hi")
    await remove(talk, "hi")
    await talk.chat.complete_turn(ended(talk))

    assert said(talk) == [("hi", "hi")]


async def test_clearing_leaves_schedules(talk: Talk):
    """What waits of them is cancelled like any turn; the next time comes."""
    await plan(talk, "hi", every=60.0)
    await fire_at(talk, 60.0, "hi")
    await talk.chat.clear_history()
    assert (talk.statuses, talk.waiting) == (["cancelled"], [])

    talk.responses.will("hello")
    await fire_at(talk, 60.0, "hi")
    assert said(talk) == [("hi", "hi")]


@pytest.mark.parametrize("reachable", [True, False])
async def test_a_forgotten_user_has_no_schedules(talk: Talk, reachable: bool):
    """They go in the save that clears, and no fire that is on its way revives anything."""
    await talk.answered("before")
    await plan(talk, "secret one", every=60.0, key="k")
    await plan(talk, "secret two", 60.0)
    await fire_at(talk, 60.0, "secret one")
    saves = talk.saves
    if not reachable:
        talk.client.fail("unregister", Unavailable("away"), times=2)
    await talk.forget()
    assert talk.saves == saves + 1
    for name in ("secret one", "secret two"):
        assert (due_in(talk, name) is None) == reachable
        await fire_at(talk, 60.0, name)

    assert (due_in(talk, "secret one"), due_in(talk, "secret two")) == (None, None)
    assert (talk.head.ended, talk.head.queue, talk.head.seq) == ("forgotten", (), 1)
    assert await kept(talk) == Schedules()
    talk.remembers(1)
    await talk.settle()
    assert b"secret" not in b" ".join(talk.client.state[ADA].values())
    assert not talk.armed


async def test_a_user_who_has_only_schedules_is_forgotten_too(talk: Talk):
    """There was no turn yet."""
    await plan(talk, "secret")
    await talk.forget()

    assert (due_in(talk, "secret"), await kept(talk)) == (None, Schedules())


async def test_a_key_of_before_begins_anew_after_the_user_was_forgotten(talk: Talk):
    """It is another life: its turns have ids of their own."""
    ids = []
    for _ in range(2):
        await plan(talk, "hi", 10.0, key="k")
        await fire_at(talk, 10.0, "hi")
        ids.append(talk.head.queue[0].turn.turn_id)
        await talk.forget()

    assert len(set(ids)) == 2


async def test_a_conversation_of_another_user_has_no_schedules(talk: Talk):
    """As no turn is possible there; one that was stored before ends."""
    await plan(talk, "hi", 10.0)
    await talk.process(a_turn("mine", user="eve"))
    assert problem(await plan(talk, "ho")).status == 404
    assert await fire_at(talk, 10.0, "hi") is None

    assert (talk.waiting, due_in(talk, "hi")) == (["mine"], None)
    assert await kept(talk) == Schedules()


async def test_a_session_has_no_schedules(talk: Talk):
    """They are its user's."""
    context = a_context(ChatAgent, talk.client)
    session = ChatAgent(context, ActorId("session:s"), talk.host, talk._dependencies)
    talk.host.activations.record(session)
    now = seconds(talk)
    refused: object = await session.add_schedule(Schedule("hi", "hi", now + 1.0, now))

    assert isinstance(refused, Failure)
    assert refused.error.status == 404
    assert talk.client.reminders == {}
