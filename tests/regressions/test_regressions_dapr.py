"""Bugs of the published lessons that only a real Dapr can show."""

import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import httpx2
import pytest
from dapr.actor.runtime._reminder_data import ActorReminderData

from agent_actors.clock import SystemClock
from agent_actors.protocol.codec import ValueSerializer
from agent_actors.runtime.dapr.client import DaprActorClient
from agent_actors.runtime.dapr.sidecar import SidecarClient
from tests.dapr.engine import ROOT, Engine, Replica
from tests.fakes import eventually

COUNTER = [sys.executable, str(ROOT / "tests" / "dapr" / "app.py")]
WITHIN = 30.0
clock = SystemClock()


@pytest.fixture
async def replica(engine: Engine, tmp_path: Path) -> AsyncIterator[Replica]:
    """The app that counts its reminders."""
    with engine.cluster(tmp_path, command=COUNTER) as cluster:
        replica = cluster.start().replica().start()
        replica.sidecar.wait_ready()
        yield replica


@pytest.fixture
async def client(replica: Replica) -> AsyncIterator[DaprActorClient]:
    """Our client of its sidecar."""
    sidecar = SidecarClient(replica.sidecar.http_port, None, WITHIN)
    await sidecar.start()
    yield DaprActorClient(sidecar, clock, WITHIN)
    await sidecar.stop()


def reminder(name: str, period: timedelta | None, ttl: timedelta | None) -> bytes:
    """What the SDK's `register_reminder` sends, with our serializer."""
    data = ActorReminderData(name, b"", timedelta(seconds=0.2), period, ttl)
    return ValueSerializer().serialize(data.as_dict())


async def test_b22_a_one_shot_reminder_fires_once(replica: Replica, client: DaprActorClient):
    """It has no period and no ttl; with the lesson's zeros a real scheduler fires without end."""
    async with httpx2.AsyncClient(trust_env=False) as http:

        async def fired(name: str) -> int:
            seen: dict[str, int] = (await http.get(f"{replica.url}/seen")).json()
            return seen.get(f"a/method/remind/{name}", 0)

        async def fires() -> bool:
            return await fired("once") > 0 and await fired("zeros") > 5

        await client.invoke_method("Counter", "a", "add")  # Waits until the actor has a place.
        zero = timedelta(0)
        await client.register_reminder("Counter", "a", "once", reminder("once", None, None))
        await client.register_reminder("Counter", "a", "zeros", reminder("zeros", zero, zero))
        await eventually(fires, WITHIN)
        await client.unregister_reminder("Counter", "a", "zeros")
        await clock.sleep(1.5)  # A callback that failed would have come again after one second.

        assert await fired("once") == 1
        at = f"http://127.0.0.1:{replica.sidecar.http_port}/v1.0/actors/Counter/a/reminders/once"
        assert (await http.get(at)).status_code == 404
