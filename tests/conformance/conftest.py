from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from dapr.actor import ActorRuntime

from tests.conformance.harness import EmbeddedHarness, Harness

RUNTIMES = {"embedded": EmbeddedHarness}


@pytest.fixture(autouse=True)
def _fresh_registry() -> Iterator[None]:
    """The SDK's registry is the class's: no test sees another's actors."""
    ActorRuntime._actor_managers.clear()
    yield
    ActorRuntime._actor_managers.clear()


@pytest.fixture(params=RUNTIMES)
async def stopped(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Harness]:
    """A runtime that a test starts itself."""
    harness: Harness = RUNTIMES[request.param](tmp_path)
    yield harness
    await harness.stop()


@pytest.fixture
async def runtime(stopped: Harness) -> Harness:
    """A runtime that runs."""
    await stopped.start()
    return stopped
