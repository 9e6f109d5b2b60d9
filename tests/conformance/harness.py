"""A runtime as the suite sees it. Everything that is special to one of them hides behind this."""

import json
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from dapr.actor import ActorRuntime
from dapr.clients.base import DaprActorClientBase
from dapr.ext.fastapi import DaprActor
from fastapi import FastAPI

from agent_actors.clock import SystemClock
from agent_actors.contracts import READINESS
from agent_actors.errors import AgentError
from agent_actors.messages import CloudEvent
from agent_actors.runtime import Delivered, Runtime
from agent_actors.serializer import ValueSerializer, encode
from tests.conformance.probe import PROBE, Journal, Probe

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

Answer = Callable[[str, Any], Awaitable[Delivered]]
"""A subscription route: gets the path and the event, and answers."""

R = TypeVar("R")


@dataclass(frozen=True)
class Delivery:
    """An event that reached a route."""

    path: str
    event: Any


class CallFailed(Exception):
    """The runtime did not do it, in whatever form it tells that; the text is what it says."""


async def succeed(path: str, event: Any) -> Delivered:
    """The route that takes everything."""
    return Delivered(200, b'{"status":"SUCCESS"}')


class Harness(ABC):
    """The probe actor on some runtime, its topic with a route and a dead-letter route, and secrets.

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
    async def start(self, *, idle_timeout: float = 60.0) -> None:
        """Starts the runtime and the app."""

    @abstractmethod
    async def stop(self) -> None:
        """Stops them; what is saved stays. Idempotent."""

    @property
    @abstractmethod
    def _running(self) -> Runtime:
        """The runtime, once it has been started."""

    async def call(self, actor_id: str, method: str, argument: object = None) -> Any:
        """Calls the probe as an actor would, and returns what it returned.

        Raises:
            CallFailed: The turn failed.
        """
        data = None if argument is None else encode(argument)
        return json.loads(await _told(self._client.invoke_method(PROBE, actor_id, method, data)))

    async def state(self, actor_id: str, key: str) -> bytes:
        """Reads saved state without a turn."""
        return await self._client.get_state(PROBE, actor_id, key)

    async def save(self, actor_id: str, transaction: str) -> None:
        """Saves state without a turn.

        Raises:
            CallFailed: Nothing was saved.
        """
        saving = self._client.save_state_transactionally(PROBE, actor_id, transaction.encode())
        await _told(saving)

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

    async def _deliver(self, path: str, envelope: bytes) -> Delivered:
        event = json.loads(envelope)
        self.deliveries.append(Delivery(path, event))
        return await self.answer(path, event)

    async def _register(self, client: DaprActorClientBase) -> None:
        """Registers the probe with the SDK; one that is asked for readiness leaves no trace."""
        ActorRuntime._actor_managers.clear()
        serializer, aside = ValueSerializer(), Journal()
        await DaprActor(FastAPI()).register_actor(
            Probe,
            actor_client=client,
            actor_factory=lambda ctx, actor_id: Probe(
                ctx, actor_id, aside if actor_id.id == READINESS else self.journal
            ),
            message_serializer=serializer,
            state_serializer=serializer,
        )


async def eventually(holds: Callable[[], bool], within: float = DEADLINE) -> None:
    """Waits for a condition on real time; the suite also runs where no clock can be moved."""
    clock = SystemClock()
    async with clock.timeout(within):
        while not holds():
            await clock.sleep(0.01)


async def _told(asked: Awaitable[R]) -> R:
    try:
        return await asked
    except AgentError as error:
        raise CallFailed(str(error)) from error
