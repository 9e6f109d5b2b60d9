"""Events that could not be applied, as they travel and are shown. All values are frozen."""

from base64 import b64decode, b64encode
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Envelope:
    """An event as it was delivered, byte for byte, as JSON can carry it."""

    data: str
    encoding: Literal["utf-8", "base64"] = "utf-8"

    @classmethod
    def of(cls, event: bytes) -> "Envelope":
        """Text where it is text."""
        try:
            return cls(event.decode())
        except UnicodeDecodeError:
            return cls(b64encode(event).decode(), "base64")

    @property
    def event(self) -> bytes:
        """What was delivered."""
        return self.data.encode() if self.encoding == "utf-8" else b64decode(self.data)


@dataclass(frozen=True, slots=True)
class KeepLetter:
    """`DeadLetterActor.Keep`: an event that could not be applied, on its topic."""

    topic: str
    reason: str
    tries: int
    envelope: Envelope


@dataclass(frozen=True, slots=True)
class ForgetLetter:
    """`DeadLetterActor.Forget`: the letter of that id, if it is on that page."""

    letter_id: str
    page: int


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event that could not be applied, kept so that nothing is lost.

    `at` is an RFC 3339 time, `event` the CloudEvent envelope as it was delivered.
    """

    id: str
    topic: str
    reason: str
    tries: int
    at: str
    event: Any
