"""The embedded runtime: actors, state, reminders, timers, topics and bindings in one process.

It promises what Dapr documents and needs nothing installed. Where Dapr's own behaviour is a trap
(docs/dapr-behaviour.md), it keeps the promise instead: a turn's lock outlives its caller, and an
actor is not deactivated while its turn runs.
"""

import asyncio
from contextlib import suppress
from typing import Any

from dapr.clients.base import DaprActorClientBase

from agent_actors.clock import Clock
from agent_actors.errors import StartupError, Unavailable
from agent_actors.protocol.events import CloudEvent
from agent_actors.runtime import DeadLetters, Deliver, Withdraw
from agent_actors.runtime.embedded.client import EmbeddedActorClient
from agent_actors.runtime.embedded.disk.database import Database
from agent_actors.runtime.embedded.disk.dead_letters import EmbeddedDeadLetters
from agent_actors.runtime.embedded.disk.folder import LOST, DataFolder
from agent_actors.runtime.embedded.files import components
from agent_actors.runtime.embedded.files.outputs import RecordedOutputs
from agent_actors.runtime.embedded.files.secrets import SecretStores
from agent_actors.runtime.embedded.kafka.component import read_inputs
from agent_actors.runtime.embedded.kafka.inputs import KafkaInputs
from agent_actors.runtime.embedded.time.reminders import Reminders
from agent_actors.runtime.embedded.time.timers import Timers
from agent_actors.runtime.embedded.topics import DeliverySettings, Topics
from agent_actors.runtime.embedded.turns import ActorTurns
from agent_actors.settings import Settings

__all__ = ["EmbeddedRuntime"]

DATABASE = "agent-actors.db"


class EmbeddedRuntime:
    """`Runtime` in one process: reads the component files, takes the data folder, opens the store.

    Args:
        settings: The settings of the process.
        clock: The time.
        recover: Names of reminders that fire at every start, whatever their due time.
        topics: Pub/sub component and topic of each subscription that must exist.
        delivery: How deliveries are tried, if not as usual.

    Raises:
        StartupError: One of them cannot be used; the text names it and says why.
    """

    called_by_sidecar = False

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        *,
        recover: frozenset[str] = frozenset(),
        topics: frozenset[tuple[str, str]] = frozenset(),
        delivery: DeliverySettings | None = None,
    ) -> None:
        self._drain = settings.drain
        self._clock = clock
        self._started = False
        self._end: asyncio.Task[None] | None = None
        where = components.find(settings.components)
        known = components.read(where)
        components.require(known, where, topics)
        self._secrets = SecretStores.open(known.secret_stores)
        self._secrets.require(settings.secret_store)
        self._outputs = RecordedOutputs(known.bindings)
        self._outputs.require(settings.sms_binding)
        self._inputs = KafkaInputs(read_inputs(known.bindings), clock)
        self._folder = DataFolder.take(settings.data)
        try:
            file = self._folder.path / DATABASE
            self._store = Database.open(file, settings.synchronous, self._folder.lost)
            self._folder.watch(file)
        except StartupError:
            self._folder.release()
            raise
        self._turns = ActorTurns(clock, settings.rules_of)
        self._reminders = Reminders(self._store, clock, self._turns.remind, recover)
        self._timers = Timers(clock, self._turns.tick)
        self._client = EmbeddedActorClient(self._turns, self._store, self._reminders, self._timers)
        self._letters = EmbeddedDeadLetters(self._store, clock, self._redeliver)
        self._topics = Topics(known, clock, delivery or DeliverySettings(), self._letters)

    @property
    def actor_client(self) -> DaprActorClientBase:
        """Calls, state, reminders and timers of the actors of this process."""
        return self._client

    @property
    def dead_letters(self) -> DeadLetters:
        """The events that could not be applied."""
        return self._letters

    async def publish(self, pubsub: str, topic: str, event: CloudEvent) -> None:
        """Takes an event for delivery in the background; raises like `Topics.publish`."""
        self._topics.publish(pubsub, topic, event)

    async def invoke_binding(
        self, name: str, operation: str, data: Any, metadata: dict[str, str]
    ) -> bytes:
        """Records the output, and sends nothing; raises like `RecordedOutputs.invoke`."""
        return await self._outputs.invoke(name, operation, data, metadata)

    async def get_secret(self, store: str, name: str) -> str | None:
        """A secret, or None if the store has none of that name; read anew each time."""
        return await self._secrets.get(store, name)

    async def start(self, deliver: Deliver, withdraw: Withdraw | None = None) -> None:  # noqa: ARG002 - there is no sidecar that could be replaced
        """Starts to serve turns, reminders and topics, once the actors are registered.

        Raises:
            StartupError: It was started or stopped before, or the database cannot be read.
        """
        if self._started or self._end is not None:
            raise StartupError("An embedded runtime is started once; open another one.")
        self._started = True
        self._turns.start(self._timers.end)
        self._topics.start(deliver)
        try:
            self._reminders.start()
        except Unavailable as error:
            raise StartupError(f"The reminders cannot be read: {error.detail}") from None
        self._inputs.start(deliver)

    async def stop(self) -> None:
        """Takes no new turns, lets running turns end within the drain time, then stops.

        Idempotent; runs to its end even if the caller is cancelled.
        """
        if self._end is None:
            self._end = asyncio.create_task(self._stop(), name="stop of the embedded runtime")
        await asyncio.shield(self._end)

    async def sidecar_started(self) -> None:
        """Does nothing: there is no sidecar."""

    async def purge(self) -> None:
        """Removes deleted state from the disk and from the write-ahead log."""
        await self._store.purge()

    async def unready(self) -> str | None:
        """Why actors cannot be called now, or None if they can."""
        if self._end is not None:
            return "The runtime is stopping."
        if not self._started:
            return "The runtime has not been started."
        if not self._store.alive:
            return "The store is closed."
        if self._folder.lost():
            return LOST
        return None

    async def _redeliver(self, topic: str, envelope: bytes) -> None:
        if self._inputs.has(topic):
            await self._inputs.redeliver(topic, envelope)
        else:
            await self._topics.redeliver(topic, envelope)

    async def _stop(self) -> None:
        try:
            self._reminders.refuse()
            self._timers.refuse()
            self._topics.refuse()
            self._inputs.refuse()
            self._turns.refuse()
            with suppress(TimeoutError):
                async with self._clock.timeout(self._drain):
                    await self._topics.drain()
                    await self._inputs.drain()
                    await self._turns.drain()
            await self._reminders.stop()
            await self._timers.stop()
            await self._topics.stop()
            await self._inputs.stop()
            await self._turns.stop()
        finally:
            await self._store.close()
            self._folder.release()
