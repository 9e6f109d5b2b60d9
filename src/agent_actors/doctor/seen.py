"""What a check has seen that later ones need."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Seen:
    """Filled on the way; what is still empty could not be seen.

    `sidecar` is what the sidecar says of itself, or `silent` why it says nothing; `holder` which
    process uses the data folder; `service` where the service answers, and `ready` whether it is;
    `skews` by how many seconds the clock of another is ahead of ours.
    """

    sidecar: dict[str, Any] | None = None
    silent: str = "the sidecar does not answer"
    holder: int | None = None
    service: str | None = None
    ready: bool = False
    skews: dict[str, float] = field(default_factory=dict)
