import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from dapr.actor import ActorRuntime

from agent_actors.protocol.codec import ValueSerializer, encode
from agent_actors.protocol.events import CloudEvent
from agent_actors.runtime import DeliveryResponse, Headers
from agent_actors.runtime.embedded import EmbeddedRuntime
from agent_actors.runtime.embedded.disk.database import Database
from agent_actors.runtime.embedded.topics import DeliverySettings
from agent_actors.settings import Settings
from tests.conformance.probe import PROBE, Journal, Probe
from tests.hand_clock import HandClock, settle

COMPONENTS = """
kind: Component
metadata: {name: bus}
spec: {type: pubsub.in-process}
---
apiVersion: dapr.io/v2alpha1
kind: Subscription
spec: {pubsubname: bus, topic: news, routes: {default: /news}, deadLetterTopic: news-dead}
---
apiVersion: dapr.io/v2alpha1
kind: Subscription
spec: {pubsubname: bus, topic: news-dead, routes: {default: /dead}}
---
apiVersion: dapr.io/v2alpha1
kind: Subscription
spec: {pubsubname: bus, topic: plain, routes: {default: /plain}}
---
kind: Component
metadata: {name: tram}
spec: {type: pubsub.in-process}
---
apiVersion: dapr.io/v2alpha1
kind: Subscription
spec: {pubsubname: tram, topic: news, routes: {default: /tram/news}, deadLetterTopic: news-dead}
---
apiVersion: dapr.io/v2alpha1
kind: Subscription
spec: {pubsubname: tram, topic: news-dead, routes: {default: /tram/dead}}
"""


class World:
    """A runtime on a hand-moved clock, the probe on it, and a route that answers as told."""

    def __init__(self, folder: Path) -> None:
        self.clock = HandClock()
        self.journal = Journal()
        self.folder = folder
        self.delivered: list[tuple[str, Any]] = []
        self.answers: list[Any] = []
        self.settings: dict[str, Any] = {"idle_timeout": 60.0, "drain": 7.0}
        (folder / "components").mkdir()
        (folder / "components" / "all.yaml").write_text(COMPONENTS)
        self.runtime: EmbeddedRuntime

    def open(self, recover: frozenset[str] = frozenset()) -> EmbeddedRuntime:
        settings = Settings(
            data=self.folder / "data", components=self.folder / "components", **self.settings
        )
        self.runtime = EmbeddedRuntime(
            settings, self.clock, recover=recover, delivery=DeliverySettings(random=Random(1))
        )
        return self.runtime

    async def start(self, *, recover: frozenset[str] = frozenset(), hosted: bool = True) -> None:
        self.open(recover)
        ActorRuntime._actor_managers.clear()
        if hosted:
            await self.host()
        await self.runtime.start(self.deliver)

    async def host(self) -> None:
        await ActorRuntime.register_actor(
            Probe,
            actor_client=self.runtime.actor_client,
            actor_factory=lambda ctx, actor_id: Probe(ctx, actor_id, self.journal),
            message_serializer=ValueSerializer(),
            state_serializer=ValueSerializer(),
        )

    async def restart(self, **how: Any) -> None:
        await self.runtime.stop()
        await self.start(**how)

    async def call(self, actor_id: str, method: str, argument: object = None) -> Any:
        data = None if argument is None else encode(argument)
        answer = await self.runtime.actor_client.invoke_method(PROBE, actor_id, method, data)
        return json.loads(answer)

    async def publish(
        self, number: int, *, topic: str = "news", subject: str = "ada", pubsub: str = "bus"
    ) -> None:
        event = CloudEvent(f"{subject}-{number}", "/chat", "Said", subject, {"text": "secret"})
        await self.runtime.publish(pubsub, topic, event)

    async def deliver(self, path: str, envelope: bytes, headers: Headers = ()) -> DeliveryResponse:
        """Answers with the next of `answers`: a body, a status, an exception or an event."""
        self.delivered.append((path, json.loads(envelope)["id"]))
        answer = self.answers.pop(0) if self.answers else b""
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, int):
            return DeliveryResponse(answer, b"")
        if not isinstance(answer, bytes):
            await answer.wait()
            return DeliveryResponse(200, b"")
        return DeliveryResponse(200, answer)


@pytest.fixture(autouse=True)
def _fresh_registry() -> Iterator[None]:
    """The SDK's registry is the class's: no test sees another's actors."""
    ActorRuntime._actor_managers.clear()
    yield
    ActorRuntime._actor_managers.clear()


@pytest.fixture
async def unstarted(tmp_path: Path) -> AsyncIterator[World]:
    """A world whose runtime a test starts itself."""
    world = World(tmp_path)
    yield world
    if hasattr(world, "runtime"):
        stop = asyncio.create_task(world.runtime.stop())
        await settle()
        if not stop.done():
            await world.clock.advance(10)  # Past the drain time and the last moment.
        await stop


@pytest.fixture
async def world(unstarted: World) -> World:
    """A world that runs."""
    await unstarted.start()
    return unstarted


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Database]:
    """An empty database."""
    store = Database.open(tmp_path / "test.db", "NORMAL")
    yield store
    await store.close()
