"""Actor references; the form of ids, and how those of turns, events and schedules are derived."""

import hashlib
import json
import re
import uuid
from collections.abc import Sequence
from typing import NamedTuple

from agent_actors.errors import Invalid
from agent_actors.protocol.messages import Message

ID_FORM = r"[A-Za-z0-9][A-Za-z0-9_.:@~-]{0,127}"
"""Ids that neither daprd nor a URL alters: without `+`, `/`, `%` and spaces."""

_RESPONSE_PREFIX = "response-"
_MEMORY_PREFIX = "memory-"
_SESSION_PREFIX = "session:"
_SCHEDULE_PREFIX = "schedule-"
_TURNS = uuid.UUID("6f0d3c0a-5b5e-5c39-9c58-1f2a4e7b9d10")
_ID = re.compile(ID_FORM)
_KEY = re.compile(r"[\x21-\x7e]{1,255}")


class ActorRef(NamedTuple):
    """An actor: its type and id.

    A named tuple, since each call looks up several dictionaries by it: a dataclass is hashed by
    code in Python, which takes four times as long.
    """

    type: str
    id: str


def actor_id(text: str) -> str:
    """Checks an id and returns it.

    Raises:
        Invalid: The id has another form, or begins with `session:`, which names a session.
    """
    if not _ID.fullmatch(text):
        raise Invalid(
            "An id is a letter or digit, then at most 127 of letters, digits and _ . : @ ~ -"
            f" ({ID_FORM})."
        )
    if text.startswith(_SESSION_PREFIX):
        raise Invalid("Ids beginning with 'session:' name sessions and cannot be used here.")
    return text


def session_id(text: str) -> str:
    """Checks the id of a session and returns it; raises as `actor_id`."""
    return actor_id(text)


def session(session_id: str) -> str:
    """The conversation of a session."""
    return _SESSION_PREFIX + session_id


def session_of(conversation: str) -> str | None:
    """The session of a conversation; None if the conversation is named like its user."""
    named = conversation.startswith(_SESSION_PREFIX)
    return conversation.removeprefix(_SESSION_PREFIX) if named else None


def conversation_id(text: str) -> str:
    """Checks the id of a conversation and returns it; raises as `actor_id`."""
    actor_id(text.removeprefix(_SESSION_PREFIX))
    return text


def response_id(conversation: str) -> str:
    """The ResponseAgent of a conversation."""
    return _RESPONSE_PREFIX + conversation


def conversation_of(response: str) -> str:
    """The conversation of a ResponseAgent."""
    return response.removeprefix(_RESPONSE_PREFIX)


def memory_id(user: str) -> str:
    """The MemoryAgentActor of a user."""
    return _MEMORY_PREFIX + user


def user_of(memory: str) -> str:
    """The user of a MemoryAgentActor."""
    return memory.removeprefix(_MEMORY_PREFIX)


def key_hash(key: str) -> str:
    """An idempotency key as it is stored: 32 hex digits.

    Raises:
        Invalid: It is not 1 to 255 visible ASCII characters.
    """
    if not _KEY.fullmatch(key):
        raise Invalid("Idempotency-Key must be 1 to 255 visible ASCII characters.")
    return _digest(key.encode())


def body_hash(message: Message) -> str:
    """The hash of a message, over its validated values as canonical JSON: 32 hex digits."""
    return _digest(json.dumps([message.role, message.content]).encode())


def turn_id(conversation: str, key: str, body: str) -> str:
    """The id of a keyed turn: a retry of the same key and body is the same turn.

    Without the key, or the body, in it a turn could be paid twice or answered with another one's
    answer (4.1 and 4.2, docs/protocol.md).
    """
    return str(uuid.uuid5(_TURNS, json.dumps([conversation, key, body])))


def schedule_id(user: str, key: str, plan: Sequence[object]) -> str:
    """The id of a keyed schedule: a retry of the same key and plan is the same schedule."""
    return str(uuid.uuid5(_TURNS, json.dumps(["schedule", user, key, *plan])))


def schedule_reminder(schedule_id: str) -> str:
    """The reminder of a schedule."""
    return _SCHEDULE_PREFIX + schedule_id


def schedule_of(reminder: str) -> str | None:
    """The schedule of a reminder; None if it is another reminder."""
    named = reminder.startswith(_SCHEDULE_PREFIX)
    return reminder.removeprefix(_SCHEDULE_PREFIX) if named else None


def occurrence_id(conversation: str, schedule_id: str, created: float, number: int) -> str:
    """The id of the turn that a schedule starts for the `number`th time, from 0."""
    occurrence = ["occurrence", conversation, schedule_id, created, number]
    return str(uuid.uuid5(_TURNS, json.dumps(occurrence)))


def event_id(conversation: str, seq: int) -> str:
    """The id of a turn's event, the same each time it is published."""
    return str(uuid.uuid5(_TURNS, json.dumps([conversation, seq])))


def clearing_id(conversation: str, upto: int) -> str:
    """The id of the event of a clearing, the same each time it is published."""
    return str(uuid.uuid5(_TURNS, json.dumps(["cleared", conversation, upto])))


def follow_up_id(conversation: str, turn_id: str) -> str:
    """The id of the follow-up of a turn: the same for each retry."""
    return str(uuid.uuid5(_TURNS, json.dumps(["follow-up", conversation, turn_id])))


def told_id(source: str, event_id: str) -> str:
    """The id of an event of another service: the same for the same id of the same source."""
    return str(uuid.uuid5(_TURNS, json.dumps(["told", source, event_id])))


def session_for(user: str, key: str) -> str:
    """The session that a user's keyed message opens: the same for each retry."""
    return str(uuid.uuid5(_TURNS, json.dumps(["session", user, key])))


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]
