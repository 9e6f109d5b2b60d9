"""The model servers, and the whole service with one of them as its model."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from agent_actors.app import create_app
from agent_actors.settings import Settings
from tests.conftest import Served
from tests.fakes import eventually
from tests.llm.servers import (
    aimock,
    aimock_server,
    llmock,
    llmock_server,
    real_model,
)

__all__ = ["aimock", "aimock_server", "llmock", "llmock_server", "real_model"]

IMPORT = 60.0
"""Seconds for the first test, which imports the model's SDK."""
SETTINGS: dict[str, Any] = {
    "model": "small",
    "model_api_key": "secret",
    "drain": 0.2,
    # No test waits for a summary, so none is to be found among the calls that it counts.
    "summary_events": 8,
    "summary_time": 3_600,
}
"""Settings of the service in these tests."""

Talk = Callable[..., AbstractAsyncContextManager[Served]]


@pytest.fixture
def talk(fresh_registry: None, tmp_path: Path) -> Talk:
    """Starts the app with the model server at an address, and waits until it is ready."""

    @asynccontextmanager
    async def talking(base_url: str, **settings: Any) -> AsyncIterator[Served]:
        given = SETTINGS | {"data": tmp_path / "data", "model_base_url": base_url} | settings
        app = create_app(Settings(**given))
        transport = httpx2.ASGITransport(app=app, client=("127.0.0.1", 40_000))
        async with (
            app.router.lifespan_context(app),
            httpx2.AsyncClient(transport=transport, base_url="http://localhost") as http,
        ):
            served = Served(app, http)
            await eventually(lambda: served.services.model.unready() is None, IMPORT)
            yield served

    return talking
