"""One replica, whose parts are taken away under load: nothing is lost, and nothing happens twice.

What is drawn by chance is drawn from `SEED` (1). Each part is taken away `STRIKES` (3) times;
`make soak` takes it away more often.
"""

import asyncio
import os
from pathlib import Path

import pytest

from tests.dapr.engine import Engine
from tests.e2e.service import clock
from tests.faults.rig import storm

pytestmark = pytest.mark.deep

STRIKES = int(os.environ.get("STRIKES", "3"))
AWAY = 3.0
"""Seconds that a part of the control plane is away."""


async def test_a_killed_app_loses_nothing(engine: Engine, tmp_path: Path):
    """The app is killed while its sidecar goes on."""
    async with storm("app killed", engine, tmp_path) as weather:
        app = weather.cluster.replicas[0].app
        async with weather.blowing():
            for _ in range(STRIKES):
                await weather.pause()
                begun = clock.monotonic()
                app.kill()
                app.start()
                await weather.recovered(begun)
        await weather.check(paid=1 + STRIKES)


async def test_a_killed_sidecar_loses_nothing(engine: Engine, tmp_path: Path):
    """The sidecar is killed while its app goes on; the model is not paid again for that."""
    async with storm("sidecar killed", engine, tmp_path) as weather:
        sidecar = weather.cluster.replicas[0].sidecar
        async with weather.blowing():
            for _ in range(STRIKES):
                await weather.pause()
                begun = clock.monotonic()
                sidecar.kill()
                sidecar.start()
                await weather.recovered(begun)
        await weather.check()


async def test_a_killed_machine_loses_nothing(engine: Engine, tmp_path: Path):
    """App and sidecar are killed at once, and come back."""
    async with storm("app and sidecar killed", engine, tmp_path) as weather:
        replica = weather.cluster.replicas[0]
        async with weather.blowing():
            for _ in range(STRIKES):
                await weather.pause()
                begun = clock.monotonic()
                replica.kill()
                replica.spawn()
                await weather.recovered(begun)
        await weather.check(paid=1 + STRIKES)


async def test_a_killed_redis_loses_nothing(engine: Engine, tmp_path: Path):
    """Redis is killed, and reads its append-only file when it is started again."""
    async with storm("Redis killed for 1 s", engine, tmp_path) as weather:
        redis = weather.cluster.redis
        async with weather.blowing():
            for _ in range(STRIKES):
                await weather.pause()
                redis.kill()
                await clock.sleep(1.0)
                begun = clock.monotonic()
                await asyncio.to_thread(redis.start)
                await weather.recovered(begun)
        await weather.check()


async def test_a_scheduler_that_is_away_is_waited_for(engine: Engine, tmp_path: Path):
    """Without a scheduler no conversation can begin to owe anything; it goes on with it.

    It is stopped and not killed: the successor of a killed one waits 20 s before it takes over.
    """
    async with storm("scheduler stopped for 6 s", engine, tmp_path) as weather:
        scheduler = weather.cluster.plane.scheduler
        async with weather.blowing():
            await weather.pause()
            await asyncio.to_thread(scheduler.stop)
            asked = asyncio.ensure_future(weather.served())
            try:
                await clock.sleep(2 * AWAY)
            finally:
                begun = clock.monotonic()
                await asyncio.to_thread(scheduler.start)
            await asked
            weather.noted(begun)
        await weather.check()


async def test_a_killed_placement_loses_nothing(engine: Engine, tmp_path: Path):
    """Placement is killed; nobody knows where actors are until it is back."""
    async with storm("placement killed for 3 s", engine, tmp_path) as weather:
        placement = weather.cluster.plane.placement
        async with weather.blowing():
            await weather.pause()
            placement.kill()
            try:
                await clock.sleep(AWAY)
            finally:
                begun = clock.monotonic()
                await asyncio.to_thread(placement.start)
            await weather.recovered(begun)
        await weather.check()
