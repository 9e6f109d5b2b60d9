"""Notices a new sidecar: a killed one deactivates no actor (rule 6 and I15, docs/protocol.md).

A mark of this process lies in the sidecar's metadata. A sidecar without it is a new one, and what
this process keeps of its actors may be old. A new sidecar also asks for `/dapr/config`, once,
before it hosts an actor: the look that this causes comes before any turn could run on what is old.
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
"""Seconds that a look may take."""


class SidecarWatch:
    """Looks after the mark.

    Args:
        sidecar: Where it lies.
        clock: Paces the looks.
        withdraw: Puts every actor of this process away.
    """

    def __init__(self, sidecar: SidecarClient, clock: Clock, withdraw: Withdraw) -> None:
        self._sidecar = sidecar
        self._clock = clock
        self._withdraw = withdraw
        self._mark = secrets.token_hex(16)
        self._marked = False
        self._reason: str | None = None
        self._looking: asyncio.Task[bool] | None = None

    async def run(self) -> None:
        """Looks for as long as it is let."""
        while True:
            await self.look()
            await self._clock.sleep(PERIOD)

    async def sidecar_started(self) -> None:
        """A sidecar is about to host actors: unless it is known to be the old one, all start anew.

        Not knowing must not pass for knowing: an old cache would overwrite what was saved since.
        """
        if not await self.look():
            self._withdraw()

    async def look(self) -> bool:
        """Has the sidecar our mark now? One look at a time serves all who want to know."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look(), name="look at the sidecar")
        return await asyncio.shield(self._looking)

    async def _look(self) -> bool:
        try:
            await self._compare()
        except AgentError as error:
            self._tell(error.detail)
        except TimeoutError:
            self._tell("The sidecar did not answer in time.")
        else:
            self._tell(None)
            return True
        return False

    async def _compare(self) -> None:
        told = await self._sidecar.metadata(WITHIN)
        if section(told, "extended").get(MARK) == self._mark:
            return
        # Before the first mark nothing can be old: this process is younger than its sidecar.
        if self._marked:
            log.info("the sidecar is a new one; every actor starts from what is saved")
            self._withdraw()
        async with self._clock.timeout(WITHIN):
            await self._sidecar.ask("PUT", f"metadata/{MARK}", self._mark.encode())
        self._marked = True

    def _tell(self, reason: str | None) -> None:
        """Why the sidecar cannot be used, or that it can; once each time."""
        if reason is not None and reason != self._reason:
            log.warning("the sidecar is away (%s)", reason.partition(";")[0].rstrip("."))
        elif self._reason is not None and reason is None:
            log.info("the sidecar is there")
        self._reason = reason
