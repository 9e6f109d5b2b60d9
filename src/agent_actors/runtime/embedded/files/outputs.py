"""Output bindings of the embedded runtime: what would be sent can be looked at instead."""

import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agent_actors.errors import Invalid, StartupError
from agent_actors.runtime.embedded.files.components import Binding

_log = logging.getLogger(__name__)

SMS = "bindings.twilio.sms"
SERVED = frozenset({SMS})
"""The types of bindings that this runtime has an output for."""
KEPT = 100
"""Outputs that can be looked at, the newest ones."""


@dataclass(frozen=True, slots=True)
class RecordedOutput:
    """What a binding was asked to do."""

    binding: str
    operation: str
    data: Any
    metadata: dict[str, str]


class RecordedOutputs:
    """Takes what goes out, and sends it nowhere: a laptop is to send nobody an SMS.

    Args:
        bindings: Those of the component files.
    """

    def __init__(self, bindings: Sequence[Binding]) -> None:
        self._served = {each.name: each for each in bindings if each.type in SERVED}
        self.sent: deque[RecordedOutput] = deque(maxlen=KEPT)

    def require(self, sms: str | None) -> None:
        """Refuses a setting that names a binding which is not here; None names none.

        Raises:
            StartupError: There is no such binding, or it sends every SMS to one number.
        """
        if sms is None:
            return
        binding = self._served.get(sms)
        if binding is None:
            raise StartupError(
                f"AGENT_ACTORS_SMS_BINDING is {sms!r}, and no component file has a binding of that"
                f" name that is {SMS}; docs/bindings.md says how one is added."
            )
        if "tonumber" in binding.metadata:
            raise binding.bad("its toNumber would get the SMS of every user")

    async def invoke(self, name: str, operation: str, data: Any, metadata: dict[str, str]) -> bytes:
        """Keeps what would have been sent.

        Raises:
            Invalid: There is no such binding here, or it would refuse this.
        """
        if name not in self._served:
            raise Invalid(f"There is no output binding {name!r}.")
        if operation != "create":
            raise Invalid(f"The binding {name!r} has no operation {operation!r}.")
        if not metadata.get("toNumber"):
            raise Invalid(f"The binding {name!r} needs a number in 'toNumber'.")
        self.sent.append(RecordedOutput(name, operation, data, dict(metadata)))
        _log.info("binding %s: an output was taken, and is sent nowhere here", name)
        return b""
