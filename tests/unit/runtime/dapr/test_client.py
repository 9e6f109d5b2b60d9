"""The actor client: what it asks of the sidecar, and what it makes of the answers."""

import asyncio
import json

import pytest
from aiohttp import web
from dapr.common.reentrancy_context import reentrancy_ctx

from agent_actors.clock import SystemClock
from agent_actors.errors import Deactivated, Unavailable, Unreachable
from agent_actors.runtime.dapr.client import DaprActorClient
from agent_actors.runtime.dapr.sidecar import SidecarClient
from tests.fakes import eventually
from tests.unit.runtime.dapr.conftest import FakeSidecar

NO_ADDRESS = {"errorCode": "ERR_ACTOR_NO_ADDRESS", "message": "did not find address for actor"}


@pytest.fixture
def client(sidecar: SidecarClient) -> DaprActorClient:
    return DaprActorClient(sidecar, SystemClock(), 0.5)


async def test_a_call_returns_what_the_method_returned(client: DaprActorClient, daprd: FakeSidecar):
    """The body goes there and comes back as it is, with the id of a chain that is reentrant."""
    daprd.answers = [(200, {"ok": "é"})]
    assert json.loads(await client.invoke_method("A", "x:1", "M", b'"in"')) == {"ok": "é"}
    assert (daprd.seen[0].path, daprd.seen[0].body) == (
        "/v1.0/actors/A/x%3A1/method/M",
        b'"in"',
    )
    token = reentrancy_ctx.set("r-1")
    await client.invoke_method("A", "1", "M")
    reentrancy_ctx.reset(token)
    assert [each.headers.get("Dapr-Reentrancy-Id") for each in daprd.seen] == [None, "r-1"]


async def test_an_actor_without_a_place_is_waited_for(client: DaprActorClient, daprd: FakeSidecar):
    """While placement settles nothing has run, so the call is sent again."""
    wrapped = {"errorCode": "ERR_ACTOR_INVOKE_METHOD", "message": "failed to lookup actor: closed"}
    daprd.answers = [(404, NO_ADDRESS), (500, wrapped), (200, 7)]
    assert await client.invoke_method("A", "1", "M") == b"7"


async def test_an_actor_that_gets_no_place_is_unavailable(
    client: DaprActorClient, daprd: FakeSidecar
):
    """It is waited for within the deadline only."""
    daprd.answers = [(404, NO_ADDRESS)] * 100
    with pytest.raises(Unreachable):
        await client.invoke_method("A", "1", "M")
    assert 2 <= len(daprd.seen) < 20


async def test_a_failed_turn_is_not_sent_again(client: DaprActorClient, daprd: FakeSidecar):
    """It may have run; its words may even quote placement's, and change nothing."""
    said = 'error from actor service: (500) {"message":"did not find address"}'
    daprd.answers = [(500, {"errorCode": "ERR_ACTOR_INVOKE_METHOD", "message": said})]
    with pytest.raises(Unreachable):
        await client.invoke_method("A", "1", "M")
    assert len(daprd.seen) == 1


async def test_absent_state_is_empty(client: DaprActorClient, daprd: FakeSidecar):
    """Only 204 says so: a cut answer must not start a conversation anew (I6)."""
    daprd.answers = [(204, None), (200, {"v": 1}), (200, None)]
    assert await client.get_state("A", "1", "s:ada") == b""
    assert await client.get_state("A", "1", "head") == b'{"v": 1}'
    assert daprd.seen[0].path == "/v1.0/actors/A/1/state/s%3Aada"
    with pytest.raises(Unavailable):
        await client.get_state("A", "1", "head")


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "ERR_ACTOR_INSTANCE_MISSING", Deactivated),
        (500, "ERR_ACTOR_STATE_TRANSACTION_SAVE", Unavailable),
    ],
    ids=["the actor lives elsewhere", "the store is away"],
)
async def test_a_failed_save_says_why(
    client: DaprActorClient, daprd: FakeSidecar, status: int, code: str, kind: type[Exception]
):
    """The sidecar knows whether its turn has ended or the store may be back in a moment."""
    daprd.answers = [(status, {"errorCode": code, "message": "…"})]
    with pytest.raises(kind):
        await client.save_state_transactionally("A", "1", b"[]")


async def test_a_read_waits_for_a_save_that_was_given_up(
    client: DaprActorClient, daprd: FakeSidecar
):
    """A save that lands late would be overlooked, and the next turn would save over it."""
    landing = asyncio.Event()
    done: list[str] = []

    async def slow(request: web.Request) -> web.Response:
        if request.method == "POST":
            await landing.wait()
        done.append(f"{request.method} {request.path.split('/')[-3]}")
        return web.Response(status=204)

    daprd.handler = slow
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await client.save_state_transactionally("A", "1", b"[]")
    reading = asyncio.create_task(client.get_state("A", "1", "head"))
    saving = asyncio.create_task(client.save_state_transactionally("A", "1", b"[]"))
    await client.get_state("A", "other", "head")
    assert done == ["GET other"]
    landing.set()
    await asyncio.gather(reading, saving)
    assert done[1] == "POST A"
    assert sorted(done[2:]) == ["GET 1", "POST A"]


async def test_a_given_up_save_may_fail(client: DaprActorClient, daprd: FakeSidecar):
    """Its turn has ended already; what is there is read again."""
    release = asyncio.Event()

    async def fail(request: web.Request) -> web.Response:
        if request.method == "POST":
            await release.wait()
            return web.Response(status=500)
        return web.Response(status=204)

    daprd.handler = fail
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await client.save_state_transactionally("A", "1", b"[]")
    release.set()
    assert await client.get_state("A", "1", "head") == b""
    await eventually(lambda: not client._undecided)


async def test_reminders_and_timers_go_to_the_sidecar(client: DaprActorClient, daprd: FakeSidecar):
    """Names are encoded like ids: one with a slash would reach another route."""
    await client.register_reminder("A", "1", "a/b", b'{"dueTime":"1s"}')
    await client.unregister_reminder("A", "1", "a/b")
    await client.register_timer("A", "1", "t", b"{}")
    await client.unregister_timer("A", "1", "t")
    assert [(seen.method, seen.path) for seen in daprd.seen] == [
        ("PUT", "/v1.0/actors/A/1/reminders/a%2Fb"),
        ("DELETE", "/v1.0/actors/A/1/reminders/a%2Fb"),
        ("PUT", "/v1.0/actors/A/1/timers/t"),
        ("DELETE", "/v1.0/actors/A/1/timers/t"),
    ]


async def test_a_save_waits_for_its_end(daprd: FakeSidecar):
    """However long the sidecar takes: given up earlier, it could land over a later one."""

    async def slow(_request: web.Request) -> web.Response:
        await SystemClock().sleep(0.3)
        return web.Response(status=204)

    daprd.handler = slow
    hasty = SidecarClient(daprd.port, None, 0.05)
    await hasty.start()
    await DaprActorClient(hasty, SystemClock(), 0.5).save_state_transactionally("A", "1", b"[]")
    await hasty.stop()
