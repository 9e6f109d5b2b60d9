"""The state store as actors use it: reads without a turn, and saves in one transaction."""

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
from agent_actors.state import documents
from agent_actors.state.slots import D, Slot

Changes = Mapping[Slot[Any], object | None]
"""Documents to store, or None to delete what is there."""


_SLOW = "The state store did not answer in time; try again."


class DocumentClient(DaprActorClientBase):
    """A client in whose process the store is: documents need no transaction's JSON around them."""

    @abstractmethod
    async def save_documents(
        self, actor_type: str, actor_id: str, changes: Sequence[tuple[str, bytes | None]]
    ) -> None:
        """Saves or, where there is None, deletes documents in JSON, by key: all of them or none.

        Raises:
            Unavailable: The actor is not active here, or the store is away.
        """


@dataclass(frozen=True, slots=True)
class StateStore:
    """Where actors keep their state, and the seconds a read or save may take."""

    client: DaprActorClientBase
    clock: Clock
    call_time: float
    counters: Counters = field(default_factory=Counters)

    async def read(self, actor: ActorRef, slot: Slot[D]) -> D | None:
        """A stored document of any actor, without a turn (I9); None where there is none.

        Raises:
            Unavailable: The store failed or did not answer in time; absent is not broken (I6).
            Defect: What is stored cannot be read.
        """
        try:
            with self.counters.timed("read"):
                async with self.clock.timeout(self.call_time):
                    data = await self.client.get_state(actor.type, actor.id, slot.key)
        except TimeoutError:
            raise Unavailable(_SLOW) from None
        return documents.read(data, slot.kind) if data else None

    async def write(self, actor: ActorRef, changes: Changes) -> None:
        """Stores all changes of one actor in one transaction.

        Raises:
            Unavailable: The store failed or did not answer in time; it may have worked.
        """
        encoded = [
            (slot.key, None if value is None else encode(value)) for slot, value in changes.items()
        ]
        try:
            with self.counters.timed("save"):
                async with self.clock.timeout(self.call_time):
                    await self._save(actor, encoded)
        except TimeoutError:
            raise Unavailable(_SLOW) from None

    async def _save(self, actor: ActorRef, changes: Sequence[tuple[str, bytes | None]]) -> None:
        if isinstance(self.client, DocumentClient):
            await self.client.save_documents(*actor, changes)
        else:
            await self.client.save_state_transactionally(*actor, _operations(changes))


def _operations(changes: Sequence[tuple[str, bytes | None]]) -> bytes:
    """Dapr's body of a state transaction."""
    return b"[" + b",".join(_operation(key, value) for key, value in changes) + b"]"


def _operation(key: str, value: bytes | None) -> bytes:
    name = encode(key)
    if value is None:
        return b'{"operation":"delete","request":{"key":' + name + b"}}"
    return b'{"operation":"upsert","request":{"key":' + name + b',"value":' + value + b"}}"
