from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.conformance.dapr_harness import DaprHarness
from tests.conformance.embedded_harness import EmbeddedHarness
from tests.conformance.harness import Harness
from tests.dapr.engine import Engine

MakeHarness = Callable[[Path], Harness]


def embedded(request: pytest.FixtureRequest) -> MakeHarness:
    return EmbeddedHarness


def dapr(request: pytest.FixtureRequest) -> MakeHarness:
    """Where there is no real Dapr, the engine skips the test and says why."""
    engine: Engine = request.getfixturevalue("engine")
    return lambda folder: DaprHarness(folder, engine)


RUNTIMES = {"embedded": embedded, "dapr": dapr}


@pytest.fixture(scope="session", params=["embedded", pytest.param("dapr", marks=pytest.mark.real)])
def make_harness(request: pytest.FixtureRequest) -> MakeHarness:
    """Each runtime in turn; of the session, so that one is done before the next begins."""
    return RUNTIMES[request.param](request)


@pytest.fixture(autouse=True)
def _fresh_registry(fresh_registry: None) -> None:
    """The SDK's registry is the class's: no test sees another's actors."""


@pytest.fixture
async def stopped(make_harness: MakeHarness, tmp_path: Path) -> AsyncIterator[Harness]:
    """A runtime that a test starts itself."""
    harness = make_harness(tmp_path)
    yield harness
    await harness.stop()


@pytest.fixture
async def runtime(stopped: Harness) -> Harness:
    """A runtime that runs."""
    await stopped.start()
    return stopped
