"""Whatever is killed between two steps, a turn has one answer, one pair, and is counted once."""

import asyncio
from pathlib import Path

import httpx2
import pytest

from tests.dapr.engine import Engine
from tests.e2e.dapr import DaprService
from tests.e2e.service import eventually
from tests.workflow.app import POINTS, RELEASED
from tests.workflow.service import (
    carried,
    count,
    delivered,
    erased,
    history,
    model_calls,
    say,
    sent,
    stand,
)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("victim", ["app", "sidecar", "both"])
async def test_a_turn_happens_once(engine: Engine, tmp_path: Path, victim: str):
    """Turns stand between any two steps while it is killed; each then goes on where it was."""
    async with carried(engine, tmp_path) as service:
        asked = [asyncio.create_task(insist(service, point)) for point in POINTS]
        await stand(service, *POINTS)
        # Else the broker would give an event that was on its way a minute later once more.
        await delivered(service)
        folder = service.cluster.folder / "replica-0"
        if victim != "app":
            service.replica.sidecar.kill()
        if victim != "sidecar":
            service.replica.app.kill()
        (folder / RELEASED).touch()
        service.spawn()
        await service.ready()
        replies = await asyncio.gather(*asked)
        again = [await insist(service, point) for point in POINTS]
        await delivered(service)

        assert again == replies
        for point, reply in zip(POINTS, replies, strict=True):
            assert await history(service, point) == [f"hello {point}", reply], point
            assert len(set(sent(service, point))) == 1, point
            assert await count(service, point) == 1, point
            assert len(model_calls(service, point)) == calls_of(point, victim), point
        await erased(service)


def calls_of(point: str, victim: str) -> int:
    """A call is lost only with the process that has made it, before the word of it was out."""
    return 2 if victim != "sidecar" and point == "after.generate_reply" else 1


async def insist(service: DaprService, user: str) -> str:
    """Sends a message until it is answered; then the answer."""

    async def answered() -> str | None:
        try:
            answer = await say(service, user, f"hello {user}", user, idempotency_key="once")
        except httpx2.TransportError:
            return None
        return answer.json()["reply"] if answer.status_code == 200 else None

    return str(await eventually(answered, f"{user} is answered"))
