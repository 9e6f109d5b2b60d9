"""UserSessionActor: the last exchanges, the preferences, and the list of sessions."""

from typing import Any, cast

import pytest

from agent_actors.errors import Unavailable
from agent_actors.protocol import wire
from agent_actors.protocol.events import TurnEvent
from agent_actors.protocol.messages import Failure, Message, OpenSession, SessionExchange, Sessions
from agent_actors.state import slots
from agent_actors.users.session import EXCHANGE_BYTES, EXCHANGES, PAGE, UserSessionActor
from tests.unit.users.consumers import Bench, event


class SessionBench(Bench):
    """The UserSessionActor of ada."""

    def __init__(self) -> None:
        super().__init__(wire.SESSION)

    @property
    def user(self) -> UserSessionActor:
        return cast(UserSessionActor, self.actor)

    async def open(self, *names: str) -> None:
        for name in names:
            await self.user.open_session(OpenSession(name))

    async def closed(self) -> Sessions:
        return await self.user.closed_sessions()

    async def said(self) -> list[str]:
        """What the last exchanges begin with."""
        return [each.message[:8] for each in await self.user.get_conversation_history()]

    def page(self, number: int) -> Any:
        """A stored page of sessions."""
        document = self.client.value(self.key, slots.session_page(number))
        return document and document["session_ids"]

    @property
    def preferences(self) -> Any:
        document = self.client.value(self.key, slots.PREFERENCES)
        return document and dict(document["values"])


@pytest.fixture
def bench() -> SessionBench:
    return SessionBench()


def long(seq: int, size: int) -> TurnEvent:
    """An exchange of that many bytes, in two-byte characters."""
    said = Message("user", f"long {seq:03d}" + "é" * ((size - 8) // 2))
    return TurnEvent("ada", f"event {seq}", said, Message("assistant", ""), seq)


async def test_a_new_user_has_done_nothing(bench: SessionBench):
    """No exchanges, no sessions; to ask, to clear and to close saves nothing."""
    await bench.user.clear_history()
    await bench.user.close_sessions()
    assert await bench.user.get_conversation_history() == ()
    assert await bench.closed() == Sessions(())
    assert bench.saves == 0


async def test_the_last_ten_exchanges_are_kept(bench: SessionBench):
    """Newest last, over all conversations."""
    await bench.take(event(1, "session:x"), *[event(seq) for seq in range(1, 12)])

    exchanges = await bench.user.get_conversation_history()
    assert exchanges == tuple(
        SessionExchange(f"said {seq}", f"answered {seq}") for seq in range(2, 12)
    )
    assert len(exchanges) == EXCHANGES


async def test_long_exchanges_are_fewer(bench: SessionBench):
    """As many as fit in their bytes, the newest ones."""
    await bench.take(*[long(seq, EXCHANGE_BYTES // 4) for seq in range(1, 9)])

    assert await bench.said() == [f"long {seq:03d}" for seq in (5, 6, 7, 8)]


async def test_the_last_exchange_is_kept_however_long(bench: SessionBench):
    """It is at most one message and one answer; the next short one drops it again."""
    await bench.take(event(1), long(2, 2 * EXCHANGE_BYTES))
    assert await bench.said() == ["long 002"]

    await bench.take(event(3))
    assert await bench.said() == ["said 3"]


async def test_cleared_exchanges_do_not_come_back(bench: SessionBench):
    """What was applied is still known, of our own events and of foreign ones."""
    events = [event(1), event(None, event_id="x")]
    await bench.take(*events)
    await bench.user.clear_history()
    await bench.take(*events)

    assert await bench.said() == []


async def test_preferences_are_replaced(bench: SessionBench):
    """As a whole, and none at all leave no document."""
    await bench.user.set_preferences({"style": "brief", "language": "de"})
    assert bench.preferences == {"style": "brief", "language": "de"}

    await bench.user.set_preferences({"style": "long"})
    assert bench.preferences == {"style": "long"}

    await bench.user.set_preferences({})
    assert bench.preferences is None


async def test_a_session_is_listed_when_it_is_opened(bench: SessionBench):
    """Once, in order; opened again while it is on the last page, it changes nothing."""
    await bench.open("b", "a")
    saves = bench.saves
    await bench.open("b")

    assert (bench.page(0), bench.saves) == (["b", "a"], saves)


async def test_a_full_page_is_followed_by_another(bench: SessionBench):
    """To open a session costs the same however many there are: only the last page is looked at."""
    await bench.open(*[f"s{number}" for number in range(PAGE + 1)])
    save = bench.client.did("save")[-1]

    assert (len(bench.page(0)), bench.page(1)) == (PAGE, [f"s{PAGE}"])
    assert save[3:] == ("sessions", "p1")
    await bench.open("s0")
    assert bench.page(1) == [f"s{PAGE}", "s0"]


async def test_an_opening_that_cannot_be_saved_is_refused(bench: SessionBench):
    """Whoever forgets the user would not find the session."""
    bench.client.fail("save", Unavailable("away"))
    answer: object = await bench.user.open_session(OpenSession("a"))  # type: ignore[func-returns-value]

    assert isinstance(answer, Failure)
    assert bench.page(0) is None


async def test_a_closed_list_is_read_page_by_page(bench: SessionBench):
    """Its first page, until that is dropped, which happens once; the last one has no next."""
    await bench.open(*[f"s{number}" for number in range(PAGE + 1)])
    await bench.user.close_sessions()
    first = await bench.closed()
    for _ in range(2):  # A turn may run twice.
        await bench.user.drop_sessions(first)
    second = await bench.closed()
    await bench.user.drop_sessions(second)

    assert first == Sessions(tuple(f"s{number}" for number in range(PAGE)), 1)
    assert second == Sessions((f"s{PAGE}",), None)
    assert await bench.closed() == Sessions(())
    assert (bench.page(0), bench.page(1)) == (None, None)


async def test_an_open_list_is_not_dropped(bench: SessionBench):
    """Nor shown as a closed one."""
    await bench.open("a")
    await bench.user.drop_sessions(Sessions(("a",)))

    assert await bench.closed() == Sessions(())
    assert bench.page(0) == ["a"]


async def test_what_is_opened_after_the_closing_is_on_another_list(bench: SessionBench):
    """Also one that was on the closed list: it may be of a new life of the user."""
    await bench.open("a", "b")
    await bench.user.close_sessions()
    saves = bench.saves
    await bench.user.close_sessions()
    assert bench.saves == saves
    await bench.open("b", "c")

    assert (await bench.closed()).session_ids == ("a", "b")

    await bench.user.drop_sessions(Sessions(("a", "b")))
    assert await bench.closed() == Sessions(())
    assert bench.page(1) == ["b", "c"]


async def test_a_list_can_be_closed_again_before_the_last_one_is_empty(bench: SessionBench):
    """A deletion that broke off is sent again; what was opened since is closed, too."""
    await bench.open("a")
    await bench.user.close_sessions()
    await bench.open("b")
    await bench.user.close_sessions()

    assert await bench.closed() == Sessions(("a",), 1)
    await bench.user.drop_sessions(Sessions(("a",)))
    assert await bench.closed() == Sessions(("b",), None)


async def test_a_forgotten_user_leaves_the_list(bench: SessionBench):
    """Whoever forgets works through it; exchanges and preferences are gone."""
    await bench.open("a")
    await bench.take(event(1))
    await bench.user.set_preferences({"style": "brief"})
    await bench.user.close_sessions()
    await bench.forget(("ada", 1))

    assert (await bench.said(), bench.preferences) == ([], None)
    assert (await bench.closed()).session_ids == ("a",)


async def test_all_of_it_survives_an_activation(bench: SessionBench):
    """A fresh one goes on where the last one was."""
    await bench.open("a")
    await bench.take(event(1))
    await bench.user.close_sessions()
    bench.activate()

    assert await bench.said() == ["said 1"]
    assert (await bench.closed()).session_ids == ("a",)
