"""The keys of an actor's state, each with the type of its document.

The SDK's own `ActorStateManager` is not used, and stays empty: it never lets go of a key that was
read, and takes a change for saved before it is (rule 8, docs/protocol.md). `cache.ActorState` is in
its place.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Generic, TypeVar

from agent_actors.protocol.notifications import NotificationLog, PhoneNumber
from agent_actors.protocol.schedules import Schedules
from agent_actors.state.documents.conversation import Head, OutcomeRecords, Segment
from agent_actors.state.documents.dead_letters import Letter, LetterIndex, LetterPage
from agent_actors.state.documents.users import (
    Analytics,
    LastExchanges,
    Mark,
    Memory,
    Profile,
    SessionIndex,
    SessionPage,
    Tombstone,
    UserPreferences,
)

D = TypeVar("D")
Kept = TypeVar("Kept", covariant=True)


@dataclass(frozen=True, slots=True)
class Slot(Generic[Kept]):
    """A key of an actor's state, and the type of the document under it.

    A document that is not `cached` is read from the store each time: segments and dead letters
    would fill the memory of a long-lived actor.
    """

    key: str
    kind: type[Kept]
    cached: bool = True


HEAD = Slot("head", Head)
SCHEDULES = Slot("schedules", Schedules)
MEMORY = Slot("memory", Memory)
LETTERS = Slot("index", LetterIndex)
PROFILE = Slot("profile", Profile)
EXCHANGES = Slot("exchanges", LastExchanges)
PREFERENCES = Slot("preferences", UserPreferences)
SESSIONS = Slot("sessions", SessionIndex)
ANALYTICS = Slot("analytics", Analytics)
TOMBSTONE = Slot("tombstone", Tombstone)
PHONE = Slot("phone", PhoneNumber)
NOTICES = Slot("notices", NotificationLog)


def segment(number: int) -> Slot[Segment]:
    """A segment of a conversation."""
    return Slot(f"h{number}", Segment, cached=False)


@lru_cache(maxsize=1024)  # Every turn makes sixteen of them.
def records(number: int) -> Slot[OutcomeRecords]:
    """The outcome records 16·number … 16·number+15 of a conversation."""
    return Slot(f"r{number}", OutcomeRecords)


def mark(conversation: str) -> Slot[Mark]:
    """A consumer's mark for a conversation."""
    return Slot(f"s:{conversation}", Mark)


def session_page(number: int) -> Slot[SessionPage]:
    """A page of a user's sessions."""
    return Slot(f"p{number}", SessionPage)


def letter(letter_id: str) -> Slot[Letter]:
    """A dead letter."""
    return Slot(f"l:{letter_id}", Letter, cached=False)


def letter_page(number: int) -> Slot[LetterPage]:
    """A page of dead letters."""
    return Slot(f"p{number}", LetterPage, cached=False)
