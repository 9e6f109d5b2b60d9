"""A runtime as the suite sees it. Everything that is special to one of them hides behind this."""

import json
from abc import ABC, abstractmethod
from base64 import b64encode
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from dapr.actor import Actor, ActorId, ActorRuntime
from dapr.actor.runtime.context import ActorRuntimeContext
from dapr.clients.base import DaprActorClientBase
from dapr.ext.fastapi import DaprActor
from fastapi import FastAPI

from agent_actors.clock import SystemClock
from agent_actors.errors import AgentError
from agent_actors.protocol.codec import ValueSerializer, encode
from agent_actors.protocol.events import CloudEvent
from agent_actors.protocol.wire import READINESS
from agent_actors.runtime import DeliveryResponse, Headers, Runtime
from agent_actors.settings import Settings
from agent_actors.turns.activations import Activations
from agent_actors.turns.actor import Host
from tests.conformance.probe import PROBE, Arm, Journal, Probe
from tests.conformance.teller import CALL_TIME, Teller
from tests.fakes import eventually

PUBSUB = "conformance"
TOPIC = "events"
ROUTE = "/events"
DEAD_ROUTE = "/dead"
DEADLINE = 20.0
TRIES = 5
"""Deliveries of an event that fails, on every runtime."""

SUBSCRIPTIONS = f"""
apiVersion: dapr.io/v2alpha1
kind: Subscription
metadata: {{name: {TOPIC}}}
spec:
  pubsubname: {PUBSUB}
  topic: {TOPIC}
  routes: {{default: {ROUTE}}}
  deadLetterTopic: {TOPIC}-dead
---
apiVersion: dapr.io/v2alpha1
kind: Subscription
metadata: {{name: {TOPIC}-dead}}
spec:
  pubsubname: {PUBSUB}
  topic: {TOPIC}-dead
  routes: {{default: {DEAD_ROUTE}}}
"""

SECRETS = {"key": "a secret", "empty": "", "deep": {"er": {"key": "v"}, "list": ["0", "1"]}}
"""What the file of the secret stores has at the start; each test may write another."""

_STORES = """
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {name: file}
spec:
  type: secretstores.local.file
  version: v1
  metadata:
    - {name: secretsFile, value: "FILE"}
---
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {name: dotted}
spec:
  type: secretstores.local.file
  version: v1
  metadata:
    - {name: secretsFile, value: "FILE"}
    - {name: nestedSeparator, value: "."}
---
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {name: several}
spec:
  type: secretstores.local.file
  version: v1
  metadata:
    - {name: secretsFile, value: "FILE"}
    - {name: multiValued, value: "true"}
---
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {name: env}
spec:
  type: secretstores.local.env
  version: v1
---
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {name: prefixed}
spec:
  type: secretstores.local.env
  version: v1
  metadata:
    - {name: prefix, value: CONFORMANCE_}
"""

Answer = Callable[[str, Any], Awaitable[DeliveryResponse]]
"""A subscription route: gets the path and the event, and answers."""

R = TypeVar("R")


@dataclass(frozen=True)
class Delivery:
    """An event that reached a route."""

    path: str
    event: Any


class CallFailed(Exception):
    """The runtime did not do it, in whatever form it tells that; the text is what it says."""


async def succeed(path: str, event: Any) -> DeliveryResponse:
    """The route that takes everything."""
    return DeliveryResponse(200, b'{"status":"SUCCESS"}')


class Harness(ABC):
    """The actors on some runtime, a topic with a route and a dead-letter route, and secrets.

    Args:
        folder: For the component files, and whatever else the runtime keeps.
    """

    name: ClassVar[str]

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.components = folder / "components"
        self.components.mkdir()
        self.secrets = folder / "secrets.json"
        self.keep_secrets(SECRETS)
        (self.components / "stores.yaml").write_text(_STORES.replace("FILE", str(self.secrets)))
        self.journal = Journal()
        self.deliveries: list[Delivery] = []
        self.answer: Answer = succeed

    @abstractmethod
    async def start(self, *, idle_timeout: float = 60.0, depth: int = 1) -> None:
        """Starts the runtime and the app.

        Args:
            idle_timeout: Seconds after which an actor is deactivated.
            depth: How many calls of one chain may be in an actor at once.
        """

    @abstractmethod
    async def stop(self) -> None:
        """Stops them; what is saved stays. Idempotent."""

    @property
    @abstractmethod
    def _running(self) -> Runtime:
        """The runtime, once it has been started."""

    async def call(
        self, actor_id: str, method: str, argument: object = None, *, actor_type: str = PROBE
    ) -> Any:
        """Calls the probe (or another type) as an actor would, and returns what it returned.

        Raises:
            CallFailed: The turn failed.
        """
        data = None if argument is None else encode(argument)
        calling = self._client.invoke_method(actor_type, actor_id, method, data)
        return json.loads(await _told(calling))

    async def remind(
        self, actor_id: str, name: str, *, actor_type: str = PROBE, **body: Any
    ) -> None:
        """Registers a reminder by Dapr's own body; `data` is what the actor gets as text.

        Raises:
            CallFailed: It was refused.
        """
        data = b64encode(body.pop("data", "nothing").encode()).decode()
        told = json.dumps(body | {"data": data}).encode()
        await _told(self._client.register_reminder(actor_type, actor_id, name, told))

    async def time(self, actor_id: str, name: str, *, actor_type: str = PROBE, **body: Any) -> None:
        """Starts a timer by Dapr's own body, with a callback that all our actors here have.

        Raises:
            CallFailed: It was refused.
        """
        told = json.dumps({"callback": "ticked", "data": name} | body).encode()
        await _told(self._client.register_timer(actor_type, actor_id, name, told))

    async def untime(self, actor_id: str, name: str) -> None:
        """Stops a timer of the probe."""
        await self._client.unregister_timer(PROBE, actor_id, name)

    async def state(self, actor_id: str, key: str, *, actor_type: str = PROBE) -> bytes:
        """Reads saved state without a turn."""
        return await self._client.get_state(actor_type, actor_id, key)

    async def save(self, actor_id: str, transaction: str) -> None:
        """Saves state without a turn.

        Raises:
            CallFailed: Nothing was saved.
        """
        saving = self._client.save_state_transactionally(PROBE, actor_id, transaction.encode())
        await _told(saving)

    async def fired(self, count: int) -> None:
        """Waits for so many fires of reminders."""
        await eventually(lambda: len(self.journal.of("fired")) >= count)

    async def passed(self, seconds: float) -> None:
        """Waits on the runtime's own time: that of another actor's reminder."""
        name = f"later {len(self.journal.entries)}"
        await self.call("later", "Arm", Arm(name, due=seconds))
        await eventually(lambda: ("fired", "later", name, "nothing") in self.journal.entries)

    async def refuses(self, asked: Awaitable[object]) -> bool:
        """Whether it does not do it."""
        try:
            await asked
        except CallFailed:
            return True
        return False

    async def publish(self, event: CloudEvent, topic: str = TOPIC) -> None:
        """Publishes to a topic."""
        await self._running.publish(PUBSUB, topic, event)

    def keep_secrets(self, secrets: object) -> None:
        """Writes the file of the secret stores."""
        self.secrets.write_text(json.dumps(secrets))

    async def secret(self, store: str, name: str) -> str | None:
        """Asks for a secret, as the service does."""
        return await self._running.get_secret(store, name)

    @property
    def _client(self) -> DaprActorClientBase:
        return self._running.actor_client

    async def _deliver(self, path: str, envelope: bytes, headers: Headers = ()) -> DeliveryResponse:
        event = json.loads(envelope)
        self.deliveries.append(Delivery(path, event))
        return await self.answer(path, event)

    async def _register(self, client: DaprActorClientBase, settings: Settings) -> None:
        """Registers the actors with the SDK; one that is asked for readiness leaves no trace."""
        ActorRuntime._actor_managers.clear()
        activations, aside = Activations(settings.rules_of), Journal()
        host = Host(activations, SystemClock(), CALL_TIME)
        made: dict[type[Actor], Callable[[ActorRuntimeContext, ActorId], Actor]] = {
            Probe: lambda ctx, actor_id: Probe(
                ctx, actor_id, aside if actor_id.id == READINESS else self.journal
            ),
            Teller: lambda ctx, actor_id: activations.record(
                Teller(ctx, actor_id, host, self.journal)
            ),
        }
        for actor, make in made.items():
            await DaprActor(FastAPI()).register_actor(
                actor,
                actor_client=client,
                actor_factory=make,
                message_serializer=ValueSerializer(),
                state_serializer=ValueSerializer(),
            )


async def _told(asked: Awaitable[R]) -> R:
    try:
        return await asked
    except AgentError as error:
        raise CallFailed(str(error)) from error
