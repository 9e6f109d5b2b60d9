"""What a check has found: one line of the report."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from agent_actors.forms.line import one_line

Status = Literal["ok", "warn", "FAIL", "skip"]

LONGEST = 300
"""Characters of a text: what is ours in it, and some 200 of what another has said."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, how it stands, and what is to be done about it.

    No text has a key, a token or a secret in it. What others have said is part of some: each is
    one line, so that nobody else can write one, and has nothing in it that a terminal obeys.
    """

    check: str
    status: Status
    found: str
    advice: str = ""

    def __post_init__(self) -> None:
        """Makes one line of each text."""
        for name in ("found", "advice"):
            object.__setattr__(self, name, one_line(getattr(self, name), LONGEST))


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
