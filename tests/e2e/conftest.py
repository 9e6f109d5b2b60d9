"""The services that the tests talk to."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.e2e.service import Service, running

SETTINGS = {"model": "scripted", "parking_time": 0.3, "recovery_period": 1, "drain": 5}


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    """A service of the test's own, with the model that does as it is told."""
    async with running(tmp_path, **SETTINGS) as started:
        yield started


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """The service of a file whose tests do not end it; a start takes a second or two."""
    folder: Path = tmp_path_factory.mktemp("shared")
    async with running(folder, **SETTINGS) as started:
        yield started
