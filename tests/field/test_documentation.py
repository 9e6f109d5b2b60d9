"""`/docs` and `/redoc` without the internet: in a browser that finds no other host, and by reading.

Sources: fastapi/fastapi #110, #608 and #2735, open-webui/open-webui #5714 (blank without a CDN),
ninoseki/eml_analyzer #382 and unslothai/unsloth #8042 (blank by a policy), Pylons/pyramid #3570 and
posit-dev/py-shiny #1624 (scripts as text/plain).
"""

import asyncio
import mimetypes
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html.parser import HTMLParser
from pathlib import Path

import httpx2
import pytest
import uvicorn
from fastapi import FastAPI

from agent_actors.engine.ports import free_port
from agent_actors.routes.documentation import _FOLDERS, _OWN
from tests.browser import Page, executable, tab
from tests.conftest import Serve
from tests.fakes import eventually
from tests.field.test_mounting import agents, calling, mounted
from tests.unit.routes.edge.access import GUARDED

PAGES = ["/docs", "/redoc"]
ASSETS = [f"/docs/{name}" for name in [*_FOLDERS, *_OWN]] + ["/redoc/logo-mini.svg"]
TYPES = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "png": "image/png",
    "svg": "image/svg+xml",
}


class Links(HTMLParser):
    """What a page loads, and whether it has code of its own."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.inline: list[str] = []
        self._tag = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._tag = tag
        for name, value in attrs:
            if name in {"src", "href", "data-url", "spec-url"}:
                self.loaded.append(value or "")
            if name == "style" or name.startswith("on"):
                self.inline.append(name)

    def handle_data(self, data: str) -> None:
        if self._tag in {"script", "style"} and data.strip():
            self.inline.append(data)

    def handle_endtag(self, tag: str) -> None:
        self._tag = ""


@pytest.mark.parametrize("prefix", ["", "/agents", "/a/b", "/a'b", '/a"><script>'])
@pytest.mark.parametrize("path", PAGES)
async def test_all_that_a_page_loads_is_ours(tmp_path: Path, path: str, prefix: str):
    """Every address is a path below the mount that answers 200 there; no code is in the page."""
    inner = agents(tmp_path)
    async with calling(mounted(inner, prefix) if prefix else inner) as http:
        page = await http.get(httpx2.URL(f"{prefix}{path}"))
        links = Links(page.text)
        loaded = [await http.get(address) for address in links.loaded]

    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert len(links.loaded) >= 3
    assert not links.inline
    assert all(re.fullmatch(r"/[\w.%/-]+", address) for address in links.loaded)
    assert not any(address.startswith("//") for address in links.loaded)
    assert [answer.status_code for answer in loaded] == [200] * len(loaded)
    assert all(answer.content for answer in loaded)


@pytest.mark.parametrize("path", PAGES)
async def test_the_policy_names_no_other_host(serve: Serve, path: str):
    """Scripts are files of this service; styles too, but for those whose hash is named."""
    async with serve() as served:
        policy = (await served.http.get(path)).headers["content-security-policy"]

    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == "'self'"
    assert rules["connect-src"] == "'self'"
    assert rules["frame-ancestors"] == "'none'"
    sources = {source for rule in rules.values() for source in rule.split()}
    assert {each for each in sources if "sha256-" not in each} <= {
        *("'none'", "'self'", "data:", "blob:")
    }


@pytest.mark.parametrize("path", ASSETS)
async def test_files_have_their_types_whatever_the_machine_says(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, path: str
):
    """Of a machine where `.js` is text/plain, as on some Windows, nothing is believed."""
    monkeypatch.setattr(mimetypes, "guess_type", lambda *_, **__: ("text/plain", None))
    async with serve() as served:
        answer = await served.http.get(path)

    assert answer.status_code == 200
    assert answer.headers["content-type"] == TYPES[path.rpartition(".")[2]]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "max-age=3600"


@pytest.mark.parametrize(
    "name", ["LICENSE", "x.js", "", "..%2Fscripts.py", "%2e%2e", "swagger%2Fswagger-ui.css", "%00"]
)
@pytest.mark.parametrize("path", PAGES)
async def test_no_other_file_is_served(serve: Serve, path: str, name: str):
    """Another name is 404 like any route that there is not, and `/docs/` is the page."""
    async with serve() as served:
        answer = await served.http.get(f"{path}/{name}")

    assert answer.status_code == (404 if name else 200)
    assert "def " not in answer.text


async def test_the_pages_need_no_token_and_their_own_name(serve: Serve):
    """They are open like the OpenAPI document, and answer to the host names of the service."""
    async with serve(**GUARDED, rate_limit="1/hour") as served:
        for path in [*PAGES, *ASSETS]:
            named = await served.http.get(path)
            foreign = await served.http.get(path, headers={"host": "evil.example"})
            assert (named.status_code, foreign.status_code) == (200, 421), path


@asynccontextmanager
async def listening(app: FastAPI) -> AsyncIterator[str]:
    """The address of an app that uvicorn serves in this process."""
    port = free_port()
    config = uvicorn.Config(app, port=port, log_config=None, ws="none", lifespan="on")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server._serve())
    try:
        await eventually(lambda: server.started)
        yield f"http://localhost:{port}"
    finally:
        server.should_exit = True
        await serving


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[Page]:
    """A tab of a browser that reaches nothing but this machine."""
    executable()
    async with tab(tmp_path) as page:
        yield page


OPERATION = "document.querySelector('#operations-chat-say_chat__actor_id__post')"
ACTOR = f"{OPERATION}.querySelector('[data-param-name=actor_id] input')"
ANSWER = f"{OPERATION}.querySelector('.live-responses-table')?.innerText"
SEARCH = "document.querySelector('[role=search] input')"
FOUND = "document.querySelectorAll('[data-role=\\'search:results\\'] li').length"


@pytest.mark.parametrize("prefix", ["", "/agents"])
async def test_swagger_ui_shows_and_calls_the_routes(tmp_path: Path, browser: Page, prefix: str):
    """Every operation is there, one is called by its form, and nothing is refused or missing."""
    inner = agents(tmp_path)
    shown = sum(len(methods) for methods in inner.openapi()["paths"].values())
    async with listening(mounted(inner, prefix) if prefix else inner) as address:
        await browser.open(f"{address}{prefix}/docs")
        count = await browser.until("document.querySelectorAll('.opblock').length")
        title = await browser.run("document.title")
        await browser.run(f"{OPERATION}.querySelector('.opblock-summary-control').click()")
        await browser.until(f"!!{OPERATION}.querySelector('.try-out__btn')")
        await browser.run(f"{OPERATION}.querySelector('.try-out__btn').click()")
        await browser.type(ACTOR, "ada")
        await browser.run(f"{OPERATION}.querySelector('.execute').click()")
        called = await browser.until(ANSWER)

    assert (count, title) == (shown, "agent-actors - Swagger UI")
    assert "200" in called
    assert "Hello, agent!" in called
    assert browser.console == []
    assert all(url.startswith((address, "data:")) for url in browser.requested)


@pytest.mark.parametrize("prefix", ["", "/agents"])
async def test_redoc_shows_and_finds_the_routes(tmp_path: Path, browser: Page, prefix: str):
    """The operations are there, the search answers, and nothing is refused or missing."""
    inner = agents(tmp_path)
    async with listening(mounted(inner, prefix) if prefix else inner) as address:
        await browser.open(f"{address}{prefix}/redoc")
        logo = await browser.until("document.querySelector('img[alt=\"redocly logo\"]')?.complete")
        await browser.type(SEARCH, "schedule")
        found = await browser.until(FOUND)
        text = await browser.run("document.body.innerText")

    assert "/chat/{actor_id}/schedules" in text
    assert (logo, found > 0) == (True, True)
    assert browser.console == []
    assert all(url.startswith((address, "data:", "blob:")) for url in browser.requested)


async def test_the_browser_of_these_tests_notices_what_is_refused(tmp_path: Path, browser: Page):
    """A page with FastAPI's own HTML loads nothing, and the browser says so."""
    outer = FastAPI()
    async with listening(outer) as address:
        await browser.open(f"{address}/docs")

    assert any("ERR_NAME_NOT_RESOLVED" in line for line in browser.console)
    assert not all(url.startswith(address) for url in browser.requested)
