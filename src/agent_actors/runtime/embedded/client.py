"""The SDK's actor client, answered in process."""

import asyncio
import sqlite3
from collections.abc import Sequence
from typing import Any, Literal

from dapr.common.reentrancy_context import reentrancy_ctx
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import from_json, to_json

from agent_actors.errors import Invalid, Unavailable
from agent_actors.protocol.codec import fields
from agent_actors.protocol.ids import ActorRef
from agent_actors.runtime.embedded.disk.database import Database
from agent_actors.runtime.embedded.time.reminders import Reminders
from agent_actors.runtime.embedded.time.timers import Timers
from agent_actors.runtime.embedded.turns import ActorTurns
from agent_actors.state.store import DocumentClient

_READ = "SELECT value FROM state WHERE type = ? AND id = ? AND key = ?"
_UPSERT = (
    "INSERT INTO state (type, id, key, value) VALUES (?, ?, ?, ?)"
    " ON CONFLICT DO UPDATE SET value = excluded.value"
)
_DELETE = "DELETE FROM state WHERE type = ? AND id = ? AND key = ?"


class _Document(BaseModel):
    key: str
    value: Any = None


class _Change(BaseModel):
    operation: Literal["upsert", "delete"]
    request: _Document


_changes: TypeAdapter[list[_Change]] = TypeAdapter(list[_Change])


class EmbeddedActorClient(DocumentClient):
    """Calls, state, reminders and timers of actors that live in this process."""

    def __init__(
        self, turns: ActorTurns, store: Database, reminders: Reminders, timers: Timers
    ) -> None:
        self._turns = turns
        self._store = store
        self._reminders = reminders
        self._timers = timers

    async def invoke_method(
        self, actor_type: str, actor_id: str, method: str, data: bytes | None = None
    ) -> bytes:
        """Runs one turn and returns its result. The turn goes on if the caller leaves."""
        chain = reentrancy_ctx.get() or None
        return await self._turns.call(ActorRef(actor_type, actor_id), method, data or b"", chain)

    async def save_state_transactionally(self, actor_type: str, actor_id: str, data: bytes) -> None:
        """Saves all changes of Dapr's JSON array or none; returns once they are committed.

        Raises:
            Invalid: The array has another form.
            Unavailable: The actor is not active here, or the store is unavailable.
        """
        try:
            # In two steps: pydantic reads values of any form faster without a schema.
            changes = _changes.validate_python(from_json(data))
        except ValidationError as error:
            raise Invalid(f"The state transaction is malformed: {fields(error)}") from None
        except ValueError:
            raise Invalid("The state transaction is malformed: it is not JSON.") from None
        # Encoded here, on the loop, to keep the writer's transaction short.
        documents: list[tuple[str, bytes | None]] = []
        for change in changes:
            value = to_json(change.request.value) if change.operation == "upsert" else None
            documents.append((change.request.key, value))
        await self.save_documents(actor_type, actor_id, documents)

    async def save_documents(
        self, actor_type: str, actor_id: str, changes: Sequence[tuple[str, bytes | None]]
    ) -> None:
        """Saves JSON documents; raises as `DocumentClient.save_documents`."""
        actor = ActorRef(actor_type, actor_id)
        if not self._turns.active(actor):
            raise Unavailable(
                f"The actor {actor_type}/{actor_id} is not active; nothing was saved."
            )

        def save(connection: sqlite3.Connection) -> None:
            for key, value in changes:
                if value is None:
                    connection.execute(_DELETE, (actor_type, actor_id, key))
                else:
                    connection.execute(_UPSERT, (actor_type, actor_id, key, value))

        decided = self._store.submit(save)
        self._turns.hold(actor, decided)
        await asyncio.shield(decided)

    async def get_state(self, actor_type: str, actor_id: str, name: str) -> bytes:
        """The saved JSON, or no bytes if there is none; waits for no turn."""
        found = self._store.rows(_READ, actor_type, actor_id, name)
        return bytes(found[0][0]) if found else b""

    async def register_reminder(
        self, actor_type: str, actor_id: str, name: str, data: bytes
    ) -> None:
        """Saves a reminder (Dapr's JSON object); raises like `Reminders.register`."""
        await self._reminders.register((actor_type, actor_id, name), data)

    async def unregister_reminder(self, actor_type: str, actor_id: str, name: str) -> None:
        """Removes a reminder, if it is there."""
        await self._reminders.unregister((actor_type, actor_id, name))

    async def register_timer(self, actor_type: str, actor_id: str, name: str, data: bytes) -> None:
        """Starts a timer of an active actor (Dapr's JSON object); raises like `Timers.register`."""
        if not self._turns.active(ActorRef(actor_type, actor_id)):
            raise Unavailable(f"The actor {actor_type}/{actor_id} is not active; it has no timers.")
        self._timers.register(actor_type, actor_id, name, data)

    async def unregister_timer(self, actor_type: str, actor_id: str, name: str) -> None:
        """Stops a timer, if it is there."""
        self._timers.unregister(actor_type, actor_id, name)
