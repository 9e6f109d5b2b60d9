"""Reads of what is saved of a user, without a turn."""

import pytest

from agent_actors.errors import NotFound, Unavailable
from agent_actors.protocol.ids import ActorRef
from agent_actors.protocol.messages import Person, SessionExchange, Sessions
from agent_actors.state import slots
from agent_actors.state.cache import ActorState
from agent_actors.state.documents.conversation import Head
from agent_actors.state.documents.users import (
    Analytics,
    LastExchanges,
    Profile,
    SessionIndex,
    SessionPage,
    Tombstone,
    UserPreferences,
)
from agent_actors.state.reader import StateReader
from agent_actors.state.store import Changes, StateStore
from tests.fakes import FakeActorClient


async def keep(store: StateStore, kind: str, name: str, changes: Changes) -> None:
    await ActorState(store, ActorRef(kind, name), may_act=lambda: None).save(changes)


async def test_of_an_unknown_user_nothing_is_there(reader: StateReader):
    """And that is no error."""
    assert await reader.person("ada") == Person("ada", "casual", "ada is a new user.")
    assert await reader.last_exchanges("ada") == ()
    assert await reader.preferences("ada") == {}
    assert await reader.sessions("ada") == Sessions(())
    assert await reader.analytics("ada") is None
    assert await reader.forgotten_at("ada") is None


async def test_who_a_user_is_lies_with_memory(reader: StateReader, store: StateStore):
    """Missing fields have the defaults of a new user."""
    await keep(store, "MemoryAgentActor", "memory-ada", {slots.PROFILE: Profile(name="Ada")})

    assert await reader.person("ada") == Person("Ada", "casual", "ada is a new user.")


async def test_exchanges_and_preferences_lie_with_the_session_actor(
    reader: StateReader, store: StateStore
):
    """As they were saved."""
    exchange = SessionExchange("10m", "2024-01-05")
    changes: Changes = {
        slots.EXCHANGES: LastExchanges(exchanges=(exchange,)),
        slots.PREFERENCES: UserPreferences(values=(("style", "brief"),)),
    }
    await keep(store, "UserSessionActor", "ada", changes)

    assert await reader.last_exchanges("ada") == (exchange,)
    assert await reader.preferences("ada") == {"style": "brief"}


async def test_sessions_are_read_page_by_page(reader: StateReader, store: StateStore):
    """Only open pages; those from before the user was forgotten are not shown."""
    index = SessionIndex(first=0, last=3, open=2)
    pages = {slots.session_page(n): SessionPage(session_ids=(f"s{n}",)) for n in range(4)}
    await keep(store, "UserSessionActor", "ada", {slots.SESSIONS: index, **pages})

    assert await reader.sessions("ada") == Sessions(("s2",), 3)
    assert await reader.sessions("ada", 3) == Sessions(("s3",), None)
    assert await reader.sessions("ada", 4) == Sessions(())
    assert await reader.sessions("ada", 1) == Sessions(("s2",), 3)


async def test_numbers_lie_with_the_analytics_actor(reader: StateReader, store: StateStore):
    """The whole document."""
    analytics = Analytics(message_count=3)
    await keep(store, "AnalyticsActor", "ada", {slots.ANALYTICS: analytics})

    assert await reader.analytics("ada") == analytics


@pytest.mark.parametrize(("at", "since"), [(None, False), (9.0, True), (10.0, True), (10.5, False)])
async def test_an_event_from_before_the_deletion_is_known_by_its_time(
    reader: StateReader, store: StateStore, at: float | None, since: bool
):
    """For an unknown time the result is False."""
    assert await reader.forgotten_since("ada", at) is False

    await keep(store, "AnalyticsActor", "ada", {slots.TOMBSTONE: Tombstone(at=10.0)})
    assert await reader.forgotten_since("ada", at) is since


@pytest.mark.parametrize("head", [Head(seq=3, ended="forgotten"), Head(ended="closed"), Head()])
async def test_the_count_of_a_forgotten_user_is_not_there(
    reader: StateReader, store: StateStore, head: Head
):
    """So has a user who was forgotten and never had a turn."""
    await keep(store, "ChatAgent", "ada", {slots.HEAD: head})
    await keep(store, "AnalyticsActor", "ada", {slots.TOMBSTONE: Tombstone(at=10.0)})

    with pytest.raises(NotFound):
        await reader.count("ada")


async def test_the_count_goes_on_after_a_deletion(reader: StateReader, store: StateStore):
    """A tombstone is no wall."""
    await keep(store, "ChatAgent", "ada", {slots.HEAD: Head(user="ada", seq=4)})
    await keep(store, "AnalyticsActor", "ada", {slots.TOMBSTONE: Tombstone(at=10.0)})

    assert await reader.count("ada") == 4


@pytest.mark.parametrize(
    "read", ["person", "last_exchanges", "preferences", "sessions", "analytics", "forgotten_at"]
)
async def test_a_broken_store_is_an_error(reader: StateReader, client: FakeActorClient, read: str):
    """No read turns a failure into an empty answer."""
    client.fail("get", Unavailable("away"))

    with pytest.raises(Unavailable):
        await getattr(reader, read)("ada")
