"""The pooled session, and what the sidecar's errors become."""

import asyncio

import pytest
from aiohttp import web

from agent_actors.errors import Defect, Unavailable
from agent_actors.runtime.dapr.sidecar import SidecarClient, part
from tests.unit.runtime.dapr.conftest import FakeSidecar


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


async def test_a_sidecar_that_is_away_is_unavailable(daprd: FakeSidecar):
    """A refused connection is 503 and to be tried again, not a defect."""
    away = SidecarClient(1, None, 1.0)
    await away.start()
    with pytest.raises(Unavailable, match="cannot be reached"):
        await away.ask("GET", "metadata")
    await away.stop()


async def test_a_sidecar_that_does_not_answer_is_unavailable(daprd: FakeSidecar):
    """Whatever is sent has a time-out."""

    async def hang(_request: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    daprd.handler = hang
    slow = SidecarClient(daprd.port, None, 0.05)
    await slow.start()
    with pytest.raises(Unavailable):
        await slow.ask("GET", "metadata")
    await slow.stop()


async def test_a_connection_cut_in_the_middle_is_unavailable(
    sidecar: SidecarClient, daprd: FakeSidecar
):
    """So ends a request whose sidecar is killed."""

    async def cut(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    daprd.handler = cut
    with pytest.raises(Unavailable):
        await sidecar.ask("POST", "actors/A/1/method/M", b"1")


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


async def test_an_error_that_is_no_json_is_one_all_the_same(
    sidecar: SidecarClient, daprd: FakeSidecar
):
    """A proxy in between may answer in another form."""

    async def plain(_request: web.Request) -> web.Response:
        return web.Response(status=502, text="bad gateway")

    daprd.handler = plain
    with pytest.raises(Unavailable):
        await sidecar.ask("GET", "metadata")


def test_parts_of_a_path_are_encoded():
    """Dapr decodes each part once, and takes a `+` for a space."""
    assert part("a+b c/d%?#") == "a%2Bb%20c%2Fd%25%3F%23"
    assert part("s:ada@x~1") == "s%3Aada%40x~1"


async def test_a_redirect_is_not_followed(sidecar: SidecarClient, daprd: FakeSidecar):
    """The token and what was said go to the sidecar, and to nobody it names."""

    async def elsewhere(_request: web.Request) -> web.Response:
        raise web.HTTPTemporaryRedirect(f"http://127.0.0.1:{daprd.port}/stranger")

    daprd.handler = elsewhere
    with pytest.raises(Unavailable):
        await sidecar.ask("POST", "actors/A/1/method/M", b"1")
    assert len(daprd.seen) == 1
