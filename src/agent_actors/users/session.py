"""UserSessionActor: the last exchanges, the preferences and the sessions of a user."""

import functools
from dataclasses import replace

from agent_actors.errors import NotFound
from agent_actors.forms import phone_number
from agent_actors.protocol import ids
from agent_actors.protocol.clients import SessionClient
from agent_actors.protocol.events import TurnEvent
from agent_actors.protocol.interfaces import UserSessionInterface
from agent_actors.protocol.messages import (
    ForgetUser,
    HighWaterMark,
    OpenSession,
    SessionExchange,
    Sessions,
)
from agent_actors.protocol.notifications import PhoneNumber
from agent_actors.state import slots
from agent_actors.state.documents.users import LastExchanges, SessionPage, UserPreferences
from agent_actors.state.reader import StateReader
from agent_actors.turns.actor import turn
from agent_actors.users.consumer import Consumer, origin_of, with_id, without_turns

PHONE = "phone"
"""The preference that holds the phone number for notifications."""
EXCHANGES = 10
"""The number of exchanges that are kept."""
EXCHANGE_BYTES = 262_144
"""The bytes that they may have; with more, fewer are kept, but always the last one."""
PAGE = 64
"""The number of sessions on a page."""


class UserSessionActor(Consumer, UserSessionInterface):
    """One user, over all conversations.

    Sessions are listed on pages, so opening one costs the same however many there are (I7).
    """

    @turn
    async def add_exchanges(self, events: tuple[TurnEvent, ...]) -> tuple[str, ...]:
        """Applies events in one transaction; returns the ids of those that came too early."""
        last = await self.state.load_or_new(slots.EXCHANGES)
        due, early = await self.select(events, last.seen)
        if due:
            await self.apply(due, {slots.EXCHANGES: functools.reduce(with_exchange, due, last)})
        return early

    @turn
    async def get_conversation_history(self) -> tuple[SessionExchange, ...]:
        """The last exchanges, newest last."""
        return (await self.state.load_or_new(slots.EXCHANGES)).exchanges

    @turn
    async def clear_history(self) -> None:
        """Drops the last exchanges, but not the ids of applied events."""
        last = await self.state.load_or_new(slots.EXCHANGES)
        if last.exchanges:
            await self.state.save({slots.EXCHANGES: replace(last, exchanges=(), origins=())})

    @turn
    async def forget_conversation(self, passed: HighWaterMark) -> None:
        """Drops the exchanges of a conversation up to a turn; idempotent."""
        marks = await self.cleared_mark(passed)
        if marks is None:
            return
        last = await self.state.load_or_new(slots.EXCHANGES)
        exchanges, origins = without_turns(last.exchanges, last.origins, passed)
        kept = replace(last, exchanges=exchanges, origins=origins)
        await self.state.save({**marks, slots.EXCHANGES: kept})

    @turn
    async def set_preferences(self, values: dict[str, str]) -> None:
        """Replaces the preferences."""
        kept = UserPreferences(values=tuple(sorted(values.items()))) if values else None
        number, phone = values.get(PHONE, ""), await self.state.load(slots.PHONE)
        # A number that does not change keeps its `since`.
        if phone is None or phone.number != number:
            now = self.clock.now().timestamp()
            phone = PhoneNumber(number, now) if phone_number.is_number(number) else None
        await self.state.save({slots.PREFERENCES: kept, slots.PHONE: phone})

    @turn
    async def open_session(self, request: OpenSession) -> None:
        """Adds a session to the list, unless it is on the last page."""
        index = await self.state.load_or_new(slots.SESSIONS)
        page = await self.state.load_or_new(slots.session_page(index.last))
        if request.session_id in page.session_ids:
            return
        if len(page.session_ids) >= PAGE:
            index, page = replace(index, last=index.last + 1), SessionPage()
        page = SessionPage(session_ids=(*page.session_ids, request.session_id))
        await self.state.save({slots.SESSIONS: index, slots.session_page(index.last): page})

    @turn
    async def close_sessions(self) -> None:
        """Closes the list; sessions that are opened from now on are on a new one.

        A session whose first turn is still on its way is then on the closed list, and is closed
        before that turn comes, or it was opened after the deletion began.
        """
        index = await self.state.load_or_new(slots.SESSIONS)
        if (await self.state.load_or_new(slots.session_page(index.last))).session_ids:
            index = replace(index, last=index.last + 1)
        if index.open < index.last:
            await self.state.save({slots.SESSIONS: replace(index, open=index.last)})

    @turn
    async def closed_sessions(self) -> Sessions:
        """The first page of the closed list; empty if there is none."""
        index = await self.state.load_or_new(slots.SESSIONS)
        if index.first >= index.open:
            return Sessions(())
        following = index.first + 1
        page = await self.state.load_or_new(slots.session_page(index.first))
        return Sessions(page.session_ids, following if following < index.open else None)

    @turn
    async def drop_sessions(self, page: Sessions) -> None:
        """Drops this page if it is the first of the closed list.

        This turn may run twice; the sessions of the following page are not forgotten yet.
        """
        index = await self.state.load_or_new(slots.SESSIONS)
        first = await self.state.load_or_new(slots.session_page(index.first))
        if index.first < index.open and first.session_ids == page.session_ids:
            following = replace(index, first=index.first + 1)
            await self.state.save(
                {slots.SESSIONS: following, slots.session_page(index.first): None}
            )

    @turn
    async def forget(self, request: ForgetUser) -> None:
        """Forgets the user, except for the list of sessions; the marks move up."""
        gone = (slots.EXCHANGES, slots.PREFERENCES, slots.PHONE)
        await self.wipe(request, dict.fromkeys(gone))


def with_exchange(last: LastExchanges, event: TurnEvent) -> LastExchanges:
    """The last exchanges with one more, within their limits."""
    new = SessionExchange(event.input.content, event.output.content)
    kept = [new]
    room = EXCHANGE_BYTES - size(new)
    for exchange in reversed(last.exchanges[-(EXCHANGES - 1) :]):
        room -= size(exchange)
        if room < 0:
            break
        kept.append(exchange)
    seen = last.seen if event.seq is not None else with_id(last.seen, event.event_id)
    origins = (*last.origins, origin_of(event))[-len(kept) :]
    return replace(last, exchanges=tuple(reversed(kept)), seen=seen, origins=origins)


def size(exchange: SessionExchange) -> int:
    """The bytes of an exchange."""
    return len(exchange.message.encode()) + len(exchange.reply.encode())


async def open_session(
    reader: StateReader, sessions: SessionClient, user: str, conversation: str
) -> None:
    """Lets a user send messages to a session; before its first turn, adds it to the user's list.

    Whoever forgets the user then finds every session that has a turn, or is about to.

    Raises:
        NotFound: The session belongs to another user.
        TryLater: A part is unavailable.
    """
    head = await reader.head(conversation)
    if head.user and head.user != user:
        raise NotFound("There is no such session of this user.")
    session_id = ids.session_of(conversation)
    if not head.user and session_id is not None:
        await sessions.open(user, session_id)
