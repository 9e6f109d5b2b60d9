"""HEAD, as load balancers, uptime monitors and link checkers send it to routes of GET."""

import asyncio
import socket
from typing import Any

import pytest

from agent_actors.access.rules import RULES
from tests.conftest import Serve
from tests.e2e.service import Service, running
from tests.fakes import QuickModel

PROBES = [
    "/livez",  # fastapi/fastapi#1773
    "/readyz",  # punkpeye/fastmcp#275: an uptime monitor asks for the headers only
    "/healthz",  # saml7n/parbaked#564
    "/metrics",
]
PAGES = [
    "/",  # alibaizhanov/mengram#83
    "/docs",
    "/docs/swagger-ui.css",
    "/openapi.json",
    "/livez/",
    "/chat/ada/history",
    "/conversations/s1?limit=2",
    "/users/ada/preferences",
    "/events/dead",
    "/nothing",
]
TOKENS: dict[str, Any] = {
    "access_tokens": '[{"token": "the-token-of-ada", "subject": "ada"}]',
    "app_api_token": "the token of the sidecar",
}


@pytest.mark.parametrize("path", PROBES + PAGES)
async def test_head_is_get_without_a_body(serve: Serve, path: str):
    """Status and headers are the same, also the length that the body would have."""
    async with serve(model=QuickModel()) as served:
        await served.reply("ada", "Hello")
        head, get = [await served.http.request(method, path) for method in ("HEAD", "GET")]

        assert head.status_code == get.status_code
        assert head.content == b""
        assert set(head.headers) == set(get.headers)
        if path != "/metrics":  # Its numbers change.
            assert head.headers["content-length"] == get.headers["content-length"]


async def test_a_long_answer_has_no_body_either(serve: Serve):
    """The export is sent in parts."""
    async with serve(model=QuickModel()) as served:
        await served.reply("ada", "Hello")
        answer = await served.http.head("/users/ada/export")

        assert (answer.status_code, answer.content) == (200, b"")


async def test_a_stopping_service_is_not_ready_for_head(serve: Serve):
    """A balancer that asks by HEAD learns it, too."""
    async with serve() as served:
        served.app.state.stopping.begin()
        answer = await served.http.head("/readyz")

        assert (answer.status_code, answer.content) == (503, b"")
        assert answer.headers["retry-after"] == "1"


@pytest.mark.parametrize("route", [route for route in RULES if route.startswith("GET ")])
async def test_the_rules_of_get_hold_for_head(serve: Serve, route: str):
    """Who may not read may not know the headers either."""
    path = route.partition(" ")[2].replace("{", "").replace("}", "")
    ada = {"authorization": "Bearer the-token-of-ada"}
    async with serve(**TOKENS) as served:
        for headers in ({}, ada):
            head, get = [
                await served.http.request(method, path, headers=headers)
                for method in ("HEAD", "GET")
            ]
            assert head.status_code == get.status_code


@pytest.mark.parametrize(("path", "allowed"), [("/livez", "GET, HEAD"), ("/chat/ada", "POST")])
async def test_a_refusal_names_head(serve: Serve, path: str, allowed: str):
    """`Allow` of a 405 says what the route takes."""
    async with serve() as served:
        answer = await served.http.put(path)

        assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
        if "POST" in allowed:
            assert (await served.http.head(path)).status_code == 405


async def test_the_server_sends_only_the_headers(tmp_path: Any):
    """Over a socket, and the connection stays usable for the next request."""
    async with running(tmp_path) as service:
        answer = await asyncio.to_thread(asked, service)

    first, _, rest = answer.partition(b"\r\n\r\n")
    assert first.startswith(b"HTTP/1.1 200")
    assert b"content-length: 15" in first.lower()
    assert rest.startswith(b"HTTP/1.1 200")
    assert rest.endswith(b'{"status":"ok"}')


def asked(service: Service) -> bytes:
    """What a HEAD and a GET on one connection get."""
    host = f"Host: 127.0.0.1:{service.port}\r\n"
    head = f"HEAD /livez HTTP/1.1\r\n{host}\r\n"
    get = f"GET /livez HTTP/1.1\r\n{host}Connection: close\r\n\r\n"
    answer = b""
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as connection:
        connection.sendall((head + get).encode())
        while part := connection.recv(65_536):
            answer += part
    return answer
