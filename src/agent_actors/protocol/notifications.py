"""The notifications of users, in calls and in stored documents. All values are frozen."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from agent_actors.protocol.events import TurnEvent

NEWS = 900.0
"""Seconds after which a turn is too old to notify anybody, for instance after an outage."""

NotificationStatus = Literal["sent", "failed", "unknown", "over the limit"]
"""The status of a notification; an `unknown` one may have been sent or not."""


@dataclass(frozen=True, slots=True)
class PhoneNumber:
    """A user's number, and since when it is the user's (epoch seconds)."""

    number: str
    since: float
    v: int = 1


@dataclass(frozen=True, slots=True)
class Notify:
    """`NotificationActor.Notify`: the turns of a user, and the number to notify."""

    phone: PhoneNumber
    events: tuple[TurnEvent, ...]


@dataclass(frozen=True, slots=True)
class NotificationReport:
    """`NotificationActor.Report`: the status of a notification."""

    notice_id: str
    status: NotificationStatus


@dataclass(frozen=True, slots=True)
class Sms:
    """An SMS to send; in a dead letter, `user_id` says whose it is.

    It is for the number that its user has had `since` that time; `at` is when the notification was
    saved. Both are in epoch seconds.
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
    """A saved notification, without its text, and with only the last digits of the number.

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

    `taken` counts the SMS of `day` (in UTC). `seen` has the ids of the last events that have no
    number.
    """

    v: int = 1
    notices: tuple[NotificationRecord, ...] = ()
    day: str = ""
    taken: int = 0
    seen: tuple[str, ...] = ()


def timestamp(time: str) -> float | None:
    """An RFC 3339 time in epoch seconds; None if it has another form."""
    try:
        return datetime.fromisoformat(time).timestamp()
    except (ValueError, OverflowError):
        return None


def newest_ignored(phone: PhoneNumber, now: float) -> float:
    """Turns up to this time (epoch seconds) are not sent: too old, or from before the number."""
    return max(phone.since, now - NEWS)
