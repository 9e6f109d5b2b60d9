import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from agent_actors.runtime.dapr.sidecar import SidecarClient

Handler = Callable[[web.Request], Awaitable[web.Response]]


@dataclass(frozen=True)
class Seen:
    """A request as it came in; its path is not decoded."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class FakeSidecar:
    """An HTTP server where daprd would be: it notes requests and answers what it is told."""

    seen: list[Seen] = field(default_factory=list)
    answers: list[tuple[int, Any]] = field(default_factory=list)
    handler: Handler | None = None
    port: int = 0

    async def answer(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.seen.append(Seen(request.method, request.raw_path, dict(request.headers), body))
        if self.handler is not None:
            return await self.handler(request)
        status, told = self.answers.pop(0) if self.answers else (204, None)
        return web.Response(status=status, body=b"" if told is None else json.dumps(told).encode())


@pytest.fixture
async def daprd() -> AsyncIterator[FakeSidecar]:
    fake = FakeSidecar()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", fake.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    fake.port = runner.addresses[0][1]
    yield fake
    await runner.cleanup()


@pytest.fixture
async def sidecar(daprd: FakeSidecar) -> AsyncIterator[SidecarClient]:
    made = SidecarClient(daprd.port, "secret", 5.0)
    await made.start()
    yield made
    await made.stop()
