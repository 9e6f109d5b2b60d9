"""ChatAgent: what it does while nobody writes (`docs/actors.md`)."""

import logging

import pytest

from agent_actors.conversation import inactivity
from agent_actors.errors import AgentError, Defect, Invalid, Unavailable
from agent_actors.protocol.messages import Reply
from tests.unit.conversation.talk import Talk

DAY = 86_400.0


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Talk:
    """A conversation that is counted every five seconds, three times."""
    monkeypatch.setattr(inactivity, "COUNTS", 3)
    return Talk(message_count_timer=True)


@pytest.fixture
def idle() -> Talk:
    """A conversation that is cleared after an hour of silence."""
    return Talk(history_ttl=3_600.0)


def counts(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.message for each in caplog.records if "entries" in each.message]


async def test_by_default_nothing_is_counted_cleared_or_forgotten(talk: Talk):
    """A turn registers the recovery reminder only, and memory keeps what was cleared by hand."""
    await talk.answered("hi")
    assert (talk.counting, talk.expires_in) == (False, None)

    await talk.chat.clear_history()
    await talk.tick()
    assert talk.published() == [1, 1]
    assert talk.memories.forgot == []


async def test_entries_are_counted_some_times(counted: Talk, caplog: pytest.LogCaptureFixture):
    """Every period, then the timer is gone; each tick is a timer that fires once."""
    caplog.set_level(logging.INFO)
    await counted.answered("hi")
    timer = next(iter(counted.client.timers.values()))
    assert (timer["dueTime"], timer["period"]) == ("0h0m5s0ms0μs", "0h0m0s0ms0μs")
    await counted.count()
    await counted.answered("again")
    await counted.count()
    await counted.count()

    assert counts(caplog) == [
        "conversation ada has 2 entries",
        "conversation ada has 4 entries",
        "conversation ada has 4 entries",
    ]
    assert not counted.counting
    await counted.answered("more")
    assert not counted.counting


async def test_a_tick_of_another_activation_is_nothing(
    counted: Talk, caplog: pytest.LogCaptureFixture
):
    """A timer that outlived its actor neither logs nor goes on."""
    caplog.set_level(logging.INFO)
    await counted.answered("hi")
    counted.activate()
    await counted.count()

    assert (counts(caplog), counted.counting) == ([], False)
    await counted.answered("again")
    assert counted.counting


async def test_an_idle_actor_is_not_kept_alive():
    """A tick that would come after the idle timeout is not registered."""
    talk = Talk(message_count_timer=True, idle_timeout=60.0)
    await talk.answered("hi")
    await talk.clock.advance(56.0)
    await talk.count()

    assert not talk.counting


@pytest.mark.parametrize("error", [Unavailable("away"), Invalid("no timers"), Defect("odd")])
async def test_a_turn_does_not_need_its_timer(counted: Talk, error: AgentError):
    """It succeeds although the timer could not be registered."""
    counted.client.fail("start", error)
    await counted.answered("hi")

    assert not counted.counting


async def test_the_reminder_is_registered_before_the_turn_is_saved(idle: Talk):
    """Once for an activation; it repeats until it has done its work."""
    await idle.answered("hi")
    await idle.answered("again")
    registered = [each[3] for each in idle.client.did("register")]

    assert registered.count("clear-history") == 1
    assert idle.client.log.index(("register", "ChatAgent", "ada", "clear-history")) < (
        idle.client.log.index(idle.client.did("save")[0])
    )
    reminder = idle.client.reminders["ChatAgent", "ada", "clear-history"]
    assert (reminder["dueTime"], reminder["period"]) == ("1h0m0s0ms0μs", "0h0m30s0ms0μs")


async def test_a_silent_conversation_is_cleared(idle: Talk):
    """After the time, and the reminder is gone; also by a fresh activation."""
    await idle.answered("hi")
    await idle.clock.advance(3_600.0)
    idle.activate()
    await idle.expire()

    assert (idle.head.start, idle.head.seq) == (1, 1)
    assert await idle.chat.get_conversation_history() == ()
    assert idle.expires_in is None


async def test_a_new_message_delays_the_clearing(idle: Talk):
    """The reminder is due again for the rest of the time since the last answer."""
    await idle.answered("hi")
    await idle.clock.advance(3_000.0)
    await idle.answered("back")
    await idle.clock.advance(600.0)
    await idle.expire()

    assert idle.head.start == 0
    assert idle.expires_in == "0h50m0s0ms0μs"
    await idle.clock.advance(3_000.0)
    await idle.expire()
    assert idle.head.start == 2


async def test_a_turn_that_is_not_done_is_waited_for(idle: Talk):
    """It is not cancelled by silence: the model takes its time."""
    await idle.answered("hi")
    await idle.parked("slow")
    await idle.clock.advance(DAY)
    await idle.expire()

    assert (len(idle.head.queue), idle.head.start) == (1, 0)
    await idle.complete("slow", Reply("done"))
    assert idle.statuses == ["done", "done"]


async def test_a_cleared_conversation_needs_no_reminder(idle: Talk):
    """What was cleared by hand, and an orphan, ends at its first fire."""
    await idle.answered("hi")
    await idle.chat.clear_history()
    await idle.expire()

    assert idle.expires_in is None
    assert idle.head.start == 1
    await idle.answered("new")
    assert idle.expires_in is not None


async def test_a_setting_that_was_taken_back_clears_nothing():
    """The reminder of an earlier start unregisters itself."""
    talk = Talk()
    await talk.answered("hi")
    await talk.expire()

    assert (talk.head.start, talk.expires_in) == (0, None)


async def test_a_failed_clearing_comes_again(idle: Talk):
    """Nothing is cleared, and the reminder, which repeats, is still there."""
    await idle.answered("hi")
    await idle.clock.advance(3_600.0)
    idle.client.fail("save", Unavailable("away"))
    await idle.expire()

    assert (idle.head.start, idle.expires_in) == (0, "1h0m0s0ms0μs")
    await idle.expire()
    assert idle.head.start == 1


async def test_clearing_is_published_if_a_setting_says_so():
    """By an event, and by the tick to whom it did not reach; then it is over."""
    talk = Talk(clearing_forgets=True)
    await talk.answered("hi")
    await talk.chat.clear_history()
    event = talk.runtime.published[-1]
    assert (event.type, event.data["upto"], event.data["user_id"]) == (
        "ConversationCleared",
        1,
        "ada",
    )
    await talk.tick()

    assert talk.memories.forgot == [("ada", "ada", 1)]
    assert talk.head.clearing == 0
    await talk.tick()
    assert len(talk.memories.forgot) == 1


async def test_the_tick_goes_on_until_all_have_forgotten():
    """A consumer that is unavailable is called again, and the reminder stays for it."""
    talk = Talk(clearing_forgets=True)
    await talk.answered("hi")
    talk.runtime.refusal = Unavailable("no broker")
    await talk.chat.clear_history()
    talk.remembers(1)
    talk.client.fail("save", Unavailable("away"))
    await talk.tick()
    assert (talk.head.clearing, talk.armed) == (1, True)
    await talk.tick()

    assert talk.head.clearing == 0
    assert talk.memories.forgot[-1] == ("ada", "ada", 1)


async def test_of_a_forgotten_user_no_reminder_stays(idle: Talk):
    """Not even one that has nothing to do: it has the user's id."""
    await idle.answered("hi")
    await idle.forget()
    assert idle.expires_in is None

    await idle.answered("new")
    idle.client.fail("unregister", Unavailable("away"))
    assert (await idle.forget()).seq == 2
    await idle.expire()
    assert idle.expires_in is None


async def test_turns_after_a_clearing_are_not_forgotten():
    """They are ordinary ones; the tick has the cleared turns forgotten, and no later ones."""
    talk = Talk(clearing_forgets=True)
    await talk.answered("hi")
    await talk.chat.clear_history()
    await talk.answered("new")
    assert (talk.head.seq, talk.head.start, talk.head.clearing) == (2, 1, 1)
    talk.remembers(2)
    await talk.tick()

    assert talk.memories.forgot == [("ada", "ada", 1)]
