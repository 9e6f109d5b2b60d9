"""What is served for comparison, on the settings of `agent-actors dev`."""

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
    """Serves until a signal says stop, and returns."""
    # uvicorn raises the signal it has heeded once more: by default that ends the process.
    signal.signal(signal.SIGTERM, lambda _number, _frame: None)
    server = uvicorn.Server(config(app, port))
    with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
        runner.run(_calmly(server))


def calm_collector() -> None:
    """What the service does to the garbage collector when it starts."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


async def _calmly(server: uvicorn.Server) -> None:
    calm_collector()
    await server.serve()
