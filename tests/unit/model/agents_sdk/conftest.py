"""A real model over a vendor without a network."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from agent_actors.model.agents_sdk import AgentsModel, CustomAgent
from agent_actors.model.endpoint import Endpoint
from tests.fakes import eventually
from tests.hand_clock import HandClock
from tests.unit.model.agents_sdk.vendor import HERE, Vendor, settings

IMPORT = 60.0
"""Seconds for the first test, which imports the SDK."""

Ready = Callable[..., Awaitable[AgentsModel]]


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def vendor() -> Vendor:
    return Vendor()


@pytest.fixture
async def ready(vendor: Vendor, clock: HandClock) -> AsyncIterator[Ready]:
    """Makes a ready model from an endpoint, an agent, tools and settings."""
    made: list[AgentsModel] = []

    async def making(
        endpoint: Endpoint | None = HERE,
        *,
        agent: Any = None,
        tools: tuple[Any, ...] = (),
        renew: Any = None,
        **values: Any,
    ) -> AgentsModel:
        own = CustomAgent(agent, tools)
        model = AgentsModel(settings(**values), clock, endpoint, own, renew, transport=vendor)
        made.append(model)
        await model.start()
        await eventually(lambda: model.unready() is None, IMPORT)
        return model

    yield making
    for model in made:
        await model.stop()
