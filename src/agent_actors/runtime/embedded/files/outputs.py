"""Output bindings of the embedded runtime: outputs are recorded, and nothing is sent."""

import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agent_actors.errors import Invalid, StartupError
from agent_actors.runtime.embedded.files.components import Component

_log = logging.getLogger(__name__)

SMS = "bindings.twilio.sms"
SERVED = frozenset({SMS})
"""The types of bindings that the embedded runtime has an output for."""
KEPT = 100
"""How many outputs are recorded: the newest ones."""


@dataclass(frozen=True, slots=True)
class RecordedOutput:
    """An operation that a binding was to perform."""

    binding: str
    operation: str
    data: Any
    metadata: dict[str, str]


class RecordedOutputs:
    """Records outputs instead of sending them: a laptop should not send SMS to anybody."""

    def __init__(self, bindings: Sequence[Component]) -> None:
        self._served = {each.name: each for each in bindings if each.type in SERVED}
        self.sent: deque[RecordedOutput] = deque(maxlen=KEPT)

    def require(self, sms: str | None) -> None:
        """Refuses to start if the binding of the settings is missing; None needs no binding.

        Raises:
            StartupError: There is no such binding, or it sends every SMS to one number.
        """
        if sms is None:
            return
        binding = self._served.get(sms)
        if binding is None:
            raise StartupError(
                f"AGENT_ACTORS_SMS_BINDING is {sms!r}, but no component file has a binding of that"
                f" name and of type {SMS}; docs/bindings.md says how to add one."
            )
        if "tonumber" in binding.metadata:
            raise binding.bad("its toNumber would get the SMS of every user")

    async def invoke(self, name: str, operation: str, data: Any, metadata: dict[str, str]) -> bytes:
        """Records the output.

        Raises:
            Invalid: There is no such binding, or Dapr's would refuse this output.
        """
        if name not in self._served:
            raise Invalid(f"There is no output binding {name!r}.")
        if operation != "create":
            raise Invalid(f"The binding {name!r} has no operation {operation!r}.")
        if not metadata.get("toNumber"):
            raise Invalid(f"The binding {name!r} needs a number in 'toNumber'.")
        self.sent.append(RecordedOutput(name, operation, data, dict(metadata)))
        _log.info("binding %s: recorded an output; the embedded runtime sends nothing", name)
        return b""
