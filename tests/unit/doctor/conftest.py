"""Scripted servers, and a context for the checks."""

from collections.abc import Callable, Mapping
from typing import Any

import httpx2

from agent_actors.clock import SystemClock
from agent_actors.doctor.finding import Context, Finding, Findings
from agent_actors.settings import Settings
from tests.unit.runtime.dapr.conftest import daprd, sidecar

__all__ = ["answering", "context", "daprd", "only", "sidecar"]

Handler = Callable[[httpx2.Request], httpx2.Response]


def context(settings: Settings | None = None, runtime: str = "embedded", **given: Any) -> Context:
    """A context in an empty environment."""
    values: dict[str, Any] = {"environment": {}, "clock": SystemClock(), **given}
    return Context(settings or Settings(), runtime, **values)


def only(findings: Findings) -> Finding:
    """The one finding of a check."""
    (finding,) = findings
    return finding


def answering(routes: Mapping[str, Handler | httpx2.Response | Exception]) -> httpx2.AsyncClient:
    """A client of a server with those paths; any other is 404."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        route = routes.get(request.url.path, httpx2.Response(404))
        if isinstance(route, Exception):
            raise route
        return route(request) if callable(route) else route

    return httpx2.AsyncClient(transport=httpx2.MockTransport(answer))
