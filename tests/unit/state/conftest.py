"""A store in memory."""

import pytest

from agent_actors.state.reader import StateReader
from agent_actors.state.store import StateStore
from tests.fakes import FakeActorClient
from tests.hand_clock import HandClock


@pytest.fixture
def client() -> FakeActorClient:
    return FakeActorClient()


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def store(client: FakeActorClient, clock: HandClock) -> StateStore:
    return StateStore(client, clock, 5.0)


@pytest.fixture
def reader(store: StateStore) -> StateReader:
    return StateReader(store, 64)
