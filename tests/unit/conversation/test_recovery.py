"""ChatAgent's recovery tick, its clearing, and the bounds of what it keeps."""

import logging

import pytest

from agent_actors.errors import Unavailable
from agent_actors.protocol.messages import Failure, Reply, ResponseState
from tests.fakes import a_turn
from tests.unit.conversation.talk import ADA, Talk, problem, segment


async def test_a_settled_conversation_ends_its_reminder(talk: Talk):
    """Nothing waits and memory has everything; before the next turn is saved it is there again."""
    await talk.answered("hi")
    talk.remembers(1)
    await talk.tick()
    assert (talk.armed, talk.saves) == (False, 1)

    await talk.answered("again")
    assert talk.armed


async def test_the_reminder_stays_while_memory_is_behind(talk: Talk):
    """It publishes what memory has not applied, oldest first, and checks again later."""
    await talk.say(*"abc")
    talk.runtime.published.clear()
    talk.remembers(1)
    await talk.tick()

    assert talk.published() == [2, 3]
    assert talk.armed


async def test_a_republished_event_is_the_same_event(talk: Talk):
    """Same id, same payload, also when it is rebuilt from a segment after a restart."""
    await talk.turns(10)
    first = list(talk.runtime.published)
    talk.runtime.published.clear()
    talk.activate()
    await talk.tick()

    assert talk.runtime.published == first


async def test_a_tick_publishes_the_oldest_events_and_the_newest(talk: Talk):
    """Twenty, and the newest: its receiver reads from the history what lies between."""
    await talk.turns(30)
    talk.runtime.published.clear()
    await talk.tick()

    assert talk.published() == [*range(1, 21), 30]


async def test_the_mark_is_asked_of_the_owners_memory(talk: Talk):
    """After a crash the owner is known from what is saved."""
    await talk.answered("hi")
    talk.activate()
    await talk.tick()

    assert talk.memories.asked == [("ada", "ada")]


async def test_an_empty_conversation_asks_nobody(talk: Talk):
    """An orphan reminder, registered before a save that never came, ends itself."""
    talk.client.fail("save", Unavailable("away"))
    talk.responses.will("reply")
    await talk.process(a_turn("hi"))
    talk.activate()

    assert talk.armed

    await talk.tick()

    assert not talk.armed
    assert talk.memories.asked == []


async def test_a_turn_that_a_crash_left_starts_again(talk: Talk):
    """The start is counted before it is made."""
    await talk.parked("slow")
    talk.crash()
    await talk.tick()

    assert [(each.start, each.wait) for each in talk.responses.asked[1:]] == [
        (False, 0.0),
        (True, 0.0),
    ]
    assert talk.tries[0] == 2
    assert talk.armed


async def test_a_turn_that_still_runs_is_left_alone(talk: Talk):
    """The tick of a living process starts nothing twice."""
    await talk.parked("slow")
    await talk.tick()

    assert talk.starts == [True, False]
    assert talk.tries[0] == 1


async def test_a_turn_whose_end_was_not_taken_is_settled_by_the_tick(talk: Talk):
    """ResponseAgent still has the outcome; the model is not called again."""
    await talk.parked("slow")
    talk.responses.will("late")
    await talk.tick()

    assert talk.head.tail[0].output == Reply("late")
    assert talk.starts == [True, False]


async def test_a_turn_that_ends_its_process_each_time_has_failed(
    talk: Talk, caplog: pytest.LogCaptureFixture
):
    """After three starts it is recorded as failed and logged; the turn behind it runs."""
    caplog.set_level(logging.INFO, "agent_actors")
    await talk.parked("deadly", "next")
    for _ in range(2):
        talk.crash()
        await talk.tick()

    assert talk.tries[0] == 3

    talk.crash()
    await talk.tick()

    assert talk.statuses == ["failed"]
    assert talk.head.seq == 0
    assert [queued.turn.turn_id for queued in talk.head.queue] == ["turn of next"]
    assert [each.message for each in caplog.records] == [
        "turn turn of deadly starts again: start 2 of 3",
        "turn turn of deadly starts again: start 3 of 3",
        "ada: turn turn of deadly failed: The model failed",
    ]


async def test_a_start_that_cannot_be_counted_is_not_made(talk: Talk):
    """Without a store, too, a deadly message does not run for ever."""
    await talk.parked("deadly")
    talk.crash()
    talk.client.fail("save", Unavailable("away"))
    answer = await talk.tick()

    assert isinstance(answer, Failure)
    assert talk.starts == [True, False]


@pytest.mark.parametrize("fails", ["memory", "unregistering"])
async def test_a_tick_that_fails_keeps_the_reminder(talk: Talk, fails: str):
    """It repeats until one tick finds everything settled, and every consumer has confirmed it."""
    await talk.answered("hi")
    talk.remembers(1)
    if fails == "memory":
        talk.memories.error = Unavailable("away")
    else:
        talk.client.fail("unregister", Unavailable("away"))

    assert isinstance(await talk.tick(), Failure)
    assert talk.armed


async def test_an_unknown_reminder_is_nothing(talk: Talk):
    """Another release's reminder changes nothing here."""
    await talk.chat.receive_reminder("other", b"", talk.zero, talk.zero)

    assert not talk.saves
    assert not talk.armed


async def test_clearing_hides_at_once(talk: Talk):
    """In one save; numbers go on, and readers and the model see only the turns since."""
    await talk.answered("hi", key="k")
    await talk.chat.clear_history()

    assert await talk.chat.get_conversation_history() == ()
    assert (talk.head.seq, talk.head.start) == (1, 1)
    assert talk.saves == 2
    assert problem(await talk.process(a_turn("hi", key="k"))).status == 410
    await talk.answered("new")
    history = [entry.content for entry in await talk.chat.get_conversation_history()]
    assert (talk.head.seq, history) == (2, ["new", "re new"])
    assert (talk.responses.asked[-1].window, talk.responses.asked[-1].number) == ((), 2)


async def test_clearing_cancels_what_waits(talk: Talk):
    """Queued turns end as cancelled, which is final; the model's late end is ignored."""
    await talk.process(a_turn("slow", key="k"))
    await talk.parked("next")
    turn_id = talk.head.queue[0].turn.turn_id
    await talk.chat.clear_history()
    await talk.complete("slow", Reply("late"))
    again = await talk.process(a_turn("slow", key="k"))

    assert talk.head.queue == ()
    assert talk.statuses == ["cancelled", "cancelled"]
    assert (again.turn_id, again.status, again.error.status) == (turn_id, "cancelled", 409)
    assert talk.head.seq == 0


async def test_clearing_an_empty_conversation_saves_nothing(talk: Talk):
    """Neither a document nor a reminder is made for it."""
    await talk.chat.clear_history()

    assert not talk.saves
    assert not talk.armed


async def test_cleared_pairs_are_erased_when_memory_has_them(talk: Talk):
    """Not before: memory would miss an event, and with it every later one."""
    await talk.turns(10)
    await talk.chat.clear_history()
    talk.remembers(4)
    await talk.tick()

    assert (talk.head.low, talk.head.seq) == (5, 10)
    assert [pair["seq"] for pair in segment(talk, 0)["pairs"]] == [5, 6, 7, 8]

    talk.remembers(10)
    await talk.tick()

    assert segment(talk, 0) is None
    assert talk.head.tail == ()
    assert b'"m9"' not in b"".join(talk.client.state[ADA].values())
    assert not talk.armed


async def test_a_history_may_be_bounded():
    """With `history_turns` older pairs are hidden, and erased once memory has them."""
    talk = Talk(history_turns=4)
    await talk.turns(20)
    talk.remembers(20)
    await talk.tick()

    assert (talk.head.seq, talk.head.start, talk.head.low) == (20, 16, 17)
    assert segment(talk, 0) is None
    assert segment(talk, 1) is None


async def test_the_model_sees_the_last_exchanges(talk: Talk):
    """Eight of them by default, oldest first, across segments and restarts."""
    await talk.turns(12)
    talk.activate()
    await talk.answered("now")
    window = talk.responses.asked[-1].window

    assert [exchange.input.content for exchange in window] == [f"m{n}" for n in range(4, 12)]


async def test_a_wide_window_spans_segments():
    """As many exchanges as the setting says, wherever the last segment ends, and after a clear."""
    talk = Talk(window_turns=20)
    await talk.turns(44)
    widths = {len(request.window) for request in talk.responses.asked[20:]}
    await talk.chat.clear_history()
    await talk.answered("a")
    await talk.answered("b")

    assert widths == {20}
    assert len(talk.responses.asked[-1].window) == 1


async def test_a_turn_costs_the_same_however_long_the_conversation(talk: Talk):
    """Its save has one document, or two where a segment or sixteen records leave the head."""
    sizes = []
    for number in range(400):
        await talk.answered(f"message {number:04d}")
        sizes.append(len(talk.client.did("save")[-1]) - 3)

    assert set(sizes) <= {1, 2, 3, 4}
    assert max(len(value) for value in talk.client.state[ADA].values()) < 20_000
    gets = [entry for entry in talk.client.did("get") if entry[3].startswith("h")]
    assert len(gets) <= 2 * 400 // 8 + 2


async def test_a_segment_that_is_closed_early_is_continued(talk: Talk):
    """Large pairs close a segment by its size; no pair is lost or written over."""
    for number in range(8):
        await talk.answered(f"{number}" + "x" * 60_000, reply="y" * 40_000)
    await talk.answered("next")
    talk.activate()
    history = [pair["input"]["content"][0] for pair in segment(talk, 0)["pairs"]]

    assert history == [str(number) for number in range(8)]
    assert talk.said == ["next"]


async def test_a_message_after_a_crash_sets_the_queue_going(talk: Talk):
    """The turn before it starts again, and it waits behind that one."""
    await talk.parked("order")
    talk.crash()
    state = await talk.process(a_turn("next"))

    assert state.status == "queued"
    assert talk.tries == [2, 0]


async def test_an_answer_that_was_ready_before_the_crash_is_taken(talk: Talk):
    """ResponseAgent lived on and has the answer: the retry gets it, without a model call."""
    await talk.parked("order")
    talk.activate()
    talk.responses.will(ResponseState("done", Reply("served")))
    state = await talk.process(a_turn("order"))

    assert (state.status, state.reply) == ("done", Reply("served"))
    assert talk.starts == [True, False]


async def test_a_queue_that_goes_is_left_alone(talk: Talk):
    """Within one activation the model's task delivers; messages do not drive the queue again."""
    await talk.parked("order")
    asked = len(talk.responses.asked)
    await talk.process(a_turn("next"))

    assert len(talk.responses.asked) == asked


async def test_a_queue_that_cannot_be_driven_still_takes_messages(talk: Talk):
    """ResponseAgent is away: the message is queued durably, and the tick goes on from there."""
    await talk.parked("order")
    talk.activate()
    talk.responses.will(Unavailable("away"))
    state = await talk.process(a_turn("next"))

    assert state.status == "queued"
    assert [queued.turn.turn_id for queued in talk.head.queue] == ["turn of order", "turn of next"]
