"""The probe on the embedded runtime."""

from pathlib import Path

from agent_actors.clock import SystemClock
from agent_actors.runtime.embedded import EmbeddedRuntime
from agent_actors.runtime.embedded.topics import DeliverySettings
from agent_actors.settings import Settings
from tests.conformance.harness import PUBSUB, SUBSCRIPTIONS, TRIES, Harness

_COMPONENTS = f"""
kind: Component
metadata: {{name: {PUBSUB}}}
spec: {{type: pubsub.in-process}}
---
{SUBSCRIPTIONS}
"""


class EmbeddedHarness(Harness):
    """Everything in this process, with its data in a folder.

    Args:
        folder: For the data and the component files.
    """

    name = "embedded"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        (self.components / "events.yaml").write_text(_COMPONENTS)
        self._runtime: EmbeddedRuntime | None = None

    async def start(self, *, idle_timeout: float = 60.0, depth: int = 1) -> None:
        settings = Settings(
            data=self.folder / "data",
            components=self.components,
            idle_timeout=idle_timeout,
            reentrancy_depth=depth,
            drain=0.5,
        )
        delivery = DeliverySettings(TRIES, backoff=0.05)
        self._runtime = EmbeddedRuntime(settings, SystemClock(), delivery=delivery)
        await self._register(self._runtime.actor_client, settings)
        await self._runtime.start(self._deliver)

    async def stop(self) -> None:
        if self._runtime is not None:
            await self._runtime.stop()

    @property
    def _running(self) -> EmbeddedRuntime:
        assert self._runtime is not None
        return self._runtime
