"""ChatAgent, turn by turn: the quick path, parking, keys, and what is saved when."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from agent_actors.conversation.base import QUEUE_BYTES
from agent_actors.errors import ModelFailed, Unavailable
from agent_actors.protocol.messages import (
    CompleteTurn,
    Failure,
    Message,
    Problem,
    Reply,
    ResponseState,
)
from tests.fakes import a_turn
from tests.hand_clock import settle
from tests.unit.conversation.talk import ADA, Talk, problem

FAILED = Failure(Problem.of(ModelFailed("It failed.")))


async def test_a_quick_turn_is_committed_in_one_save(talk: Talk):
    """History, record and count are one transaction; its event follows."""
    state = await talk.answered("hi")
    head = talk.head

    assert (state.status, state.reply) == ("done", Reply("re hi"))
    assert talk.saves == 1
    assert (head.user, head.seq, head.queue) == ("ada", 1, ())
    assert [(pair.input.content, pair.output.content) for pair in head.tail] == [("hi", "re hi")]
    assert [(record.turn_id, record.seq) for record in head.recent] == [("turn of hi", 1)]
    assert talk.published() == [1]


async def test_the_reminder_is_there_before_the_save(talk: Talk):
    """A crash between the two leaves no unsettled turn alone; one registration is enough."""
    await talk.answered("a")
    await talk.answered("b")
    order = [entry[0] for entry in talk.client.log if entry[0] in {"register", "save"}]

    assert order == ["register", "save", "save"]
    assert talk.client.reminders[(*ADA, "settle")]["period"] == "0h0m30s0ms0μs"


async def test_a_turn_is_not_saved_where_the_reminder_cannot_be_registered(talk: Talk):
    """Without a reminder nothing is accepted."""
    talk.client.fail("register", Unavailable("away"))
    talk.responses.will("re hi")

    assert problem(await talk.process(a_turn("hi"))).status == 503
    assert not talk.saves
    assert not talk.runtime.published


async def test_a_slow_turn_is_parked(talk: Talk):
    """A model that is not done in time leaves the turn in the queue, and the actor free."""
    state = await talk.process(a_turn("slow"))

    assert (state.status, state.reply) == ("running", None)
    assert [(queued.turn.turn_id, queued.tries) for queued in talk.head.queue] == [
        ("turn of slow", 1)
    ]
    assert talk.head.seq == 0
    assert not talk.runtime.published
    assert talk.armed


async def test_a_message_behind_a_parked_one_waits(talk: Talk):
    """It is queued durably and does not overtake; its model call does not start yet."""
    await talk.parked("slow", "next")

    assert talk.tries == [1, 0]
    assert len(talk.responses.asked) == 1


async def test_the_end_of_a_parked_turn_is_committed_like_a_quick_one(talk: Talk):
    """Then the next turn of the queue starts, without being waited for."""
    await talk.parked("slow", "next")
    await talk.complete("slow", Reply("done"))
    asked = talk.responses.asked[-1]

    assert talk.head.seq == 1
    assert talk.published() == [1]
    assert [queued.turn.turn_id for queued in talk.head.queue] == ["turn of next"]
    assert talk.tries[0] == 1
    assert (asked.turn_id, asked.start, asked.wait, asked.number) == ("turn of next", True, 0.0, 2)


async def test_a_queue_runs_in_order(talk: Talk):
    """Turns that were accepted one after another are answered one after another."""
    await talk.parked("a", "b", "c")
    talk.responses.will("re b", "re c")
    await talk.complete("a", Reply("re a"))

    assert talk.said == ["a", "b", "c"]
    assert talk.published() == [1, 2, 3]
    assert talk.head.queue == ()


async def test_one_call_settles_eight_turns_at_most(talk: Talk):
    """The rest of a long queue is left to the next call."""
    contents = [f"m{number}" for number in range(12)]
    await talk.parked(*contents)
    talk.responses.will(*["reply"] * 12)
    await talk.complete("m0", Reply("re m0"))

    assert talk.head.seq == 1 + 8
    assert len(talk.head.queue) == 3


@pytest.mark.parametrize("content", ["next", "stranger"])
async def test_the_end_of_any_other_turn_is_ignored(talk: Talk, content: str):
    """Only the queue's head is settled: late or foreign ends change nothing."""
    await talk.parked("slow", "next")
    before = talk.head
    await talk.complete(content, Reply("done"))

    assert talk.head == before


async def test_an_end_that_comes_twice_counts_once(talk: Talk):
    """The second is of a turn that is no longer in the queue."""
    await talk.parked("slow")
    await talk.complete("slow", Reply("done"))
    await talk.complete("slow", Reply("other"))

    assert talk.head.seq == 1
    assert talk.head.tail[0].output.content == "done"


@pytest.mark.parametrize(("fails", "status"), [(FAILED, 502), (Unavailable("away"), 503)])
async def test_a_failed_quick_turn_saves_nothing(talk: Talk, fails: Any, status: int):
    """The model, or ResponseAgent: nothing is recorded, and the same key may try again."""
    talk.responses.will(fails)
    failed = problem(await talk.process(a_turn("hi", key="k")))

    assert (failed.status, failed.retry) == (status, "same-key")
    assert not talk.client.state[ADA]
    assert (await talk.answered("hi", key="k")).status == "done"


async def test_a_failed_parked_turn_is_recorded(talk: Talk):
    """The failure is final for its key; it is not in the history and not counted."""
    await talk.process(a_turn("slow", key="k"))
    turn_id = talk.head.queue[0].turn.turn_id
    request = talk.responses.asked[0]
    await talk.chat.complete_turn(CompleteTurn(turn_id, FAILED))
    again = await talk.process(a_turn("slow", key="k"))

    assert request.turn_id == turn_id
    assert (again.status, again.error.status, again.error.retry) == ("failed", 502, "new-key")
    assert again.error.turn_id == turn_id
    assert (talk.head.seq, talk.head.tail) == (0, ())
    assert len(talk.responses.asked) == 1


async def test_a_retry_with_its_key_gets_the_first_answer(talk: Talk):
    """The model is not called again, and nothing is saved."""
    first = await talk.answered("hi", key="k", reply="first")
    again = await talk.process(a_turn("hi", key="k"))

    assert again == first
    assert talk.saves == 1
    assert len(talk.responses.asked) == 1


async def test_a_retry_of_a_parked_turn_gets_its_state(talk: Talk):
    """It is in the queue once."""
    await talk.process(a_turn("slow", key="k"))
    await talk.process(a_turn("next", key="l"))

    assert (await talk.process(a_turn("slow", key="k"))).status == "running"
    assert (await talk.process(a_turn("next", key="l"))).status == "queued"
    assert len(talk.head.queue) == 2


@pytest.mark.parametrize("parked", [False, True])
async def test_a_key_with_another_body_is_refused(talk: Talk, parked: bool):
    """While it waits and after it has ended: 422."""
    if parked:
        await talk.process(a_turn("hi", key="k"))
    else:
        await talk.answered("hi", key="k")
    refused = problem(await talk.process(a_turn("other", key="k")))

    assert (refused.status, refused.retry) == (422, "no")


async def test_a_key_is_remembered_for_many_turns(talk: Talk):
    """Also when its record has left the head, after a restart."""
    first = await talk.answered("hi", key="k")
    await talk.turns(60)
    talk.activate()

    assert len(talk.head.recent) <= 32
    assert await talk.process(a_turn("hi", key="k")) == first
    assert talk.head.seq == 61


async def test_a_key_is_forgotten_in_the_end():
    """Beyond the outcomes kept it is a new message."""
    talk = Talk(outcomes_kept=32)
    await talk.answered("hi", key="k")
    await talk.turns(100)
    await talk.answered("hi", key="k")

    assert talk.head.seq == 102
    assert sorted(key for key in talk.client.state[ADA] if key.startswith("r")) == ["r3", "r4"]


async def test_a_foreign_conversation_is_not_there(talk: Talk):
    """Another user gets 404, and learns nothing."""
    await talk.answered("hi", key="k")

    assert problem(await talk.process(a_turn("hi", user="eve"))).status == 404
    assert talk.saves == 1


@pytest.mark.parametrize(
    ("settings", "contents"),
    [({"queue_length": 2}, ["a", "b"]), ({"message_bytes": QUEUE_BYTES}, ["x" * QUEUE_BYTES])],
    ids=["messages", "bytes"],
)
async def test_a_queue_is_bounded(settings: dict[str, int], contents: list[str]):
    """In messages and in bytes: 429, and it is as it was; a single message always fits."""
    talk = Talk(**settings)
    await talk.parked(*contents)
    before = talk.head

    assert problem(await talk.process(a_turn("more"))).status == 429
    assert talk.head == before


@pytest.mark.parametrize("worked", [False, True])
async def test_a_failed_save_loses_and_doubles_nothing(talk: Talk, worked: bool):
    """The caller gets 503; its retry with the key finds the turn, or runs it."""
    talk.responses.will("first")
    talk.client.fail("save", Unavailable("away"), after=worked)
    refused = problem(await talk.process(a_turn("hi", key="k")))
    talk.responses.will("second")
    again = await talk.process(a_turn("hi", key="k"))

    assert refused.status == 503
    assert again.reply == Reply("first" if worked else "second")
    assert talk.head.seq == 1


async def test_a_store_that_is_away_is_no_new_conversation(talk: Talk):
    """A read that fails at the first turn of an activation does not start the history over."""
    await talk.answered("hi")
    talk.activate()
    talk.client.fail("get", Unavailable("away"))

    assert problem(await talk.process(a_turn("b"))).status == 503
    assert talk.head.seq == 1
    assert (await talk.answered("b")).status == "done"
    assert talk.head.seq == 2


async def test_a_cut_turn_leaves_no_trace(talk: Talk):
    """A turn that is cancelled during the model call has saved nothing."""
    gate = talk.client.hold("save")
    talk.responses.will("reply")
    cut = asyncio.create_task(talk.process(a_turn("hi")))
    await settle()
    cut.cancel()
    await asyncio.wait({cut})
    gate.set()

    assert not talk.client.state[ADA]
    await talk.answered("next")
    assert talk.said == ["next"]


async def test_a_bare_message_is_a_turn_without_a_key(talk: Talk):
    """The lesson's form: answered with a bare message, of the user named like the conversation."""
    talk.responses.will("re hi")

    assert await talk.process(Message("user", "hi")) == Message("assistant", "re hi")
    assert talk.head.user == "ada"
    assert (await talk.process(Message("user", "slow"))).turn_id == "new 2"


@pytest.mark.parametrize(("content", "status"), [(" ", 400), ("x" * 65_537, 413)])
async def test_a_bare_message_is_checked_like_any(talk: Talk, content: str, status: int):
    """Direct callers of the actor have the same limits."""
    assert problem(await talk.process(Message("user", content))).status == status
    assert not talk.responses.asked


@pytest.mark.parametrize("turns", [3, 9])
async def test_the_history_of_the_actor_is_two_exchanges(talk: Talk, turns: int):
    """Oldest first, wherever a segment ends."""
    await talk.turns(turns)
    talk.activate()

    assert await talk.chat.get_conversation_history() == (
        Message("user", f"m{turns - 2}"),
        Message("assistant", f"re m{turns - 2}"),
        Message("user", f"m{turns - 1}"),
        Message("assistant", f"re m{turns - 1}"),
    )


@pytest.mark.parametrize(
    "end",
    [
        lambda talk: talk.complete("slow", Reply("done")),
        lambda talk: talk.adopt("other"),
        lambda talk: talk.forget(),
    ],
    ids=["committed", "adopted", "cancelled"],
)
async def test_the_bell_rings_when_a_turn_ends(talk: Talk, end: Callable[[Talk], Awaitable[Any]]):
    """However it ends, and after the save."""
    await talk.parked("slow")
    with talk.bell.listen("ada") as bell:
        await end(talk)

        assert bell.is_set()


async def test_an_event_that_cannot_be_published_does_not_fail_its_turn(talk: Talk):
    """The turn is saved; the reminder publishes again."""
    talk.runtime.refusal = Unavailable("away")
    await talk.answered("hi")

    assert talk.head.seq == 1
    assert talk.armed


async def test_a_caller_that_does_not_wait_is_parked_at_once(talk: Talk):
    """With a wait of 0 the model is started, and the turn is saved before the answer."""
    talk.responses.will(ResponseState("running"))
    state = await talk.process(a_turn("hi"), wait=0.0)

    assert state.status == "running"
    assert talk.responses.asked[0].wait == 0.0
    assert len(talk.head.queue) == 1
