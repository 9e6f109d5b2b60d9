"""The service below a path of another app, with and without its start.

Sources: Kludex/starlette #649, fastapi/fastapi #1480 and #811 (a mounted app's start does not run),
apache/airflow #43817 (an outer app that runs it), PrefectHQ/fastmcp #2962 (the prefix comes twice).
"""

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from agent_actors import Settings, create_app

PAGE = Path(__file__).parents[2] / "docs/mounting.md"
HELLO = {"role": "user", "content": "Hello"}

pytestmark = pytest.mark.usefixtures("fresh_registry")


def agents(folder: Path, **settings: Any) -> FastAPI:
    return create_app(Settings(data=folder / "data", drain=0.2, model="echo", **settings))


@asynccontextmanager
async def calling(app: Any, *, start: bool = True) -> AsyncIterator[httpx2.AsyncClient]:
    """HTTP to an app; the server starts it, and nothing that it mounts."""
    async with AsyncExitStack() as opened:
        if start:
            await opened.enter_async_context(app.router.lifespan_context(app))
        transport = httpx2.ASGITransport(app=app, client=("127.0.0.1", 40_000))
        http = httpx2.AsyncClient(transport=transport, base_url="http://localhost")
        yield await opened.enter_async_context(http)


def mounted(inner: FastAPI, path: str, kind: Any = FastAPI) -> Any:
    """An outer app that passes its lifespan on."""

    @asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[None]:
        async with inner.router.lifespan_context(inner):
            yield

    if kind is Starlette:
        return Starlette(routes=[Mount(path, inner)], lifespan=lifespan)
    outer = FastAPI(lifespan=lifespan)
    outer.mount(path, inner)
    return outer


async def test_the_example_of_the_page_works(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """The lines are run as they are, in an empty folder."""
    (example,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(compile(example, str(PAGE), "exec"), names)  # noqa: S102 - The page is ours.
    async with calling(names["app"]) as http:
        answer = await http.post("/agents/chat/ada", json=HELLO)

    assert answer.status_code == 200
    assert "Hello" in answer.json()["response"]["content"]


@pytest.mark.parametrize("kind", [FastAPI, Starlette])
@pytest.mark.parametrize("path", ["/agents", "/a/b", ""])
async def test_every_kind_of_outer_app_serves_it(tmp_path: Path, kind: Any, path: str):
    """Turns, probes and pages work below any path, and addresses in answers begin with it."""
    async with calling(mounted(agents(tmp_path), path, kind)) as http:
        said = await http.post(f"{path}/chat/ada", json=HELLO, headers={"Prefer": "respond-async"})
        turn = await http.get(said.headers["location"])
        ready = await http.get(f"{path}/readyz")
        docs = await http.get(f"{path}/", headers={"accept": "text/html"})
        page = await http.get(f"{path}/docs")
        missing = await http.get(f"{path}/nowhere")

    assert said.status_code == 202
    assert said.headers["location"].startswith(f"{path}/chat/ada/turns/")
    assert (turn.status_code, ready.status_code, missing.status_code) == (200, 200, 404)
    assert docs.headers["location"] == f"{path}/docs"
    assert f"{path}/openapi.json" in page.text


async def test_access_is_checked_by_the_path_below(tmp_path: Path):
    """A token opens its own user's routes and no others; probes are free."""
    tokens = '[{"token":"a-token-of-ada-0123456789","subject":"ada"}]'
    inner = agents(tmp_path, access_tokens=tokens, app_api_token="t" * 32)
    own = {"authorization": "Bearer a-token-of-ada-0123456789"}
    async with calling(mounted(inner, "/agents")) as http:
        status = [
            (await http.get(f"/agents/chat/{user}/history", headers=headers)).status_code
            for user, headers in (("ada", own), ("eve", own), ("ada", {}))
        ]
        ready = await http.get("/agents/readyz")
        callback = await http.post("/agents/subscribe", json={})

    assert status == [200, 403, 401]
    assert (ready.status_code, callback.status_code in {401, 403}) == (200, True)


ASKED = ["/", "/readyz", "/livez", "/chat/ada/history", "/docs", "/metrics", "/nowhere"]


@pytest.mark.parametrize("how", ["mounted", "lifespan off", "a client without with"])
async def test_without_its_start_every_request_says_how(tmp_path: Path, how: str):
    """One problem, whatever is asked."""
    inner = agents(tmp_path)
    outer, prefix = inner, ""
    if how == "mounted":
        outer, prefix = FastAPI(), "/agents"
        outer.mount(prefix, inner)
    if how == "a client without with":
        client = TestClient(inner, base_url="http://localhost")
        answers = [client.get(path) for path in ASKED]
        answers.append(client.post("/chat/ada", json=HELLO))
    else:
        async with calling(outer, start=how == "mounted") as http:
            answers = [await http.get(prefix + path) for path in ASKED]
            answers.append(await http.post(f"{prefix}/chat/ada", json=HELLO))

    assert {answer.status_code for answer in answers} == {503}
    assert len({answer.text for answer in answers}) == 1
    assert answers[0].headers["content-type"] == "application/problem+json"
    assert "docs/mounting.md" in answers[0].json()["detail"]


async def test_after_its_stop_it_says_so_too(tmp_path: Path):
    """An outer app that goes on serving gets the same answer."""
    inner = agents(tmp_path)
    async with calling(mounted(inner, "/agents")) as http:
        assert (await http.get("/agents/readyz")).status_code == 200
    async with calling(inner, start=False) as http:
        assert (await http.get("/readyz")).status_code == 503
