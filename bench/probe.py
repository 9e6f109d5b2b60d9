"""An app served with a timer on its event loop that records how late it runs.

Run as `python -m bench.probe service|floor DATA REPORT PORT`; the report is written at the end
and starts at the last SIGUSR1.
"""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI

from agent_actors.app import create_app
from agent_actors.settings import Settings
from bench.floor import bare
from bench.serve import serve

PERIOD = 0.001


def probed(app: FastAPI, late: list[float]) -> FastAPI:
    """The app, with the timer in its lifespan."""
    lifespan = app.router.lifespan_context

    @asynccontextmanager
    async def with_timer(app: FastAPI) -> AsyncIterator[None]:
        async with lifespan(app):
            timer = asyncio.create_task(_tick(late))
            yield
            timer.cancel()

    app.router.lifespan_context = with_timer
    return app


async def _tick(late: list[float]) -> None:
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, late.clear)
    while True:
        due = loop.time() + PERIOD
        await asyncio.sleep(PERIOD)
        late.append(loop.time() - due)


if __name__ == "__main__":
    kind, data, report, port = sys.argv[1:]
    app = create_app(Settings(model="echo", data=Path(data))) if kind == "service" else bare()
    late: list[float] = []
    serve(probed(app, late), int(port))
    Path(report).write_text(json.dumps(late), encoding="utf-8")
