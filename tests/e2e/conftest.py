"""The services that the tests talk to, on each runtime."""

import functools
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
import pytest_asyncio

from tests.e2e.dapr import running_on_dapr
from tests.e2e.service import AnyService, Service, running

TOKEN = "the token of these tests"
SETTINGS = {
    "model": "scripted",
    "parking_time": 0.3,
    "recovery_period": 1,
    "drain": 5,
    "feed_time": 0.5,
    "summary_events": 4,
}

Launch = Callable[..., AbstractAsyncContextManager[AnyService]]


@pytest.fixture(scope="session", params=["embedded", pytest.param("dapr", marks=pytest.mark.real)])
def launch(request: pytest.FixtureRequest) -> Launch:
    """Starts a service in a folder; on Dapr beside a sidecar, with a Redis of its own."""
    if request.param == "embedded":
        return functools.partial(running, token=TOKEN)
    return functools.partial(running_on_dapr, request.getfixturevalue("engine"))


@pytest.fixture
async def service(launch: Launch, tmp_path: Path) -> AsyncIterator[AnyService]:
    """A service of the test's own, with the model that does as it is told."""
    async with launch(tmp_path, **SETTINGS) as started:
        yield started


@pytest.fixture
async def local(tmp_path: Path) -> AsyncIterator[Service]:
    """The same, on the embedded runtime only."""
    async with running(tmp_path, **SETTINGS) as started:
        yield started


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(
    launch: Launch, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[AnyService]:
    """The service of a file whose tests do not end it; a start takes a second or two."""
    folder: Path = tmp_path_factory.mktemp("shared")
    async with launch(folder, **SETTINGS) as started:
        yield started
