"""Notifications of users as they travel and are stored. All values are frozen."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from agent_actors.protocol.messages import TurnEvent

NEWS = 900.0
"""Seconds after which nobody is told any more: whatever was away meanwhile, or is new here."""

NotificationStatus = Literal["sent", "failed", "unknown", "over the limit"]
"""What became of a notification; of an `unknown` one nobody knows whether it was sent."""


@dataclass(frozen=True, slots=True)
class PhoneNumber:
    """A user's number, and since when it is the user's (epoch seconds)."""

    number: str
    since: float
    v: int = 1


@dataclass(frozen=True, slots=True)
class Notify:
    """`NotificationActor.Notify`: turns of a user, to be told at this number."""

    phone: PhoneNumber
    events: tuple[TurnEvent, ...]


@dataclass(frozen=True, slots=True)
class NotificationReport:
    """`NotificationActor.Report`: what became of a notification."""

    notice_id: str
    status: NotificationStatus


@dataclass(frozen=True, slots=True)
class Sms:
    """An SMS to be sent; as a dead letter it is found by its user.

    `since` says which of the user's numbers it is for, `at` when it was decided to send it; both in
    epoch seconds.
    """

    id: str
    user_id: str
    actor_id: str
    turn_id: str
    text: str
    since: float
    at: float


@dataclass(frozen=True, slots=True)
class NotificationRecord:
    """A notification as it is kept: not what it said, and of the number only how it ends.

    `at` is in epoch seconds.
    """

    id: str
    at: float
    conversation: str
    turn_id: str
    status: NotificationStatus
    ending: str


@dataclass(frozen=True, slots=True)
class NotificationLog:
    """The last notifications of a user, oldest first.

    On `day` (in UTC) `taken` of them were taken for sending; `seen` are the ids of the last foreign
    events.
    """

    v: int = 1
    notices: tuple[NotificationRecord, ...] = ()
    day: str = ""
    taken: int = 0
    seen: tuple[str, ...] = ()


def moment(time: str) -> float | None:
    """An RFC 3339 time in epoch seconds; None where it is none."""
    try:
        return datetime.fromisoformat(time).timestamp()
    except (ValueError, OverflowError):
        return None


def begins(phone: PhoneNumber, now: float) -> float:
    """What happened up to this time (epoch seconds) is no news to that number."""
    return max(phone.since, now - NEWS)
