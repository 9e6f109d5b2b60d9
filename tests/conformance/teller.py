"""An actor of ours, with turns and state as our actors have them."""

import asyncio
import json
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from dapr.actor import ActorId, ActorInterface, Remindable
from dapr.actor.runtime.context import ActorRuntimeContext

from agent_actors.errors import AgentError, Unavailable
from agent_actors.protocol.codec import encode
from agent_actors.protocol.interfaces import actormethod
from agent_actors.state import slots
from agent_actors.state.documents.conversation import Head
from agent_actors.turns.actor import Host, TurnActor, turn
from tests.conformance.probe import Journal

TELLER = "Teller"
CALL_TIME = 1.5
"""Seconds that a call of a teller may take."""


@dataclass(frozen=True)
class Tour:
    """Have tellers asked, then count this turn.

    Each branch is a path of tellers, of whom each is asked by the one before; the branches are
    asked at once. With `stale`, what was read before that is counted on.
    """

    branches: tuple[tuple[str, ...], ...] = ()
    stale: bool = False


class TellerInterface(ActorInterface):
    @actormethod("Tour")
    async def tour(self, tour: Tour) -> int:
        raise NotImplementedError


class Teller(TurnActor, TellerInterface, Remindable):
    def __init__(
        self, ctx: ActorRuntimeContext, actor_id: ActorId, host: Host, journal: Journal
    ) -> None:
        super().__init__(ctx, actor_id, host)
        self._journal = journal
        self._client = ctx.dapr_client

    @turn
    async def tour(self, tour: Tour) -> int:
        self._journal.add("toured", self.id.id)
        head = await self.state.load(slots.HEAD) or Head()
        await asyncio.gather(*(self.ask(partial(self._follow, path)) for path in tour.branches))
        if not tour.stale:
            head = await self.state.load(slots.HEAD) or Head()
        await self.state.save({slots.HEAD: Head(seq=head.seq + 1)})
        return head.seq + 1

    @turn
    async def ticked(self, told: str) -> None:
        await self._call_itself()

    @turn
    async def receive_reminder(
        self,
        name: str,
        state: bytes,
        due_time: timedelta,
        period: timedelta | None = None,
        ttl: timedelta | None = None,
    ) -> None:
        await self._call_itself()

    async def _call_itself(self) -> None:
        self._journal.add("calls itself", self.id.id)
        try:
            await self.ask(partial(self._follow, (self.id.id,)))
        except AgentError as error:
            self._journal.add("refused", self.id.id, str(error.status))
        else:
            self._journal.add("answered", self.id.id)

    async def _follow(self, path: tuple[str, ...]) -> None:
        rest = Tour((path[1:],) if path[1:] else ())
        data = await self._client.invoke_method(TELLER, path[0], "Tour", encode(rest))
        answer = json.loads(data)
        if isinstance(answer, dict):
            raise Unavailable(answer["error"]["detail"])
