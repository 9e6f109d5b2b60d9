"""A service beside a sidecar, with a Redis of its own."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.dapr.engine import Engine
from tests.e2e.dapr import DaprService

SETTINGS: dict[str, Any] = {"model": "scripted", "parking_time": 0.3, "recovery_period": 1}


@pytest.fixture
async def stopped(engine: Engine, tmp_path: Path) -> AsyncIterator[DaprService]:
    """A replica that is not started."""
    service = DaprService(engine, tmp_path, **SETTINGS)
    yield service
    await service.close()


@pytest.fixture
async def service(stopped: DaprService) -> DaprService:
    """A replica that is ready."""
    return await stopped.start()
