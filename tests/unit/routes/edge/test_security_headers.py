"""Security headers and CORS."""

from typing import Any

import httpx2
import pytest

from agent_actors.app import create_app
from agent_actors.errors import StartupError
from agent_actors.routes.edge.security_headers import SecurityHeaders, cors
from agent_actors.settings import Settings
from tests.conftest import Serve
from tests.fakes import FakeRuntime
from tests.unit.routes.edge.access import ADA, GUARDED, bearer

PAGE = "https://app.example.org"
NAMED = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
}


def dressed(answer: httpx2.Response) -> bool:
    """Whether an answer has every security header exactly once."""
    said = answer.headers
    policies = said.get_list("content-security-policy")
    return len(policies) == 1 and all(said.get(name) == value for name, value in NAMED.items())


async def test_every_answer_has_the_headers(serve: Serve):
    """Replies, refusals, redirects and errors have the security headers."""
    async with serve(**GUARDED, rate_limit="5/hour", cors_origins=PAGE) as served:

        @served.app.get("/broken")
        async def broken() -> None:
            raise ValueError

        transport = httpx2.ASGITransport(served.app, raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as http:
            admin = bearer("root-0123456789abcdef") | {"origin": PAGE}
            own = bearer(ADA) | {"origin": PAGE}
            answers = [
                await http.get("/livez"),
                await http.get("/", headers={"accept": "text/html"}),
                await http.get("/docs"),
                await http.get("/memory/ada", headers={"origin": PAGE}),
                await http.get("/memory/ben", headers=own),
                await http.post("/chat/ada", content=b"x" * 500_000, headers=own),
                await http.get("/nowhere", headers=admin),
                await http.get("/broken", headers=admin),
                *[await http.get("/users/ada", headers=own) for _ in range(5)],
            ]

    statuses = [answer.status_code for answer in answers]
    assert statuses[:8] == [200, 307, 200, 401, 403, 413, 404, 500]
    assert statuses[-1] == 429
    assert all(dressed(answer) for answer in answers)
    assert all(
        answer.headers["access-control-allow-origin"] == PAGE
        for answer in answers
        if "origin" in answer.request.headers
    )


async def test_only_a_page_may_load_anything(serve: Serve):
    """The policy of every other answer allows nothing, that of a page's own files included."""
    async with serve() as served:
        for path in ("/livez", "/docs/swagger-ui.css", "/redoc/logo-mini.svg", "/openapi.json"):
            policy = (await served.http.get(path)).headers["content-security-policy"]
            assert policy == "default-src 'none'; frame-ancestors 'none'", path


@pytest.mark.parametrize("hsts", [True, False])
async def test_hsts_is_sent_if_it_is_set(serve: Serve, hsts: bool):
    """HSTS is sent only if it is set: it cannot be taken back for a year."""
    async with serve(hsts=hsts) as served:
        answer = await served.http.get("/livez")

        assert ("strict-transport-security" in answer.headers) is hsts


async def test_a_preflight_needs_no_token(serve: Serve):
    """Browsers send preflight requests without a token."""
    asked = {
        "origin": PAGE,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization, content-type, idempotency-key, prefer",
    }
    async with serve(**GUARDED, cors_origins=f"https://other.example, {PAGE}") as served:
        answer = await served.http.options("/chat/ada", headers=asked)

        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == PAGE
        assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("named", [None, "https://other.example", PAGE + ":8443"])
async def test_no_page_may_call_unless_it_is_named(serve: Serve, named: str | None):
    """Without its origin in the setting, a page can neither call nor read an answer."""
    asked = {"origin": PAGE, "access-control-request-method": "POST"}
    async with serve(cors_origins=named) as served:
        before = await served.http.options("/chat/ada", headers=asked)
        after = await served.http.get("/chat/ada/history", headers={"origin": PAGE})
        simple = await served.http.post(
            "/chat/ada",
            content=b'{"role": "user", "content": "hi"}',
            headers={"origin": PAGE, "content-type": "text/plain"},
        )

        answers = (before, after, simple)
        assert [answer.status_code for answer in answers] == [403, 403, 403]
        assert not any("access-control-allow-origin" in answer.headers for answer in answers)


async def test_any_page_may_be_named(serve: Serve):
    """`*` allows every page, without cookies."""
    async with serve(cors_origins="*") as served:
        answer = await served.http.get("/livez", headers={"origin": PAGE, "cookie": "x=y"})

        assert answer.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize(
    "origins",
    ["example.org", "https://example.org/", "*, https://example.org", "https://*.org", "null"],
)
def test_an_origin_of_another_form_stops_the_start(origins: str):
    """The error is one line that names the setting."""
    with pytest.raises(StartupError, match="AGENT_ACTORS_CORS_ORIGINS"):
        create_app(Settings(cors_origins=origins), runtime=FakeRuntime())


async def test_a_page_that_may_call_can_read_the_headers_it_needs(serve: Serve):
    """A page can read the turn's address and the time of a retry."""
    async with serve(cors_origins=PAGE) as served:
        answer = await served.http.get("/livez", headers={"origin": PAGE})

        told = answer.headers["access-control-expose-headers"].lower()
        assert {"location", "retry-after", "link"} <= {name.strip() for name in told.split(",")}


async def test_what_is_no_request_is_handed_on():
    """The start and the stop of the service are passed on."""
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append((scope, send))

    async def receive() -> Any: ...

    async def send(message: Any) -> None: ...

    scope = {"type": "lifespan"}
    await SecurityHeaders(cors(app, "*"), hsts=False)(scope, receive, send)

    assert seen == [(scope, send)]
