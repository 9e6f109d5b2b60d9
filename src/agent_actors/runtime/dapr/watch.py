"""Notices a new sidecar: a killed one deactivates no actor (rule 6 and I15, docs/protocol.md).

This process leaves a mark in the sidecar's metadata. A sidecar without the mark is a new one, and
the state that this process has cached for its actors may be old. A new sidecar also requests
`/dapr/config` once before it hosts an actor: the look that this causes comes before any turn that
could use old state.
"""

import asyncio
import logging
import secrets

from agent_actors.clock import Clock
from agent_actors.errors import AgentError
from agent_actors.runtime import Withdraw
from agent_actors.runtime.dapr.sidecar import SidecarClient, section

log = logging.getLogger(__name__)

MARK = "agent-actors"
PERIOD = 1.0
"""Seconds between two looks."""
WITHIN = 2.0
"""Time limit of a look, in seconds."""


class SidecarWatch:
    """Checks the mark again and again; `withdraw` deactivates every actor of this process."""

    def __init__(self, sidecar: SidecarClient, clock: Clock, withdraw: Withdraw) -> None:
        self._sidecar = sidecar
        self._clock = clock
        self._withdraw = withdraw
        self._mark = secrets.token_hex(16)
        self._marked = False
        self._reason: str | None = None
        self._looking: asyncio.Task[bool] | None = None

    async def run(self) -> None:
        """Looks until it is cancelled."""
        while True:
            await self.look()
            await self._clock.sleep(PERIOD)

    async def sidecar_started(self) -> None:
        """Deactivates every actor unless the sidecar that asks is known to be the old one.

        If it cannot be known, it counts as new: an old cache would overwrite newer state.
        """
        if not await self.look():
            self._withdraw()

    async def look(self) -> bool:
        """Does the sidecar have our mark now? One look at a time serves all callers."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look(), name="look at the sidecar")
        return await asyncio.shield(self._looking)

    async def _look(self) -> bool:
        reason = None
        try:
            await self._mark_sidecar()
        except AgentError as error:
            reason = error.detail
        except TimeoutError:
            reason = "The sidecar did not answer in time."
        if reason is not None and reason != self._reason:
            log.warning("the sidecar is unavailable (%s)", reason.partition(";")[0].rstrip("."))
        elif self._reason is not None and reason is None:
            log.info("the sidecar is there")
        self._reason = reason
        return reason is None

    async def _mark_sidecar(self) -> None:
        metadata = await self._sidecar.metadata(WITHIN)
        if section(metadata, "extended").get(MARK) == self._mark:
            return
        # Before the first mark no cache can be old: this process is younger than its sidecar.
        if self._marked:
            log.info("the sidecar is new; every actor starts from saved state")
            self._withdraw()
        async with self._clock.timeout(WITHIN):
            await self._sidecar.ask("PUT", f"metadata/{MARK}", self._mark.encode())
        self._marked = True
