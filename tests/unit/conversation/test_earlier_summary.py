"""ChatAgent: what the model sees of the past, and the summary of what it does not see."""

import pytest

from agent_actors.conversation.queue import UNSEEN
from agent_actors.protocol.messages import ConversationSummary, Reply
from agent_actors.state.documents.conversation import EarlierSummary
from tests.fakes import a_turn
from tests.unit.conversation.talk import Talk


@pytest.fixture
def talk() -> Talk:
    """A conversation whose model sees the last two exchanges."""
    return Talk(window_turns=2)


async def say(talk: Talk, count: int) -> None:
    """That many turns more."""
    for _ in range(count):
        await talk.answered(f"m{talk.head.seq + 1}")


async def sum_up(talk: Talk, after: int, upto: int, text: str) -> None:
    await talk.chat.sum_up(ConversationSummary(after, upto, text))


async def test_a_summary_is_requested_for_pairs_outside_the_window(talk: Talk):
    """When there are four of them: up to which, and what they come after; there is no text yet."""
    await say(talk, 2 + UNSEEN)
    assert talk.summary_requests == []

    await say(talk, 1)
    assert talk.summary_requests == [("ada", ConversationSummary(0, UNSEEN, ""))]


async def test_summarised_pairs_are_not_requested_again(talk: Talk):
    """Only what fell out since: four pairs more."""
    await say(talk, 2 + UNSEEN)
    await sum_up(talk, 0, UNSEEN, "earlier")
    await say(talk, UNSEEN)
    assert talk.summary_requests == []

    await say(talk, 1)
    assert talk.summary_requests == [("ada", ConversationSummary(UNSEEN, 2 * UNSEEN, ""))]


async def test_what_was_cleared_is_not_summed_up(talk: Talk):
    """The next summary covers only the turns since."""
    await say(talk, 6)
    await talk.chat.clear_history()
    await say(talk, 2 + UNSEEN)
    assert talk.summary_requests == []

    await say(talk, 1)
    assert talk.summary_requests == [("ada", ConversationSummary(6, 6 + UNSEEN, ""))]


async def test_a_model_that_sees_no_pairs_has_all_of_them_summed_up():
    """Its window is empty."""
    talk = Talk(window_turns=0)
    await say(talk, UNSEEN + 1)

    assert talk.summary_requests == [("ada", ConversationSummary(0, UNSEEN, ""))]


async def test_a_summary_goes_with_the_turn(talk: Talk):
    """From now on every prompt has it."""
    await say(talk, 6)
    await sum_up(talk, 0, 4, "They greeted.")
    talk.activate()
    await say(talk, 1)

    assert [request.earlier for request in talk.responses.asked[-2:]] == ["", "They greeted."]
    assert talk.head.earlier == EarlierSummary(4, "They greeted.")


@pytest.mark.parametrize(
    ("after", "upto"), [(3, 5), (5, 6), (4, 7)], ids=["late", "early", "beyond"]
)
async def test_a_summary_that_does_not_fit_is_ignored(talk: Talk, after: int, upto: int):
    """It must follow the stored one, and end with a committed turn."""
    await say(talk, 6)
    await sum_up(talk, 0, 4, "kept")
    saves = talk.saves
    await sum_up(talk, after, upto, "other")

    assert (talk.head.earlier.text, talk.saves) == ("kept", saves)


@pytest.mark.parametrize("said_since", [0, 3])
async def test_a_summary_of_what_was_cleared_is_ignored(talk: Talk, said_since: int):
    """It was under way when the conversation was cleared, or its user forgotten."""
    await say(talk, 6)
    await talk.chat.clear_history()
    await say(talk, said_since)
    await sum_up(talk, 0, 4, "of before")

    assert talk.head.earlier == EarlierSummary(6, "")


async def test_clearing_drops_the_summary(talk: Talk):
    """Later turns are answered without it."""
    await say(talk, 6)
    await sum_up(talk, 0, 4, "of before")
    await talk.chat.clear_history()
    await say(talk, 1)

    assert talk.responses.asked[-1].earlier == ""
    assert b"of before" not in b"".join(talk.client.state["ChatAgent", "ada"].values())


async def test_a_failed_save_of_a_summary_is_not_believed(talk: Talk):
    """As any other."""
    await say(talk, 6)
    talk.client.fail("save", TimeoutError())
    await sum_up(talk, 0, 4, "lost")
    await say(talk, 1)

    assert talk.responses.asked[-1].earlier == ""


@pytest.mark.parametrize(("size", "seen"), [(340, "123"), (341, "23")])
async def test_tool_results_take_room_in_the_window(size: int, seen: str):
    """A token is taken for four bytes, of results as of words."""
    talk = Talk(window_tokens=100)
    for number, items in enumerate(("", "x" * size, "", "")):
        talk.responses.will(Reply(f"{number}" * 10, items=items))
        await talk.process(a_turn(f"{number}" * 10))
    await talk.answered("now")
    window = talk.responses.asked[-1].window

    assert [exchange.output.content[0] for exchange in window] == list(seen)


async def test_the_window_is_bounded_in_whole_turns():
    """One that does not fit is left out with all that is older, however short."""
    talk = Talk(window_tokens=100)
    await talk.answered("short")
    await talk.answered("x" * 401)
    await talk.answered("last")
    await talk.answered("now")

    assert [each.input.content for each in talk.responses.asked[-1].window] == ["last"]


async def test_tool_results_travel_with_the_exchange(talk: Talk):
    """The model gets it as it was saved."""
    talk.responses.will(Reply("done", items='[{"type":"x"}]'))
    await talk.process(a_turn("do"))
    await talk.answered("now")

    assert [each.items for each in talk.responses.asked[-1].window] == ['[{"type":"x"}]']
