"""Workflows of several replicas: the remaining ones go on with those of the others."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.dapr.engine import Cluster, Engine, Replica
from tests.e2e.service import eventually
from tests.faults.rig import calls
from tests.workflow.service import SETTINGS

USERS = [f"user{n}" for n in range(8)]


@pytest.fixture
def cluster(engine: Engine, tmp_path: Path) -> Iterator[Cluster]:
    """Two replicas, not started yet."""
    with engine.cluster(tmp_path, **SETTINGS) as cluster:
        for _ in range(2):
            cluster.replica()
        yield cluster


@pytest.mark.timeout(120)
async def test_a_replica_that_is_lost(cluster: Cluster):
    """Callers of the other one are answered all the same, once each."""
    await asyncio.to_thread(cluster.start)
    left, lost = cluster.replicas
    async with httpx2.AsyncClient(timeout=60.0, trust_env=False) as http:
        asked = [asyncio.create_task(say(http, left, user, "/slow 2")) for user in USERS]
        await eventually(lambda: len(calls(cluster)) >= len(USERS), "every model call has begun")
        lost.kill()
        answers = await asyncio.gather(*asked)

        assert [answer.status_code for answer in answers] == [200] * len(USERS)

        for user, answer in zip(USERS, answers, strict=True):
            told = (await http.get(f"{left.url}/conversations/{user}")).json()["history"]
            assert [entry["content"] for entry in told] == ["/slow 2", answer.json()["reply"]]

        async def counted() -> bool:
            numbers = [await http.get(f"{left.url}/analytics/{user}") for user in USERS]
            return all(each.json().get("message_count") == 1 for each in numbers)

        await eventually(counted, "each turn is counted once")


async def say(http: httpx2.AsyncClient, replica: Replica, user: str, text: str) -> httpx2.Response:
    """Posts a message of a user's session through that replica."""
    body = {"user_id": user, "text": text, "metadata": {"session_id": user}}
    return await http.post(f"{replica.url}/chat/", json=body, headers={"Idempotency-Key": "k"})
