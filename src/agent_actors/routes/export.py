"""The export of a user: one JSON document, which is read and sent part by part."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, Field

from agent_actors.protocol import ids
from agent_actors.protocol.codec import encode
from agent_actors.protocol.dead_letters import DeadLetter, is_about
from agent_actors.protocol.messages import Message, Person, SessionExchange, Usage
from agent_actors.protocol.schedules import Schedule
from agent_actors.routes.analytics import UsageDocument
from agent_actors.routes.edge.dependencies import Services
from agent_actors.routes.notifications import Notification, notifications_of
from agent_actors.routes.schedules import ScheduleDocument
from agent_actors.state.documents import Analytics, Head, Memory, Pair

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


@dataclass(frozen=True, slots=True)
class Export:
    """The data of a user; conversations and dead letters are read while they are sent."""

    services: Services
    user: str
    memory: Memory
    person: Person
    exchanges: tuple[SessionExchange, ...]
    preferences: dict[str, str]
    analytics: Analytics | None
    head: Head
    schedules: Sequence[Schedule]
    notifications: Sequence[Notification]
    has_sessions: bool
    has_letters: bool

    @classmethod
    async def of(cls, services: Services, user: str) -> "Export":
        """The export of a user, as stored now."""
        reader = services.reader
        return cls(
            services,
            user,
            await reader.memory(user),
            await reader.person(user),
            await reader.last_exchanges(user),
            await reader.preferences(user),
            await reader.analytics(user),
            await reader.head(user),
            (await reader.schedules(user)).schedules,
            await notifications_of(services, user),
            bool((await reader.sessions(user)).session_ids),
            await anext(_letters(services, user), None) is not None,
        )

    @property
    def empty(self) -> bool:
        """Whether nothing is stored about the user."""
        conversations = self.has_sessions or _has_turns(self.head) or self.schedules
        consumers = self.memory.entries or self.exchanges or self.analytics or self.has_letters
        settings = self.preferences or self.person != Person.new(self.user)
        return not (conversations or consumers or settings)

    async def parts(self) -> AsyncIterator[bytes]:
        """The parts of the document; without its last part it is not valid JSON."""
        about = {
            "user_id": self.user,
            "exported_at": self.services.clock.now().isoformat(),
            "profile": self.person,
            "memory": self.memory.entries,
            "preferences": self.preferences,
            "last_exchanges": self.exchanges,
            "analytics": UsageDocument.of(self.analytics or Analytics()).model_dump(),
            "schedules": [ScheduleDocument.of(each).model_dump() for each in self.schedules],
            "notifications": [each.model_dump() for each in self.notifications],
        }
        yield encode(about)[:-1] + b',"conversations":['
        comma = b""
        async for conversation in self._conversations():
            head = await self.services.reader.head(conversation)
            if _has_turns(head) and head.user == self.user:
                yield comma
                comma = b","
                async for part in self._conversation(conversation, head):
                    yield part
        yield b'],"dead_letters":['
        comma = b""
        async for letter in _letters(self.services, self.user):
            yield comma + encode(letter)
            comma = b","
        yield b"]}"

    async def _conversations(self) -> AsyncIterator[str]:
        yield self.user
        page: int | None = 0
        # A session that was opened long before its first turn may be in the list twice.
        listed: set[str] = set()
        while page is not None:
            found = await self.services.reader.sessions(self.user, page)
            for session_id in found.session_ids:
                if session_id not in listed:
                    yield ids.session(session_id)
            listed.update(found.session_ids)
            page = found.next

    async def _conversation(self, conversation: str, head: Head) -> AsyncIterator[bytes]:
        about = {
            "session_id": ids.session_of(conversation) or "",
            "summary": head.earlier.text,
            "waiting": [queued.turn.message for queued in head.queue],
        }
        yield encode(about)[:-1] + b',"turns":['
        comma = b""
        for first in range(head.start + 1, head.seq + 1, PAIRS):
            last = min(first + PAIRS - 1, head.seq)
            pairs = await self.services.reader.pairs(conversation, head, first, last)
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
