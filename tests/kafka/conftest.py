"""The broker, and services that read from it."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.kafka.broker import Broker
from tests.kafka.rig import Listening, listening
from tools.kafka_broker import NotThere, find


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A real broker, or a skip where there is none."""
    try:
        find()
    except NotThere as reason:
        pytest.skip(f"no real Kafka: {reason}")
    broker = Broker(tmp_path_factory.mktemp("broker"))
    try:
        broker.start()
        yield broker
    finally:
        broker.kill()


@pytest.fixture
def running_broker(broker: Broker) -> Broker:
    """The broker, which runs, whatever an earlier test has left."""
    broker.start()
    return broker


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["embedded", "dapr"])
async def listener(
    request: pytest.FixtureRequest, broker: Broker, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Listening]:
    """A service on each runtime, with a topic of two partitions; it is ready at each test."""
    kind: str = request.param
    engine = None if kind == "embedded" else request.getfixturevalue("engine")
    topic = f"user-messages-{kind}"
    broker.start()
    broker.topic(topic, 2)
    folder: Path = tmp_path_factory.mktemp(kind)
    async with listening(broker, topic, folder, engine) as started:
        yield started
