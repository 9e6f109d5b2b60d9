"""Servers that answer as they are told."""

from collections.abc import Callable, Mapping

import httpx2

from tests.unit.runtime.dapr.conftest import daprd, sidecar

__all__ = ["answering", "daprd", "sidecar"]

Handler = Callable[[httpx2.Request], httpx2.Response]


def answering(routes: Mapping[str, Handler | httpx2.Response | Exception]) -> httpx2.AsyncClient:
    """A client of a server with those paths; any other is 404."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        told = routes.get(request.url.path, httpx2.Response(404))
        if isinstance(told, Exception):
            raise told
        return told(request) if callable(told) else told

    return httpx2.AsyncClient(transport=httpx2.MockTransport(answer))
