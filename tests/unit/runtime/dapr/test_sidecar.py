"""The pooled session, and what the sidecar's errors become."""

import asyncio

import pytest
from aiohttp import web

from agent_actors.errors import Defect, Unavailable
from agent_actors.runtime.dapr.sidecar import SidecarClient, part
from tests.unit.runtime.dapr.conftest import FakeSidecar, Handler


async def test_every_request_carries_the_token(sidecar: SidecarClient, daprd: FakeSidecar):
    """Dapr refuses an app without `dapr-api-token` where it has been given one."""
    await sidecar.ask("GET", "metadata")
    assert daprd.seen[0].headers["dapr-api-token"] == "secret"
    assert daprd.seen[0].path == "/v1.0/metadata"


async def test_one_connection_serves_many_requests(sidecar: SidecarClient, daprd: FakeSidecar):
    """A connection per call costs two to four times as much; there is a pool."""
    ports = set()

    async def note(request: web.Request) -> web.Response:
        assert request.transport is not None
        ports.add(request.transport.get_extra_info("peername")[1])
        return web.Response(status=204)

    daprd.handler = note
    for _ in range(5):
        await sidecar.ask("PUT", "actors/A/1/state", b"[]")
    assert len(ports) == 1


async def hangs(_request: web.Request) -> web.Response:
    await asyncio.Event().wait()
    raise AssertionError


async def is_cut(request: web.Request) -> web.Response:
    """So ends a request whose sidecar is killed."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def answers_plainly(_request: web.Request) -> web.Response:
    """As a proxy in between may."""
    return web.Response(status=502, text="bad gateway")


async def redirects(_request: web.Request) -> web.Response:
    """The token and what was said go to the sidecar, and to nobody it names."""
    raise web.HTTPTemporaryRedirect("/stranger")


@pytest.mark.parametrize("handler", [hangs, is_cut, answers_plainly, redirects])
async def test_a_sidecar_that_does_not_answer_as_it_should_is_unavailable(
    daprd: FakeSidecar, handler: Handler
):
    """The call is to be tried again, within a time-out; nobody else is asked."""
    daprd.handler = handler
    client = SidecarClient(daprd.port, None, 0.3)
    await client.start()
    with pytest.raises(Unavailable):
        await client.ask("POST", "actors/A/1/method/M", b"1")
    await client.stop()
    assert {seen.path for seen in daprd.seen} == {"/v1.0/actors/A/1/method/M"}


async def test_a_sidecar_that_is_away_is_unavailable():
    """A refused connection is 503 and to be tried again, not a defect."""
    away = SidecarClient(1, None, 1.0)
    await away.start()
    with pytest.raises(Unavailable, match="cannot be reached"):
        await away.ask("GET", "metadata")
    await away.stop()


async def test_nothing_is_sent_before_the_start_or_after_the_stop(daprd: FakeSidecar):
    """Calls then are refused in words, not with an error of the library's."""
    idle = SidecarClient(daprd.port, None, 1.0)
    with pytest.raises(Unavailable, match="started"):
        await idle.ask("GET", "metadata")
    await idle.start()
    await idle.stop()
    with pytest.raises(Unavailable, match="stopping"):
        await idle.ask("GET", "metadata")
    assert daprd.seen == []


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (500, "ERR_ACTOR_STATE_GET", Unavailable),
        (503, "", Unavailable),
        (401, "", Unavailable),
        (403, "ERR_PERMISSION_DENIED", Unavailable),
        (400, "ERR_ACTOR_INSTANCE_MISSING", Unavailable),
        (400, "ERR_PUBSUB_NOT_FOUND", Defect),
        (404, "ERR_DIRECT_INVOKE", Defect),
    ],
)
async def test_an_error_says_whether_to_try_again(
    sidecar: SidecarClient, daprd: FakeSidecar, status: int, code: str, kind: type[Exception]
):
    """What passes is 503, what will never work is our defect; neither repeats Dapr's message."""
    daprd.answers = [(status, {"errorCode": code, "message": "ada said: my secret"})]
    with pytest.raises(kind) as caught:
        await sidecar.ask("GET", "actors/A/1/state/k")
    assert "secret" not in str(caught.value)


def test_parts_of_a_path_are_encoded():
    """Dapr decodes each part once, and takes a `+` for a space."""
    assert part("a+b c/d%?#") == "a%2Bb%20c%2Fd%25%3F%23"
    assert part("s:ada@x~1") == "s%3Aada%40x~1"
