"""What tests of every folder share."""

import asyncio
import gc
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from dapr.actor import ActorRuntime
from fastapi import FastAPI
from xdist.scheduler import LoadScopeScheduling

from agent_actors.app import create_app
from agent_actors.clock import Clock
from agent_actors.engine import ports
from agent_actors.model import Model
from agent_actors.protocol.wire import TOKEN_HEADER
from agent_actors.routes.edge.dependencies import Services
from agent_actors.runtime import Runtime
from agent_actors.settings import Settings
from tests.dapr.engine import engine
from tests.fakes import eventually
from tests.faults import report

__all__ = ["engine"]

REAL = {"aimock_server", "broker", "browser", "cluster", "engine", "programs", "real_model"}
"""Fixtures that start what `make engine`, `make kafka` and their like have built or fetched."""
ALONE = ("tests/protocol/", "tests/faults/")
"""Folders whose tests take long, and share nothing."""
FOREIGN = ("AGENT_ACTORS_", "DAPR_", "APP_API_", "OPENAI_", "GEMINI_")


PORTS = range(10_000, 20_000)
"""Of the workers; a command that they start takes one from 20000 on, if it is to choose."""


gc.disable()  # While tests are collected, which makes much and throws little away.


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


class Scheduling(LoadScopeScheduling):  # type: ignore[misc] # It comes without types.
    """The tests of a file go to one worker, since they may share a service; long ones go alone.

    Not `--dist loadgroup`, whose groups pytest-xdist 3.8 loses with pytest 9.2.
    """

    def _split_scope(self, nodeid: str) -> str:
        return nodeid if nodeid.startswith(ALONE) else nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling:
    return Scheduling(config, log)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """More than there are cores: tests wait, for time or for processes of their own.

    Where workers have real servers each, these take part of the cores.
    """
    waiting = 4 if "not real" in config.option.markexpr else 2
    return (os.cpu_count() or 1) + waiting


def pytest_configure() -> None:
    """Each worker has ports of its own: they look for free ones at the same time."""
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker is not None:
        ports._NUMBER = len(PORTS) // int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
        ports._FIRST = PORTS[int(worker.removeprefix("gw")) * ports._NUMBER]


@pytest.hookimpl(tryfirst=True)  # Before `-m` selects.
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what needs a real server."""
    for item in items:
        if isinstance(item, pytest.Function) and not REAL.isdisjoint(item.fixturenames):
            item.add_marker("real")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker tells how long faults were felt."""
    output: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["faults"] = report.told()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    report.take(getattr(node, "workeroutput", {}).get("faults", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    report.write(terminalreporter)


@pytest.fixture(scope="session", autouse=True)
def _no_traces() -> Iterator[None]:
    """No process that a test starts sends spans to the collector of whoever runs the tests.

    Once, before anything starts: what a test sets itself is for the processes that it starts.
    """
    with pytest.MonkeyPatch.context() as environment:
        for name in [name for name in os.environ if name.startswith("OTEL_")]:
            environment.delenv(name)
        yield


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees settings of the machine it runs on."""
    for name in [name for name in os.environ if name.startswith(FOREIGN)]:
        monkeypatch.delenv(name)


@pytest.fixture
def fresh_registry() -> Iterator[None]:
    """The SDK keeps its actors per process, with a lock that belongs to one loop."""
    managers, config = dict(ActorRuntime._actor_managers), ActorRuntime._actor_config
    ActorRuntime._actor_managers.clear()
    ActorRuntime._actor_managers_lock = asyncio.Lock()
    yield
    ActorRuntime._actor_managers_lock = asyncio.Lock()
    ActorRuntime._actor_managers.clear()
    ActorRuntime._actor_managers.update(managers)
    ActorRuntime._actor_config = config


@dataclass
class Served:
    """The app, running, and HTTP to it without a socket."""

    app: FastAPI
    http: httpx2.AsyncClient

    @property
    def services(self) -> Services:
        services: Services = self.app.state.services
        return services

    @property
    def token(self) -> dict[str, str]:
        """The header that callbacks carry."""
        return {TOKEN_HEADER: self.services.token or ""}

    async def say(self, user: str, content: str, **headers: str) -> httpx2.Response:
        """Posts a message; `idempotency_key` and `prefer` are headers."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        body = {"role": "user", "content": content}
        return await self.http.post(f"/chat/{user}", json=body, headers=given)

    async def reply(self, user: str, content: str) -> str:
        """The reply to a message that is answered."""
        answer = await self.say(user, content)
        assert answer.status_code == 200, answer.text
        text: str = answer.json()["response"]["content"]
        return text

    async def history(self, user: str, **at: int) -> Any:
        """What was said, as the route tells it."""
        return (await self.http.get(f"/chat/{user}/history", params=at)).json()

    async def memory(self, user: str) -> list[dict[str, str]]:
        """What the agent remembers."""
        entries: list[dict[str, str]] = (await self.http.get(f"/memory/{user}")).json()["memory"]
        return entries

    async def remembered(self, user: str, seq: int) -> None:
        """Waits until memory has applied the event of that turn of `user`."""

        async def reached() -> bool:
            return await self.services.reader.mark(user, user) >= seq

        await eventually(reached)

    async def deliver(self, event: Any, path: str = "/subscribe") -> str:
        """The verdict on an event that the runtime delivers."""
        if not isinstance(event, bytes):
            answer = await self.http.post(path, json=event, headers=self.token)
        else:
            answer = await self.http.post(path, content=event, headers=self.token)
        assert answer.status_code == 200, answer.text
        verdict: str = answer.json()["status"]
        return verdict


Serve = Callable[..., AbstractAsyncContextManager[Served]]


@pytest.fixture
def serve(fresh_registry: None, tmp_path: Path) -> Serve:
    """The whole app, running; see `serving` for what can be given."""

    @asynccontextmanager
    async def serving(
        *,
        model: Model | None = None,
        clock: Clock | None = None,
        runtime: Runtime | None = None,
        caller: str = "127.0.0.1",
        **settings: Any,
    ) -> AsyncIterator[Served]:
        given: dict[str, Any] = {"data": tmp_path / "data", "drain": 0.2} | settings
        chosen = Settings(**given)
        app = create_app(chosen, runtime=runtime, model=model, clock=clock)
        transport = httpx2.ASGITransport(app=app, client=(caller, 40_000))
        async with (
            app.router.lifespan_context(app),
            httpx2.AsyncClient(transport=transport, base_url="http://localhost") as http,
        ):
            yield Served(app, http)

    return serving
