"""The export of a user: one JSON document, which is read and sent part by part."""

from collections.abc import AsyncIterator
from typing import Any

from pydantic import BaseModel, Field

from agent_actors.protocol import ids
from agent_actors.protocol.codec import encode
from agent_actors.protocol.dead_letters import DeadLetter, is_about
from agent_actors.protocol.messages import Message, Person, SessionExchange, Usage
from agent_actors.routes.analytics import UsageDocument
from agent_actors.routes.edge.dependencies import Services
from agent_actors.routes.notifications import Notification, notifications_of
from agent_actors.routes.schedules import ScheduleDocument
from agent_actors.state.documents.conversation import Head, Pair
from agent_actors.state.documents.users import Analytics
from agent_actors.state.reader import StateReader

PAIRS = 32
"""Turns that are read at once."""


class ExportedTurn(BaseModel):
    """A message and its reply. `items` are the items of the model's run, as JSON text.

    `schedule` is the schedule that the message came from; empty if the user sent it.
    """

    turn_id: str
    occurred_at: str
    user: str
    assistant: str
    model: str
    usage: Usage
    items: str
    schedule: str


class ExportedConversation(BaseModel):
    """A session, or with an empty `session_id` the user's own conversation; oldest turn first.

    `waiting` are the messages that have no reply yet; `summary` is about the turns that the model
    no longer sees.
    """

    session_id: str
    summary: str
    waiting: list[Message]
    turns: list[ExportedTurn]


class ExportDocument(BaseModel):
    """Everything that is stored about a user."""

    user_id: str = Field(examples=["ada"])
    exported_at: str
    profile: Person
    memory: list[Message]
    preferences: dict[str, str]
    last_exchanges: list[SessionExchange]
    analytics: UsageDocument
    schedules: list[ScheduleDocument]
    notifications: list[Notification]
    conversations: list[ExportedConversation]
    dead_letters: list[DeadLetter]


async def export_of(services: Services, user: str) -> AsyncIterator[bytes] | None:
    """The parts of the user's document; None if nothing is stored.

    Conversations and dead letters are read while the parts are sent. Without its last part, the
    document is not valid JSON.
    """
    reader = services.reader
    memory, person = await reader.memory(user), await reader.person(user)
    exchanges, preferences = await reader.last_exchanges(user), await reader.preferences(user)
    analytics = await reader.analytics(user)
    schedules = (await reader.schedules(user)).schedules
    stored = (
        memory.entries,
        person != Person.new(user),
        exchanges,
        preferences,
        analytics,
        schedules,
        _has_turns(await reader.head(user)),
        (await reader.sessions(user)).session_ids,
        await anext(_letters(services, user), None),
    )
    if not any(stored):
        return None
    about = {
        "user_id": user,
        "exported_at": services.clock.now().isoformat(),
        "profile": person,
        "memory": memory.entries,
        "preferences": preferences,
        "last_exchanges": exchanges,
        "analytics": UsageDocument.of(analytics or Analytics()).model_dump(),
        "schedules": [ScheduleDocument.of(each).model_dump() for each in schedules],
        "notifications": [each.model_dump() for each in await notifications_of(services, user)],
    }
    return _parts(services, user, about)


async def _parts(services: Services, user: str, about: dict[str, Any]) -> AsyncIterator[bytes]:
    yield encode(about)[:-1] + b',"conversations":['
    comma = b""
    async for conversation in _conversations(services.reader, user):
        head = await services.reader.head(conversation)
        if _has_turns(head) and head.user == user:
            yield comma
            comma = b","
            async for part in _conversation(services.reader, conversation, head):
                yield part
    yield b'],"dead_letters":['
    comma = b""
    async for letter in _letters(services, user):
        yield comma + encode(letter)
        comma = b","
    yield b"]}"


async def _conversations(reader: StateReader, user: str) -> AsyncIterator[str]:
    yield user
    page: int | None = 0
    # A session that was opened long before its first turn may be in the list twice.
    listed: set[str] = set()
    while page is not None:
        found = await reader.sessions(user, page)
        for session_id in found.session_ids:
            if session_id not in listed:
                yield ids.session(session_id)
        listed.update(found.session_ids)
        page = found.next


async def _conversation(reader: StateReader, conversation: str, head: Head) -> AsyncIterator[bytes]:
    about = {
        "session_id": ids.session_of(conversation) or "",
        "summary": head.earlier.text,
        "waiting": [queued.turn.message for queued in head.queue],
    }
    yield encode(about)[:-1] + b',"turns":['
    comma = b""
    for first in range(head.start + 1, head.seq + 1, PAIRS):
        last = min(first + PAIRS - 1, head.seq)
        pairs = await reader.pairs(conversation, head, first, last)
        if pairs:  # They may have been cleared and erased since the head was read.
            yield comma + b",".join(encode(_turn(pair)) for pair in pairs)
            comma = b","
    yield b"]}"


def _has_turns(head: Head) -> bool:
    return head.seq > head.start or bool(head.queue)


def _letters(services: Services, user: str) -> AsyncIterator[DeadLetter]:
    return services.dead_letters.find(lambda event: is_about(event, user))


def _turn(pair: Pair) -> dict[str, Any]:
    return {
        "turn_id": pair.turn_id,
        "occurred_at": pair.occurred_at,
        "user": pair.input.content,
        "assistant": pair.output.content,
        "model": pair.output.model,
        "usage": pair.output.usage,
        "items": pair.output.items,
        "schedule": pair.schedule,
    }
