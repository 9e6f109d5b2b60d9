"""A typed place in an actor's state, over the SDK's actor client (rules 2 and 8, docs/protocol.md).

The SDK's own state manager keeps every key ever read and marks changes clean before they are
saved; it stays empty here.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Generic, TypeVar

from agent_actors.protocol.notifications import NotificationLog, PhoneNumber
from agent_actors.protocol.schedules import Schedules
from agent_actors.state import documents

D = TypeVar("D")
Kept = TypeVar("Kept", covariant=True)


@dataclass(frozen=True, slots=True)
class Slot(Generic[Kept]):
    """A key of an actor's state and the document kept there.

    `cached` documents stay in memory while the actor is active; closed segments and dead letters
    do not.
    """

    key: str
    kind: type[Kept]
    cached: bool = True


HEAD = Slot("head", documents.Head)
SCHEDULES = Slot("schedules", Schedules)
MEMORY = Slot("memory", documents.Memory)
LETTERS = Slot("index", documents.LetterIndex)
PROFILE = Slot("profile", documents.Profile)
EXCHANGES = Slot("exchanges", documents.LastExchanges)
PREFERENCES = Slot("preferences", documents.UserPreferences)
SESSIONS = Slot("sessions", documents.SessionIndex)
ANALYTICS = Slot("analytics", documents.Analytics)
TOMBSTONE = Slot("tombstone", documents.Tombstone)
PHONE = Slot("phone", PhoneNumber)
NOTICES = Slot("notices", NotificationLog)


def segment(number: int) -> Slot[documents.Segment]:
    """Where segment `number` of a conversation lies."""
    return Slot(f"h{number}", documents.Segment, cached=False)


@lru_cache(maxsize=1024)  # A turn looks at sixteen of them.
def records(number: int) -> Slot[documents.OutcomeRecords]:
    """Where the outcome records 16·number … 16·number+15 lie."""
    return Slot(f"r{number}", documents.OutcomeRecords)


def mark(conversation: str) -> Slot[documents.Mark]:
    """Where a consumer keeps its mark for a conversation: a key each, so no document grows."""
    return Slot(f"s:{conversation}", documents.Mark)


def session_page(number: int) -> Slot[documents.SessionPage]:
    """Where a page of a user's sessions lies."""
    return Slot(f"p{number}", documents.SessionPage)


def letter(letter_id: str) -> Slot[documents.Letter]:
    """Where a dead letter lies: a key each, so that none is read for another."""
    return Slot(f"l:{letter_id}", documents.Letter, cached=False)


def letter_page(number: int) -> Slot[documents.LetterPage]:
    """Where a page of dead letters lies."""
    return Slot(f"p{number}", documents.LetterPage, cached=False)
