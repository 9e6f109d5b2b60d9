"""Serves the apps that the service is compared with, as `agent-actors dev` does."""

import asyncio
import gc
import signal

import uvicorn
from starlette.types import ASGIApp

from bench.process import HOST


def config(app: ASGIApp, port: int) -> uvicorn.Config:
    """The settings of uvicorn that the service uses."""
    return uvicorn.Config(
        app,
        host=HOST,
        port=port,
        log_config=None,
        log_level="warning",
        access_log=False,
        timeout_keep_alive=120,
    )


def serve(app: ASGIApp, port: int) -> None:
    """Serves until a signal arrives."""
    # uvicorn raises the signal again after its shutdown; by default that would end the process.
    signal.signal(signal.SIGTERM, lambda _number, _frame: None)
    server = uvicorn.Server(config(app, port))
    with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
        runner.run(_serve(server))


def tune_collector() -> None:
    """Sets up the garbage collector as the service does at its start."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


async def _serve(server: uvicorn.Server) -> None:
    tune_collector()
    await server.serve()
