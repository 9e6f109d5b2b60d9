"""Requests to another host, and requests of another site's pages, are refused on every route."""

import tracemalloc
from collections.abc import Mapping

import pytest
from starlette.types import Message, Receive, Scope, Send

from agent_actors.access.hosts import Hosts
from agent_actors.access.rules import RULES
from agent_actors.routes.edge.host_check import HostCheck
from tests.conftest import Serve, Served
from tests.unit.routes.edge.access import GUARDED, ROOT, bearer
from tests.unit.routes.edge.test_security_page import call

ADDRESS = "10.244.0.7:8000"
"""How a kubelet calls a pod."""
PROBES = {"GET /livez", "GET /readyz", "GET /healthz", "GET /metrics"}
EVIL = "http://evil.example"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example"])
async def test_every_route_answers_to_its_own_names_only(serve: Serve, host: str):
    """Each route is 421 by a foreign name and something else by its own."""
    async with serve(caller=GUARDED["caller"]) as served:
        for route in RULES:
            assert await call(served, route, {"host": host}) == 421, route
            assert await call(served, route, {"host": "localhost:8000"}) != 421, route
        assert await call(served, "GET /no/such/route", {"host": host}) == 421
        assert await call(served, "TRACE /livez", {"host": host}) == 421


@pytest.mark.parametrize("origin", [EVIL, "null", "https://localhost.evil.example", "file://", "x"])
async def test_every_route_refuses_pages_of_other_sites(serve: Serve, origin: str):
    """Each route is 403 for a page of another site and something else for its own."""
    async with serve(**GUARDED, APP_API_TOKEN="the sidecar's") as served:
        admin = bearer(ROOT)
        for route, rule in RULES.items():
            assert await call(served, route, {"origin": origin, **admin}) == 403, route
            if rule != "runtime":
                own = {"origin": "http://localhost:8000", **admin}
                assert await call(served, route, own) != 403, route
        assert await call(served, "OPTIONS /chat/ada", {"origin": origin}) == 403


async def test_a_page_that_rebinds_its_name_deletes_nothing(serve: Serve):
    """The case that was reported: name and origin are the page's own."""
    async with serve(caller=GUARDED["caller"]) as served:
        await served.http.post("/chat/ada", json={"role": "user", "content": "hi"})
        page = {"host": "evil.example:8000", "origin": f"{EVIL}:8000"}
        answers = [
            await served.http.delete("/users/ada", headers=page),
            await served.http.get("/users/ada/export", headers=page),
            await served.http.get("/events/dead", headers=page),
        ]

        assert [answer.status_code for answer in answers] == [421, 421, 421]
        assert answers[0].json()["retry"] == "no"
        assert "AGENT_ACTORS_HOSTS" in answers[0].json()["detail"]
        assert answers[0].headers["x-content-type-options"] == "nosniff"
        assert len((await served.http.get("/chat/ada/history")).json()["history"]) == 2


async def test_probes_may_come_by_address(serve: Serve):
    """A kubelet and Prometheus know a pod by its address; other routes are not for them."""
    async with serve(caller=GUARDED["caller"]) as served:
        for route in RULES:
            refused = await call(served, route, {"host": ADDRESS}) == 421
            assert refused is (route not in PROBES), route
        assert (await served.http.get("/livez", headers={"host": "[fd00::7]"})).status_code == 200
        assert (await served.http.post("/livez", headers={"host": ADDRESS})).status_code == 421


async def test_the_sidecars_token_opens_every_name(serve: Serve):
    """A sidecar may know the app by any name; a wrong token opens nothing."""
    async with serve(**GUARDED, APP_API_TOKEN="the sidecar's") as served:
        host = {"host": "app:8000"}

        assert await call(served, "POST /subscribe", {**served.token, **host}) not in {403, 421}
        assert await call(served, "GET /dapr/config", {**served.token, **host}) == 200
        assert await call(served, "POST /subscribe", {"dapr-api-token": "x", **host}) == 421


@pytest.mark.parametrize(
    ("settings", "headers", "status"),
    [
        ({"hosts": "agents.example.org"}, {"host": "Agents.example.org:443"}, 200),
        ({"hosts": "*.example.org"}, {"host": "a.b.example.org"}, 200),
        ({"hosts": "*.example.org"}, {"host": "example.org"}, 421),
        ({"hosts": "*"}, {"host": "evil.example"}, 200),
        ({"hosts": "*"}, {"host": "evil.example", "origin": EVIL}, 200),
        ({"hosts": "*"}, {"host": "agents.example.org", "origin": EVIL}, 403),
        ({"hosts": "a.example"}, {"host": "a.example", "origin": "https://a.example:1"}, 200),
        ({"hosts": "a.example"}, {"host": "localhost", "origin": "https://a.example"}, 200),
        ({"cors_origins": EVIL}, {"host": "localhost", "origin": EVIL}, 200),
        ({"cors_origins": EVIL}, {"host": "evil.example", "origin": EVIL}, 421),
        ({"cors_origins": "*"}, {"host": "localhost", "origin": "null"}, 200),
        ({"cors_origins": EVIL}, {"host": "localhost", "origin": f"{EVIL}:81"}, 403),
    ],
)
async def test_settings_name_hosts_and_origins(
    serve: Serve, settings: Mapping[str, str], headers: dict[str, str], status: int
):
    """Twice, since headers that have passed are remembered."""
    async with serve(**settings) as served:
        for _ in range(2):
            answer = await served.http.get("/memory/ada", headers=headers)
            assert answer.status_code == status


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("host", "localhost"), ("host", "evil.example")],
        [("host", "localhost"), ("host", "localhost")],
        [("host", "localhost@evil.example")],
    ],
    ids=["none", "two", "twice", "no name"],
)
async def test_a_request_has_one_host(serve: Serve, headers: list[tuple[str, str]]):
    """Otherwise another program on the way may have read another one."""
    async with serve() as served:
        assert await _status(served, [(a.encode(), b.encode()) for a, b in headers]) == 421


async def test_a_body_to_another_host_is_not_read(serve: Serve):
    """The answer comes before the first byte of the body is asked for."""
    async with serve() as served:
        assert await _status(served, [(b"host", b"evil.example")], method="POST") == 421


async def test_a_second_origin_does_not_hide_the_first(serve: Serve):
    """Each has to be allowed."""
    ours = (b"origin", b"http://localhost")
    theirs = (b"origin", EVIL.encode())
    async with serve() as served:
        for origins in ([ours, theirs], [theirs, ours]):
            assert await _status(served, [(b"host", b"localhost"), *origins]) == 403
        assert await _status(served, [(b"host", b"localhost"), ours]) == 200


async def test_websockets_are_checked_as_well(serve: Serve):
    """A websocket of another host is closed before anything answers it."""
    sent: list[Message] = []
    async with serve() as served:

        async def send(message: Message) -> None:
            sent.append(message)

        scope = {"type": "websocket", "path": "/x", "headers": [(b"host", b"evil.example")]}
        await served.app(scope, _never, send)

    assert sent == [{"type": "websocket.close", "code": 1008}]


async def test_many_names_of_a_wildcard_are_not_all_remembered():
    """A caller who invents subdomains does not fill the memory."""
    check = HostCheck(_nothing, Hosts.parse("*.example.org"), [], None)
    tracemalloc.start()
    for number in range(20_000):
        headers = [(b"host", b"%d.example.org" % number)]
        await check({"type": "http", "path": "/", "headers": headers}, _never, _unsent)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert kept < 1_000_000


async def _nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """An app that answers nothing."""


async def _unsent(message: Message) -> None:
    raise AssertionError(message)


async def _never() -> Message:
    raise AssertionError("the request was read")


async def _status(served: Served, headers: list[tuple[bytes, bytes]], method: str = "GET") -> int:
    """The status of a request with exactly these headers and an unread body."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": "/livez",
        "raw_path": b"/livez",
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    await served.app(scope, _never, send)
    status: int = sent[0]["status"]
    return status
