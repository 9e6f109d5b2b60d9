"""An actor that does what it is told and writes down what happened to it."""

import asyncio
import json
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from dapr.actor import Actor, ActorId, ActorInterface, Remindable
from dapr.actor.runtime.context import ActorRuntimeContext

from agent_actors.protocol.interfaces import Pingable, actormethod

PROBE = "Probe"


@dataclass
class Journal:
    """What happened to actors, in order, and the gates they wait at."""

    entries: list[tuple[str, ...]] = field(default_factory=list)
    gates: defaultdict[str, asyncio.Event] = field(
        default_factory=lambda: defaultdict(asyncio.Event)
    )
    failures: int = 0
    """How many of the next fires of a reminder fail."""

    def add(self, *entry: str) -> None:
        self.entries.append(entry)

    def of(self, what: str) -> list[tuple[str, ...]]:
        return [entry for entry in self.entries if entry[0] == what]


@dataclass(frozen=True)
class Hold:
    """Wait at a gate, then save the name of it."""

    gate: str


@dataclass(frozen=True)
class Arm:
    """Register a reminder. What it does when it fires is its data: see `receive_reminder`."""

    name: str
    due: float
    period: float | None = None
    data: str = "nothing"
    ttl: float | None = None


class ProbeInterface(ActorInterface):
    @actormethod("Save")
    async def save(self, transaction: str) -> None:
        raise NotImplementedError

    @actormethod("Echo")
    async def echo(self, text: str) -> str:
        raise NotImplementedError

    @actormethod("Hold")
    async def hold(self, hold: Hold) -> None:
        raise NotImplementedError

    @actormethod("Fail")
    async def fail(self, text: str) -> None:
        raise NotImplementedError

    @actormethod("Arm")
    async def arm(self, arm: Arm) -> None:
        raise NotImplementedError

    @actormethod("Pass")
    async def pass_on(self, path: tuple[str, ...]) -> int:
        raise NotImplementedError

    @actormethod("Disarm")
    async def disarm(self, name: str) -> None:
        raise NotImplementedError


class Probe(Actor, ProbeInterface, Pingable, Remindable):
    def __init__(self, ctx: ActorRuntimeContext, actor_id: ActorId, journal: Journal) -> None:
        super().__init__(ctx, actor_id)
        self._journal = journal
        self._client = ctx.dapr_client

    async def ping(self) -> bool:
        return True

    async def save(self, transaction: str) -> None:
        await self._client.save_state_transactionally(PROBE, self.id.id, transaction.encode())

    async def echo(self, text: str) -> str:
        return text

    async def hold(self, hold: Hold) -> None:
        self._journal.add("enter", self.id.id, hold.gate)
        await self._journal.gates[hold.gate].wait()
        change = {"operation": "upsert", "request": {"key": "held", "value": hold.gate}}
        await self.save(json.dumps([change]))
        self._journal.add("leave", self.id.id, hold.gate)

    async def fail(self, text: str) -> None:
        raise ValueError(text)

    async def arm(self, arm: Arm) -> None:
        period = None if arm.period is None else timedelta(seconds=arm.period)
        ttl = None if arm.ttl is None else timedelta(seconds=arm.ttl)
        due = timedelta(seconds=arm.due)
        await self.register_reminder(arm.name, arm.data.encode(), due, period, ttl)

    async def pass_on(self, path: tuple[str, ...]) -> int:
        """Calls the first actor of the path, which calls the next; how many turns that made."""
        if not path:
            return 1
        data = json.dumps(path[1:]).encode()
        return 1 + json.loads(await self._client.invoke_method(PROBE, path[0], "Pass", data))

    async def ticked(self, told: Any) -> None:
        """A timer fired; a text tells it what to do, as a reminder's data does."""
        self._journal.add("ticked", self.id.id, str(told))
        if told == "fail":
            raise ValueError(told)
        if isinstance(told, str) and told.startswith("unregister "):
            await self.unregister_timer(told.removeprefix("unregister "))
        elif isinstance(told, str) and told.startswith("hold "):
            await self._journal.gates[told.removeprefix("hold ")].wait()

    async def disarm(self, name: str) -> None:
        await self.unregister_reminder(name)

    async def receive_reminder(
        self,
        name: str,
        state: bytes,
        due_time: timedelta,
        period: timedelta | None = None,
        ttl: timedelta | None = None,
    ) -> None:
        self._journal.add("fired", self.id.id, name, state.decode())
        if self._journal.failures:
            self._journal.failures -= 1
            raise ValueError(name)
        if state == b"unregister":
            await self.unregister_reminder(name)
        elif state.startswith(b"hold "):
            await self._journal.gates[state.decode().removeprefix("hold ")].wait()

    async def _on_activate(self) -> None:
        self._journal.add("activate", self.id.id)

    async def _on_deactivate(self) -> None:
        self._journal.add("deactivate", self.id.id)
