"""One replica, whose parts are taken away under load: nothing is lost, and nothing happens twice.

What is drawn by chance is drawn from `SEED` (1). Each part is taken away `STRIKES` (3) times;
`make soak` takes it away more often.
"""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.dapr.engine import Cluster, Engine
from tests.e2e.service import clock
from tests.faults.rig import storm

pytestmark = pytest.mark.deep

STRIKES = int(os.environ.get("STRIKES", "3"))
AWAY = 3.0
"""Seconds that a part of the control plane is away."""


@pytest.mark.parametrize(
    ("name", "part", "away", "loses_calls"),
    [
        ("app killed", lambda cluster: cluster.replicas[0].app, 0.0, True),
        ("sidecar killed", lambda cluster: cluster.replicas[0].sidecar, 0.0, False),
        ("app and sidecar killed", lambda cluster: cluster.replicas[0], 0.0, True),
        ("Redis killed for 1 s", lambda cluster: cluster.redis, 1.0, False),
    ],
    ids=["app", "sidecar", "both", "redis"],
)
async def test_a_killed_part_loses_nothing(
    engine: Engine,
    tmp_path: Path,
    name: str,
    part: Callable[[Cluster], Any],
    away: float,
    loses_calls: bool,
):
    """It comes back; only a call of the model that its process was making is paid again."""
    async with storm(name, engine, tmp_path) as weather:
        killed = part(weather.cluster)
        async with weather.blowing():
            for _ in range(STRIKES):
                await weather.pause()
                killed.kill()
                await clock.sleep(away)
                begun = clock.monotonic()
                await asyncio.to_thread(killed.start)
                await weather.recovered(begun)
        await weather.check(paid=1 + STRIKES * loses_calls)


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
