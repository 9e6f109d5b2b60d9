"""`kill -9` under load: what was answered is there once, and nothing else is.

`KILLS` (6) kills at moments drawn from `SEED` (1), some of them while the service still starts.
`make test-all` kills 15 times, `make soak` a hundred.
"""

import asyncio
import os
import sys
from collections import Counter
from pathlib import Path
from random import Random

import httpx2
import pytest

from tests.e2e.service import Service, clock, eventually
from tests.faults.people import BRISK, MIXED, Person, check_conversation

KILLS = int(os.environ.get("KILLS", "3"))
SEED = int(os.environ.get("SEED", "1"))
USERS = 6
HASTY = 4
"""Users of quick turns only: a kill hits one of them between its save and its event."""
REST = 60.0


class Embedded:
    """The service of the embedded runtime, as a place to talk."""

    def __init__(self, service: Service) -> None:
        self.say = service.say
        self._service = service

    async def get(self, user: str, path: str, **at: int) -> httpx2.Response:
        """Reads what is of that user."""
        return await self._service.http.get(path, params=at)

    async def stored(self, actor_type: str, actor_id: str, key: str) -> bytes | None:
        """A stored document."""
        sql = "SELECT value FROM state WHERE type = ? AND id = ? AND key = ?"
        rows = self._service.rows(sql, actor_type, actor_id, key)
        return rows[0][0] if rows else None


async def strike(service: Service, random: Random) -> None:
    """One kill at some moment, sometimes during the start, and a new process."""
    await clock.sleep(random.choice((random.uniform(0.05, 1.0), random.uniform(1.0, 4.0))))
    service.kill()
    service.spawn()
    if random.random() < 0.15:
        await clock.sleep(random.uniform(0.1, 1.5))
        return
    await service.ready()


@pytest.mark.deep
@pytest.mark.timeout(600)
async def test_kills_under_load_lose_nothing_and_double_nothing(tmp_path: Path):
    """After the kills every answered turn is in the history once, and took effect once."""
    begun = clock.monotonic()
    random, numbers, stop = Random(SEED), Counter[str](), asyncio.Event()
    service = Service(tmp_path, model="scripted", parking_time=0.2, recovery_period=1)
    place = Embedded(service)
    clients = [
        Person(place, f"user{n}", Random(SEED * 1000 + n), numbers, MIXED if n < USERS else BRISK)
        for n in range(USERS + HASTY)
    ]
    try:
        await service.start()
        talks = [asyncio.create_task(client.talk(stop)) for client in clients]
        for _ in range(KILLS):
            await strike(service, random)
            for talk in talks:
                if talk.done():
                    talk.result()
        await service.ready()
        stop.set()
        async with clock.timeout(REST):
            await asyncio.gather(*talks)
        await eventually(lambda: not service.reminders(), "every conversation is settled", 15.0)
        for client in clients:
            await check_conversation(place, client)
    finally:
        await service.close()
    seconds = clock.monotonic() - begun
    turns = sum(len(client.turns) for client in clients)
    shown = ", ".join(f"{numbers[name]} {name}" for name in sorted(numbers))
    sys.stdout.write(f"kills {KILLS}, turns {turns} ({shown}), seconds {seconds:.0f}\n")

    assert turns > KILLS
