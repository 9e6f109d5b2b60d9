"""What actors agree on: type names, ids, wire names of methods, topics, and how a turn is named.

Wire spellings live here and nowhere else. Interfaces are read by the SDK at run time, so their
annotations are real types: the serializer decodes into them.
"""

import hashlib
import json
import re
import uuid
from collections.abc import Callable
from typing import Any, TypeVar, cast

from dapr.actor import ActorInterface
from dapr.actor import actormethod as _actormethod

from agent_actors.errors import Blank, Invalid, TooLarge
from agent_actors.messages import (
    AdoptTurn,
    CompleteTurn,
    ForgetConversation,
    ForgetLetter,
    ForgetUser,
    KeepLetter,
    KeepSummary,
    MarkOf,
    Message,
    OpenSession,
    Passed,
    Person,
    ProcessTurn,
    Recollection,
    Remember,
    Remembered,
    Respond,
    Responding,
    SessionExchange,
    Sessions,
    SumUp,
    TurnState,
)

CHAT = "ChatAgent"
RESPONSE = "ResponseAgent"
MEMORY = "MemoryAgentActor"
SESSION = "UserSessionActor"
ANALYTICS = "AnalyticsActor"
LETTERS = "DeadLetterActor"

PING = "Ping"
READINESS = "~ready"
"""The id that is pinged to learn whether a type can be called; no conversation can have it."""

PUBSUB = "daca-pubsub"
USER_CHAT = "user-chat"
LESSON_PUBSUB = "pubsub"
CONVERSATIONS = "conversations"
MESSAGES = "messages"
"""The lessons' topics; other services publish there, we do not."""
LETTERS_ID = USER_CHAT
"""The one DeadLetterActor: all letters share its bounds."""
SETTLE = "settle"
"""The one recovery reminder of a conversation."""

EVENT_TYPE = "ConversationUpdated"
EVENT_VERSION = 1

ID_FORM = r"[A-Za-z0-9][A-Za-z0-9_.:@~-]{0,127}"
"""The ids that neither daprd nor a URL alters: `+`, `/`, `%` and spaces are not among them."""

_RESPONSE_PREFIX = "response-"
_MEMORY_PREFIX = "memory-"
_SESSION_PREFIX = "session:"
_TURNS = uuid.UUID("6f0d3c0a-5b5e-5c39-9c58-1f2a4e7b9d10")
_ID = re.compile(ID_FORM)
_KEY = re.compile(r"[\x21-\x7e]{1,255}")

_Method = TypeVar("_Method", bound=Callable[..., Any])
actormethod = cast(Callable[[str], Callable[[_Method], _Method]], _actormethod)


def actor_id(text: str) -> str:
    """The id itself if it may be used.

    Raises:
        Invalid: It has another form, or begins with `session:` (those name sessions).
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
    """The id of a session itself if it may be used; raises as `actor_id`."""
    return actor_id(text)


def session(session_id: str) -> str:
    """The conversation of a session."""
    return _SESSION_PREFIX + session_id


def session_of(conversation: str) -> str | None:
    """The session of a conversation; None where it is the one named like its user."""
    named = conversation.startswith(_SESSION_PREFIX)
    return conversation.removeprefix(_SESSION_PREFIX) if named else None


def conversation_id(text: str) -> str:
    """The id of a conversation itself, of a session or not; raises as `actor_id`."""
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


def check_message(message: Message, limit: int) -> None:
    """Refuses what no turn is made of.

    Raises:
        Blank: The content is empty or white space.
        Invalid: It is no text: JSON can write half a character, UTF-8 cannot.
        TooLarge: It has more than `limit` bytes in UTF-8.
    """
    if not message.content.strip():
        raise Blank("The message has no content.")
    try:
        size = len(message.content.encode())
    except UnicodeEncodeError:
        raise Invalid("The message's content has half of a surrogate pair.") from None
    if size > limit:
        raise TooLarge(f"The message's content has more than {limit} bytes.")


def text(value: str) -> str:
    """The value itself if it is text.

    Raises:
        ValueError: JSON can write half a character, UTF-8 cannot.
    """
    try:
        value.encode()
    except UnicodeEncodeError:
        msg = "it has half of a surrogate pair"
        raise ValueError(msg) from None
    return value


def key_hash(key: str) -> str:
    """An idempotency key as it is stored: 32 hex digits.

    Raises:
        Invalid: It is not 1 to 255 visible ASCII characters.
    """
    if not _KEY.fullmatch(key):
        raise Invalid("Idempotency-Key must be 1 to 255 visible ASCII characters.")
    return _digest(key.encode())


def body_hash(message: Message) -> str:
    """What a key's body is compared by: the validated values as canonical JSON, 32 hex digits."""
    return _digest(json.dumps([message.role, message.content]).encode())


def turn_id(conversation: str, key: str, body: str) -> str:
    """The id of a keyed turn: a retry of the same key and body is the same turn (PROTOCOL, 4)."""
    return str(uuid.uuid5(_TURNS, json.dumps([conversation, key, body])))


def event_id(conversation: str, seq: int) -> str:
    """The id of a turn's event, the same each time it is published."""
    return str(uuid.uuid5(_TURNS, json.dumps([conversation, seq])))


def told_id(source: str, event_id: str) -> str:
    """The id of a telling of another service: the same event of the same source is the same."""
    return str(uuid.uuid5(_TURNS, json.dumps(["told", source, event_id])))


def session_for(user: str, key: str) -> str:
    """The session that a user's keyed message begins: the same for each retry."""
    return str(uuid.uuid5(_TURNS, json.dumps(["session", user, key])))


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]


class Pingable(ActorInterface):
    """An actor that says it can be called; every actor of ours is one."""

    @actormethod("Ping")
    async def ping(self) -> bool:
        """True; nothing is read, and no turn is waited for."""
        raise NotImplementedError


class ChatAgentInterface(ActorInterface):
    """A conversation: its history, its queue of turns, and the events it owes."""

    @actormethod("ProcessMessage")
    async def process_message(self, request: ProcessTurn | Message) -> TurnState | Message:
        """Run a turn; a bare message (the lesson's form) is an unkeyed turn."""
        raise NotImplementedError

    @actormethod("CompleteTurn")
    async def complete_turn(self, request: CompleteTurn) -> None:
        """The model's task delivers the end of a parked turn."""
        raise NotImplementedError

    @actormethod("GetConversationHistory")
    async def get_conversation_history(self) -> tuple[Message, ...]:
        """The last entries, beginning with a user entry."""
        raise NotImplementedError

    @actormethod("ClearHistory")
    async def clear_history(self) -> None:
        """Hide what was said, cancel what is queued."""
        raise NotImplementedError

    @actormethod("AdoptTurn")
    async def adopt_turn(self, request: AdoptTurn) -> TurnState:
        """Commit a turn that another service has answered, once."""
        raise NotImplementedError

    @actormethod("SumUp")
    async def sum_up(self, request: SumUp) -> None:
        """Keep a summary of what the model does not see any more."""
        raise NotImplementedError

    @actormethod("Forget")
    async def forget(self, request: ForgetConversation) -> Passed:
        """Clear for a user who is forgotten; the number of the last committed turn."""
        raise NotImplementedError

    @actormethod("Settle")
    async def settle(self, upto: Passed) -> bool:
        """Do at once what the recovery reminder does; whether all up to that turn is erased."""
        raise NotImplementedError


class ResponseAgentInterface(ActorInterface):
    """Runs the model for a conversation and never waits for it longer than the parking time."""

    @actormethod("ProcessMessage")
    async def process_message(self, request: Respond) -> Responding:
        """Start a turn, or say where it is."""
        raise NotImplementedError

    @actormethod("GetMessageCount")
    async def get_message_count(self) -> int:
        """The number of committed turns of the conversation."""
        raise NotImplementedError


class MemoryAgentInterface(ActorInterface):
    """What a user said lately, over all conversations, fed by events."""

    @actormethod("UpdateMemory")
    async def update_memory(self, event: Remember) -> Remembered:
        """Apply one event, once and in order."""
        raise NotImplementedError

    @actormethod("GetMemory")
    async def get_memory(self) -> tuple[Message, ...]:
        """The entries, newest last."""
        raise NotImplementedError

    @actormethod("GetMark")
    async def get_mark(self, request: MarkOf) -> int:
        """The number of the last event of a conversation that is effective."""
        raise NotImplementedError

    @actormethod("Recall")
    async def recall(self) -> Recollection:
        """The entries, and who the user is."""
        raise NotImplementedError

    @actormethod("Initialize")
    async def initialize(self, person: Person) -> None:
        """Say who the user is; a summary that is being made is ignored."""
        raise NotImplementedError

    @actormethod("KeepSummary")
    async def keep_summary(self, request: KeepSummary) -> None:
        """Keep a summary of the user."""
        raise NotImplementedError

    @actormethod("Forget")
    async def forget(self, request: ForgetUser) -> None:
        """Forget the user; the marks move up."""
        raise NotImplementedError


class UserSessionInterface(ActorInterface):
    """What a user did last, prefers, and which sessions the user has; fed by events."""

    @actormethod("AddExchanges")
    async def add_exchanges(self, events: tuple[Remember, ...]) -> tuple[str, ...]:
        """Apply events, each once and in order; the ids of those that came too early."""
        raise NotImplementedError

    @actormethod("GetMark")
    async def get_mark(self, request: MarkOf) -> int:
        """The number of the last event of a conversation that is effective."""
        raise NotImplementedError

    @actormethod("GetConversationHistory")
    async def get_conversation_history(self) -> tuple[SessionExchange, ...]:
        """The last exchanges, newest last."""
        raise NotImplementedError

    @actormethod("ClearHistory")
    async def clear_history(self) -> None:
        """Drop the last exchanges."""
        raise NotImplementedError

    @actormethod("SetPreferences")
    async def set_preferences(self, values: dict[str, str]) -> None:
        """Replace the user's preferences."""
        raise NotImplementedError

    @actormethod("OpenSession")
    async def open_session(self, request: OpenSession) -> None:
        """Put a session on the user's list, once; to be called before its first turn."""
        raise NotImplementedError

    @actormethod("CloseSessions")
    async def close_sessions(self) -> None:
        """Close the list: what is on it belongs to a user who is forgotten, what comes does not."""
        raise NotImplementedError

    @actormethod("ClosedSessions")
    async def closed_sessions(self) -> Sessions:
        """The first page of a closed list; without `next`, the last one."""
        raise NotImplementedError

    @actormethod("DropSessions")
    async def drop_sessions(self, page: Sessions) -> None:
        """Drop this page, if it is the first of a closed list: its conversations are forgotten."""
        raise NotImplementedError

    @actormethod("Forget")
    async def forget(self, request: ForgetUser) -> None:
        """Forget the user; the marks move up."""
        raise NotImplementedError


class AnalyticsInterface(ActorInterface):
    """How many messages of a user were answered, and with how many tokens; fed by events."""

    @actormethod("CountTurns")
    async def count_turns(self, events: tuple[Remember, ...]) -> tuple[str, ...]:
        """Apply events, each once and in order; the ids of those that came too early."""
        raise NotImplementedError

    @actormethod("GetMark")
    async def get_mark(self, request: MarkOf) -> int:
        """The number of the last event of a conversation that is effective."""
        raise NotImplementedError

    @actormethod("GetMessageCount")
    async def get_message_count(self) -> int:
        """How many messages were answered."""
        raise NotImplementedError

    @actormethod("Initialize")
    async def initialize(self, message_count: int) -> None:
        """Set the number of messages."""
        raise NotImplementedError

    @actormethod("Forget")
    async def forget(self, request: ForgetUser) -> None:
        """Forget the user; the marks move up."""
        raise NotImplementedError


class DeadLetterInterface(ActorInterface):
    """The events that could not be applied, bounded in number and age."""

    @actormethod("Keep")
    async def keep(self, request: KeepLetter) -> str:
        """Keep an event, once; the letter's id."""
        raise NotImplementedError

    @actormethod("Forget")
    async def forget(self, request: ForgetLetter) -> None:
        """Remove a letter, if it is there."""
        raise NotImplementedError
