"""A new sidecar is noticed, and nothing of the old one's actors is believed (I15)."""

import asyncio
import json

import pytest
from aiohttp import web

from agent_actors.runtime.dapr.sidecar import SidecarClient
from agent_actors.runtime.dapr.watch import MARK, SidecarWatch
from tests.fakes import eventually
from tests.hand_clock import HandClock
from tests.unit.runtime.dapr.conftest import FakeSidecar


class Metadata:
    """daprd's metadata: it keeps what it is given, until it is killed."""

    def __init__(self) -> None:
        self.extended: dict[str, str] = {}
        self.away = False

    async def answer(self, request: web.Request) -> web.Response:
        if self.away:
            return web.Response(status=500)
        if request.method == "PUT":
            self.extended[request.path.rsplit("/", 1)[1]] = await request.text()
            return web.Response(status=204)
        return web.Response(body=json.dumps({"extended": self.extended}).encode())


@pytest.fixture
def metadata(daprd: FakeSidecar) -> Metadata:
    kept = Metadata()
    daprd.handler = kept.answer
    return kept


@pytest.fixture
def withdrawn() -> list[None]:
    """One entry for each time that all actors were deactivated."""
    return []


@pytest.fixture
def watch(sidecar: SidecarClient, withdrawn: list[None]) -> SidecarWatch:
    return SidecarWatch(sidecar, HandClock(), lambda: withdrawn.append(None))


async def test_the_first_mark_deactivates_no_actor(
    watch: SidecarWatch, metadata: Metadata, withdrawn: list[None]
):
    """A process that starts beside a running sidecar has nothing old, but may have turns."""
    metadata.extended[MARK] = "of the process before"
    await watch.look()
    assert len(withdrawn) == 0
    assert metadata.extended[MARK] != "of the process before"


async def test_a_sidecar_without_the_mark_is_a_new_one(
    watch: SidecarWatch, metadata: Metadata, withdrawn: list[None]
):
    """Every actor is deactivated once, and the new sidecar is marked."""
    for _ in range(3):
        await watch.look()
    assert len(withdrawn) == 0
    metadata.extended.clear()
    for _ in range(2):
        await watch.look()
    assert len(withdrawn) == 1
    assert MARK in metadata.extended


async def test_a_sidecar_that_is_away_deactivates_no_actor(
    watch: SidecarWatch, metadata: Metadata, withdrawn: list[None]
):
    """It may only be slow; when it answers without the mark it was another one."""
    await watch.look()
    metadata.away = True
    await watch.look()
    assert len(withdrawn) == 0
    metadata.away = False
    await watch.look()
    assert len(withdrawn) == 0


async def test_it_looks_every_second(
    sidecar: SidecarClient, metadata: Metadata, withdrawn: list[None]
):
    """A killed sidecar tells nobody, so it is looked after for as long as the service runs."""
    clock = HandClock()
    watch = SidecarWatch(sidecar, clock, lambda: withdrawn.append(None))
    running = asyncio.create_task(watch.run())
    await eventually(lambda: MARK in metadata.extended)
    metadata.extended.clear()

    async def noticed() -> bool:
        await clock.advance(1.0)
        return len(withdrawn) == 1

    await eventually(noticed)
    running.cancel()


async def test_a_sidecar_that_cannot_be_recognised_counts_as_new(
    watch: SidecarWatch, metadata: Metadata, withdrawn: list[None]
):
    """It is about to host actors; what is kept of them may be old, and would be saved over."""
    await watch.look()
    metadata.away = True
    await watch.sidecar_started()
    assert len(withdrawn) == 1

    metadata.away = False
    await watch.sidecar_started()
    assert len(withdrawn) == 1


async def test_a_request_for_the_configuration_changes_nothing(
    watch: SidecarWatch, metadata: Metadata, withdrawn: list[None], daprd: FakeSidecar
):
    """The route is open; a crowd there causes one look at a time, and deactivates nobody."""
    await watch.look()
    before = len(daprd.seen)
    await asyncio.gather(*(watch.sidecar_started() for _ in range(20)))

    assert len(withdrawn) == 0
    assert len(daprd.seen) == before + 1


async def test_metadata_of_another_form_is_survived(
    watch: SidecarWatch, daprd: FakeSidecar, withdrawn: list[None]
):
    """A watch that has ended would notice no sidecar any more."""

    async def odd(request: web.Request) -> web.Response:
        body = b'{"extended":null}' if request.method == "GET" else b""
        return web.Response(body=body)

    daprd.handler = odd
    assert await watch.look()
