"""The state store: reads of any actor's documents, and saves in one transaction.

A read goes straight to the store. It waits for no turn and activates no actor, so history, memory
and counts answer while a model runs (I9, docs/protocol.md).
"""

import asyncio
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dapr.clients.base import DaprActorClientBase

from agent_actors.clock import Clock
from agent_actors.errors import Unavailable
from agent_actors.observability.counters import Counters
from agent_actors.protocol.codec import encode
from agent_actors.protocol.ids import ActorRef
from agent_actors.state.slots import D, Slot
from agent_actors.state.versions import read

Changes = Mapping[Slot[Any], object | None]
"""Documents to save; None deletes the one that is stored."""

_SLOW = "The state store did not answer in time; try again."


class DocumentClient(DaprActorClientBase):
    """An actor client with the store in its own process: it saves documents as they are.

    Other clients are given Dapr's JSON for a state transaction.
    """

    @abstractmethod
    async def save_documents(
        self, actor_type: str, actor_id: str, changes: Sequence[tuple[str, bytes | None]]
    ) -> None:
        """Saves all documents (key and JSON; None deletes), or none of them.

        Raises `Unavailable` if the actor is not active here, or the store is unavailable.
        """


@dataclass(frozen=True, slots=True)
class StateStore:
    """The store with the state of all actors; a read or save takes at most `call_time` seconds."""

    client: DaprActorClientBase
    clock: Clock
    call_time: float
    counters: Counters = field(default_factory=Counters)

    async def read(self, actor: ActorRef, slot: Slot[D]) -> D | None:
        """A stored document; None if there is none.

        Raises:
            Unavailable: The store failed or was too slow. Only a missing key reads as None: a
                failure taken for an empty document would be saved over the stored one (I6).
            Defect: The stored document cannot be read.
        """
        try:
            with self.counters.timed("read"):
                async with self.clock.timeout(self.call_time):
                    data = await self.client.get_state(actor.type, actor.id, slot.key)
        except TimeoutError:
            raise Unavailable(_SLOW) from None
        return read(data, slot.kind) if data else None

    async def write(self, actor: ActorRef, changes: Changes) -> None:
        """Saves documents of one actor in one transaction.

        Raises `Unavailable` if the store failed or was too slow: the save may have taken effect.
        """
        encoded = [
            (slot.key, None if value is None else encode(value)) for slot, value in changes.items()
        ]
        try:
            with self.counters.timed("save"):
                async with self.clock.timeout(self.call_time):
                    if isinstance(self.client, DocumentClient):
                        await self.client.save_documents(*actor, encoded)
                    else:
                        steps = b",".join(_operation(key, value) for key, value in encoded)
                        await self.client.save_state_transactionally(*actor, b"[" + steps + b"]")
        except TimeoutError:
            raise Unavailable(_SLOW) from None


def _operation(key: str, value: bytes | None) -> bytes:
    """One operation of Dapr's state transaction; `value` is JSON already."""
    name = encode(key)
    if value is None:
        return b'{"operation":"delete","request":{"key":' + name + b"}}"
    return b'{"operation":"upsert","request":{"key":' + name + b',"value":' + value + b"}}"


@dataclass(frozen=True, slots=True)
class StoredActor:
    """The documents of one actor as they are stored; nothing is cached."""

    store: StateStore
    actor: ActorRef

    async def load(self, slot: Slot[D]) -> D | None:
        """A document; None if there is none; raises as `StateStore.read`."""
        return await self.store.read(self.actor, slot)

    async def load_all(self, wanted: Sequence[Slot[D]]) -> list[D]:
        """Those of the documents that exist, in order; they are read at the same time."""
        read = await asyncio.gather(*map(self.load, wanted))
        return [document for document in read if document is not None]
