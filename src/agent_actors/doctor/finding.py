"""What the checks find, and what they share."""

import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from agent_actors.clock import Clock
from agent_actors.forms.line import one_line
from agent_actors.protocol.service_info import ServiceInfo
from agent_actors.settings import Settings

Status = Literal["ok", "warn", "FAIL", "skip"]

LONGEST = 300
"""Characters of a text: our own words, and about 200 characters of somebody else's."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report: what was checked, its status, and what to do about it.

    No text contains a key, a token or a secret. Some texts quote a server or a file: each is cut to
    one line without control characters, so that a quoted text cannot forge a line of the report.
    """

    check: str
    status: Status
    found: str
    advice: str = ""

    def __post_init__(self) -> None:
        """Makes each text one line."""
        for name in ("found", "advice"):
            object.__setattr__(self, name, one_line(getattr(self, name), LONGEST))


Findings = list[Finding]


@dataclass(frozen=True, slots=True)
class Report:
    """Makes the findings of one check."""

    check: str

    def ok(self, found: str) -> Findings:
        """All is well."""
        return [Finding(self.check, "ok", found)]

    def warn(self, found: str, advice: str) -> Findings:
        """The service works, but somebody should know."""
        return [Finding(self.check, "warn", found, advice)]

    def fail(self, found: str, advice: str) -> Findings:
        """The service does not work like this."""
        return [Finding(self.check, "FAIL", found, advice)]

    def skip(self, reason: str, advice: str = "") -> Findings:
        """The check could not be made."""
        return [Finding(self.check, "skip", reason, advice)]


@dataclass(slots=True)
class Context:
    """What every check gets.

    The first fields are set at the start. Checks fill the others for those that come after them:
    `metadata` is what the sidecar says about itself, or `no_metadata` why that is not known;
    `data_user` is the process that uses the data folder; `service` is the URL at which the service
    answers, `ready` whether it is ready, and `told` what it says that it runs; `skews` are seconds
    by which other clocks are ahead.
    """

    settings: Settings
    runtime: str
    clock: Clock
    url: str | None = None
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)

    metadata: dict[str, Any] | None = None
    no_metadata: str = "the sidecar does not answer"
    data_user: int | None = None
    service: str | None = None
    ready: bool = False
    told: ServiceInfo = field(default_factory=ServiceInfo)
    skews: dict[str, float] = field(default_factory=dict)

    @property
    def in_pod(self) -> bool:
        """Is this a pod of Kubernetes?"""
        return "KUBERNETES_SERVICE_HOST" in self.environment  # Kubernetes sets it in every pod.


Check = Callable[[Context], Awaitable[Findings]]
