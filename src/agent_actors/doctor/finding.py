"""What a check has found: one line of the report."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

Status = Literal["ok", "warn", "FAIL", "skip"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, how it stands, and what is to be done about it.

    No text has a key, a token or a secret in it.
    """

    check: str
    status: Status
    found: str
    advice: str = ""


class Check(Protocol):
    """Something that is looked at."""

    name: str

    async def look(self) -> Sequence[Finding]:
        """What was found; at least one finding."""
        ...


@dataclass(frozen=True, slots=True)
class Report:
    """Makes the findings of one check."""

    check: str

    def ok(self, found: str) -> list[Finding]:
        """It is as it should be."""
        return [Finding(self.check, "ok", found)]

    def warn(self, found: str, advice: str) -> list[Finding]:
        """The service runs with it, but somebody should know."""
        return [Finding(self.check, "warn", found, advice)]

    def fail(self, found: str, advice: str) -> list[Finding]:
        """The service does not work like that."""
        return [Finding(self.check, "FAIL", found, advice)]

    def skip(self, reason: str, advice: str = "") -> list[Finding]:
        """It cannot be looked at, for that reason."""
        return [Finding(self.check, "skip", reason, advice)]
