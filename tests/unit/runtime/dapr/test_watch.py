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


class Withdrawn:
    """Counts how often all actors were deactivated."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> None:
        self.times += 1


@pytest.fixture
def withdrawn() -> Withdrawn:
    return Withdrawn()


@pytest.fixture
def watch(sidecar: SidecarClient, withdrawn: Withdrawn) -> SidecarWatch:
    return SidecarWatch(sidecar, HandClock(), withdrawn)


async def test_the_first_mark_puts_nobody_away(
    watch: SidecarWatch, metadata: Metadata, withdrawn: Withdrawn
):
    """A process that starts beside a running sidecar has nothing old, but may have turns."""
    metadata.extended[MARK] = "of the process before"
    await watch.look()
    assert withdrawn.times == 0
    assert metadata.extended[MARK] != "of the process before"


async def test_a_sidecar_with_the_mark_is_the_same(
    watch: SidecarWatch, metadata: Metadata, withdrawn: Withdrawn
):
    """Looking again and again changes nothing."""
    for _ in range(3):
        await watch.look()
    assert withdrawn.times == 0


async def test_a_sidecar_without_the_mark_is_a_new_one(
    watch: SidecarWatch, metadata: Metadata, withdrawn: Withdrawn
):
    """Every actor is deactivated once, and the new sidecar is marked."""
    await watch.look()
    metadata.extended.clear()
    await watch.look()
    await watch.look()
    assert withdrawn.times == 1
    assert MARK in metadata.extended


async def test_a_sidecar_that_is_away_puts_nobody_away(
    watch: SidecarWatch, metadata: Metadata, withdrawn: Withdrawn
):
    """It may only be slow; when it answers without the mark it was another one."""
    await watch.look()
    metadata.away = True
    await watch.look()
    assert withdrawn.times == 0
    metadata.away = False
    await watch.look()
    assert withdrawn.times == 0


async def test_it_looks_every_second(
    sidecar: SidecarClient, metadata: Metadata, withdrawn: Withdrawn
):
    """A killed sidecar tells nobody, so it is looked after for as long as the service runs."""
    clock = HandClock()
    running = asyncio.create_task(SidecarWatch(sidecar, clock, withdrawn).run())
    await eventually(lambda: MARK in metadata.extended)
    metadata.extended.clear()

    async def noticed() -> bool:
        await clock.advance(1.0)
        return withdrawn.times == 1

    await eventually(noticed)
    running.cancel()


async def test_a_sidecar_that_cannot_be_told_apart_counts_as_new(
    watch: SidecarWatch, metadata: Metadata, withdrawn: Withdrawn
):
    """It is about to host actors; what is kept of them may be old, and would be saved over."""
    await watch.look()
    metadata.away = True
    await watch.sidecar_started()
    assert withdrawn.times == 1

    metadata.away = False
    await watch.sidecar_started()
    assert withdrawn.times == 1


async def test_whoever_asks_for_the_configuration_changes_nothing(
    watch: SidecarWatch, metadata: Metadata, withdrawn: Withdrawn, daprd: FakeSidecar
):
    """The route is open; a crowd there causes one look at a time, and deactivates nobody."""
    await watch.look()
    before = len(daprd.seen)
    await asyncio.gather(*(watch.sidecar_started() for _ in range(20)))

    assert withdrawn.times == 0
    assert len(daprd.seen) == before + 1


async def test_metadata_of_another_form_is_survived(
    watch: SidecarWatch, daprd: FakeSidecar, withdrawn: Withdrawn
):
    """A watch that has ended would notice no sidecar any more."""

    async def odd(request: web.Request) -> web.Response:
        body = b'{"extended":null}' if request.method == "GET" else b""
        return web.Response(body=body)

    daprd.handler = odd
    assert await watch.look()
