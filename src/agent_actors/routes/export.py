"""Everything that is known of a user, as one JSON document, read and sent part by part."""

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
from agent_actors.routes.notifications import Notification, notified
from agent_actors.routes.schedules import ScheduleDocument
from agent_actors.state.documents import Analytics, Head, Memory, Pair
from agent_actors.state.reader import StateReader

PAIRS = 32
"""Pairs that are read at once."""


class ExportedTurn(BaseModel):
    """What was said and answered; `items` is what the model's run left behind, as JSON text.

    `schedule` is the schedule that said it; empty where the user did.
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
    """A session, or with no `session_id` the user's own conversation, oldest turn first.

    `waiting` are messages that have no answer yet, `summary` sums up what the model sees no more.
    """

    session_id: str
    summary: str
    waiting: list[Message]
    turns: list[ExportedTurn]


class ExportDocument(BaseModel):
    """Everything that is known of a user."""

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
    """What is known of a user; conversations and dead letters are read as they are sent."""

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
        """What is saved of the user now."""
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
            await notified(services, user),
            bool((await reader.sessions(user)).session_ids),
            await anext(_letters(services, user), None) is not None,
        )

    @property
    def empty(self) -> bool:
        """Is nothing known?"""
        said = self.memory.entries or self.exchanges or self.has_sessions or self.has_letters
        set_up = self.preferences or self.analytics or self.person != Person.new(self.user)
        return not (said or set_up or self.schedules or self._talked(self.head))

    async def parts(self) -> AsyncIterator[bytes]:
        """The document, in parts; a reader who gets no end has not got all of it."""
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
        first = True
        async for conversation in self._conversations():
            head = await self.services.reader.head(conversation)
            if self._talked(head) and head.user == self.user:
                yield b"" if first else b","
                first = False
                async for part in self._conversation(conversation, head):
                    yield part
        yield b'],"dead_letters":['
        between = b""
        async for letter in _letters(self.services, self.user):
            yield between + encode(letter)
            between = b","
        yield b"]}"

    @staticmethod
    def _talked(head: Head) -> bool:
        return head.seq > head.start or bool(head.queue)

    async def _conversations(self) -> AsyncIterator[str]:
        yield self.user
        page: int | None = 0
        # One that was opened long before its first turn may be on the list twice.
        listed: set[str] = set()
        while page is not None:
            found = await self.services.reader.sessions(self.user, page)
            for session_id in found.session_ids:
                if session_id not in listed:
                    yield ids.session(session_id)
            listed.update(found.session_ids)
            page = found.next

    async def _conversation(self, conversation: str, head: Head) -> AsyncIterator[bytes]:
        waiting = [queued.turn.message for queued in head.queue]
        about = {
            "session_id": ids.session_of(conversation) or "",
            "summary": head.earlier.text,
            "waiting": waiting,
        }
        yield encode(about)[:-1] + b',"turns":['
        between = b""
        for first in range(head.start + 1, head.seq + 1, PAIRS):
            pairs = await self._pairs(self.services.reader, conversation, head, first)
            if pairs:  # Else they were cleared and erased since the head was read.
                yield between + b",".join(encode(_turn(pair)) for pair in pairs)
                between = b","
        yield b"]}"

    @staticmethod
    async def _pairs(
        reader: StateReader, conversation: str, head: Head, first: int
    ) -> tuple[Pair, ...]:
        return await reader.pairs(conversation, head, first, min(first + PAIRS - 1, head.seq))


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
