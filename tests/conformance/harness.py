"""A runtime as the suite sees it. Everything that is special to one of them hides behind this."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from dapr.actor import ActorRuntime
from dapr.ext.fastapi import DaprActor
from fastapi import FastAPI

from agent_actors.clock import SystemClock
from agent_actors.errors import AgentError
from agent_actors.messages import CloudEvent
from agent_actors.runtime import Delivered
from agent_actors.runtime.embedded import EmbeddedRuntime
from agent_actors.serializer import ValueSerializer, encode
from agent_actors.settings import Settings
from tests.conformance.probe import PROBE, Journal, Probe

PUBSUB = "conformance"
TOPIC = "events"
ROUTE = "/events"
DEAD_ROUTE = "/dead"
DEADLINE = 20.0

Answer = Callable[[str, Any], Awaitable[Delivered]]
"""A subscription route: gets the path and the event, and answers."""


@dataclass(frozen=True)
class Delivery:
    """An event that reached a route."""

    path: str
    event: Any


class CallFailed(Exception):
    """A call of an actor ended with an error, in whatever form this runtime tells it."""


class Harness(Protocol):
    """The probe actor on some runtime, and its topic with a route and a dead-letter route."""

    journal: Journal
    deliveries: list[Delivery]
    answer: Answer

    async def start(self, *, idle_timeout: float = 60.0) -> None:
        """Starts the runtime and the app."""

    async def stop(self) -> None:
        """Stops them; what is saved stays."""

    async def call(self, actor_id: str, method: str, argument: object = None) -> Any:
        """Calls the probe as an actor would, and returns what it returned.

        Raises:
            CallFailed: The turn failed.
        """

    async def state(self, actor_id: str, key: str) -> bytes:
        """Reads saved state without a turn."""

    async def publish(self, event: CloudEvent) -> None:
        """Publishes to the topic."""


async def succeed(path: str, event: Any) -> Delivered:
    """The route that takes everything."""
    return Delivered(200, b'{"status":"SUCCESS"}')


async def eventually(holds: Callable[[], bool], within: float = DEADLINE) -> None:
    """Waits for a condition on real time; the suite also runs where no clock can be moved."""
    clock = SystemClock()
    async with clock.timeout(within):
        while not holds():
            await clock.sleep(0.01)


_COMPONENTS = f"""
kind: Component
metadata: {{name: {PUBSUB}}}
spec: {{type: pubsub.in-process}}
---
apiVersion: dapr.io/v2alpha1
kind: Subscription
spec:
  pubsubname: {PUBSUB}
  topic: {TOPIC}
  routes: {{default: {ROUTE}}}
  deadLetterTopic: {TOPIC}-dead
---
apiVersion: dapr.io/v2alpha1
kind: Subscription
spec:
  pubsubname: {PUBSUB}
  topic: {TOPIC}-dead
  routes: {{default: {DEAD_ROUTE}}}
"""


class EmbeddedHarness:
    """The probe on the embedded runtime."""

    def __init__(self, folder: Path) -> None:
        self.journal = Journal()
        self.deliveries: list[Delivery] = []
        self.answer: Answer = succeed
        self._folder = folder
        (folder / "components").mkdir()
        (folder / "components" / "events.yaml").write_text(_COMPONENTS)
        self._runtime: EmbeddedRuntime | None = None

    async def start(self, *, idle_timeout: float = 60.0) -> None:
        settings = Settings(
            data=self._folder / "data",
            components=self._folder / "components",
            idle_timeout=idle_timeout,
            drain=0.5,
            delivery_backoff=0.05,
        )
        ActorRuntime._actor_managers.clear()
        self._runtime = EmbeddedRuntime.open(settings, SystemClock())
        serializer = ValueSerializer()
        await DaprActor(FastAPI()).register_actor(
            Probe,
            actor_client=self._runtime.actor_client,
            actor_factory=lambda ctx, actor_id: Probe(ctx, actor_id, self.journal),
            message_serializer=serializer,
            state_serializer=serializer,
        )
        await self._runtime.start(self._deliver)

    async def stop(self) -> None:
        if self._runtime is not None:
            await self._runtime.stop()

    async def call(self, actor_id: str, method: str, argument: object = None) -> Any:
        data = None if argument is None else encode(argument)
        try:
            answer = await self._running.actor_client.invoke_method(PROBE, actor_id, method, data)
        except AgentError as error:
            raise CallFailed(method) from error
        return json.loads(answer)

    async def state(self, actor_id: str, key: str) -> bytes:
        return await self._running.actor_client.get_state(PROBE, actor_id, key)

    async def publish(self, event: CloudEvent) -> None:
        await self._running.publish(PUBSUB, TOPIC, event)

    @property
    def _running(self) -> EmbeddedRuntime:
        assert self._runtime is not None
        return self._runtime

    async def _deliver(self, path: str, envelope: bytes) -> Delivered:
        event = json.loads(envelope)
        self.deliveries.append(Delivery(path, event))
        return await self.answer(path, event)
