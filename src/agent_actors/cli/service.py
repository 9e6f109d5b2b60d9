"""The service as a process: its settings, its socket, its runtime, its start and its stop."""

import asyncio
import gc
import ipaddress
import logging
import math
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from types import FrameType

import click
import uvicorn
from fastapi import FastAPI
from uvicorn.supervisors import ChangeReload

from agent_actors.app import create_app, embedded
from agent_actors.cli.cut_off import CutOff
from agent_actors.cli.failures import CannotStart
from agent_actors.clock import SystemClock
from agent_actors.doctor.variables import misspelt, told
from agent_actors.engine.local import LocalDapr
from agent_actors.errors import StartupError
from agent_actors.model import Model
from agent_actors.model.keys import planned
from agent_actors.observability import logs
from agent_actors.runtime import Runtime
from agent_actors.runtime.dapr import DaprRuntime
from agent_actors.runtime.embedded.files import components
from agent_actors.settings import Settings, read
from agent_actors.turns.drain import Drain

log = logging.getLogger(__name__)

KEEP_ALIVE = 120
"""Seconds an idle connection stays open: longer than the pools of clients and sidecars keep it."""

BACKLOG = 2048


def settings(**given: object) -> Settings:
    """The settings of the environment; what was given on the command line comes first.

    Raises:
        StartupError: One is not of its form.
    """
    said = {name: value for name, value in given.items() if value is not None}
    return read().model_copy(update=said)


def listen(host: str, port: int, settings: Settings, *, insecure: bool) -> socket.socket:
    """A socket that listens already: who connects during the start is served after it.

    Raises:
        StartupError: The port is in use, or others could connect whom nobody asks for a token.
    """
    asked = insecure or settings.access_on or settings.access == "off"
    if not asked and not _loopback(host):
        raise StartupError(
            f"{host!r} can be reached from other machines, and nobody is asked for a token: set"
            " AGENT_ACTORS_ACCESS_TOKENS or AGENT_ACTORS_JWT_ISSUER (docs/security.md), serve on"
            " 127.0.0.1, or say --insecure."
        )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        reason = (error.strerror or str(error)).partition(" (while")[0]
        raise StartupError(
            f"Cannot serve on {host}, port {port}: {reason}; --port 0 takes a free one."
        ) from None


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def serve(settings: Settings, kind: str, sock: socket.socket) -> None:
    """Serves until a signal says stop.

    Raises:
        StartupError: The runtime cannot start.
    """
    logs.install(settings.log_format, settings.log_level)
    _tell_of_misspelt()
    runtime = _open_runtime(kind, settings)
    app = create_app(settings, runtime=runtime)
    server = _Server(_config(app, settings.drain), app.state.stopping)
    if runtime.called_by_sidecar:
        server.drain = app.state.drain
    _stop_on_signals(server)
    with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
        runner.run(_live(app, server, sock, kind))


class _Server(uvicorn.Server):
    """uvicorn, whose first signal also begins the service's drain time."""

    def __init__(self, config: uvicorn.Config, stopping: Drain) -> None:
        super().__init__(config)
        self._stopping = stopping
        self.drain: Callable[[], Awaitable[None]] | None = None
        """Ends what runs while the socket is still open: on Dapr, turns call back through it."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """The end of the service: first of what runs, then of the connections."""
        if self.drain is not None:
            draining = asyncio.ensure_future(self.drain())
            while not draining.done() and not self.force_exit:  # A second signal: at once.
                await self._stopping.clock.sleep(0.02)
            draining.cancel()
            await asyncio.gather(draining, return_exceptions=True)
            await self._requests_end()
        await super().shutdown(sockets)

    async def _requests_end(self) -> None:
        """Returns when no request runs any more, or the drain time is over."""
        clock = self._stopping.clock
        while self.server_state.tasks and self._stopping.left() > 0 and not self.force_exit:
            await clock.sleep(0.02)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal: callers who wait for a parked turn are let go within the drain time."""
        self._stopping.begin()
        super().handle_exit(sig, frame)


def _config(app: FastAPI, drain: float) -> uvicorn.Config:
    return uvicorn.Config(
        CutOff(app),
        lifespan="off",  # `_live` runs it: uvicorn would log a trace where one line is enough.
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,  # Who is on this machine is not for a header to say.
        timeout_keep_alive=KEEP_ALIVE,
        # A moment longer than callers are kept: they are told where their turn is.
        timeout_graceful_shutdown=math.ceil(drain) + 1,
    )


async def _live(app: FastAPI, server: uvicorn.Server, sock: socket.socket, kind: str) -> None:
    async with app.router.lifespan_context(app):
        _calm_collector()
        calming = asyncio.create_task(_calm_again(app.state.services.model))
        _announce(sock, kind, app.state.services.settings)
        try:
            await server.serve(sockets=[sock])
        finally:
            calming.cancel()


def _calm_collector() -> None:
    """Keeps the garbage collector off what lives as long as the process, and off the latency.

    A turn makes hardly any cycles, but thousands of short-lived values: at Python's own thresholds
    the collector walks the whole service every few turns and pauses it meanwhile. What it costs
    shows in `make bench` (turns/s, and how late the event loop is) with this call taken out.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


async def _calm_again(model: Model) -> None:
    """The same for a model's library, which is imported meanwhile and larger than all the rest."""
    await model.loaded()
    _calm_collector()


def _stop_on_signals(server: uvicorn.Server) -> None:
    """Makes SIGINT and SIGTERM end the service with exit code 0.

    While it serves, uvicorn handles them itself; then it raises them once more, which would kill
    the process in the middle of its clean-up if nobody caught them.
    """

    def stop(_number: int, _frame: FrameType | None) -> None:
        server.should_exit = True

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)


def with_local_dapr(
    run: Callable[[Settings, str, socket.socket], None], settings: Settings, sock: socket.socket
) -> None:
    """Runs the service beside a Dapr of its own: Redis, placement, scheduler and a sidecar.

    Raises:
        StartupError: One of them is not installed, or did not start.
    """
    source = components.find(settings.components)
    if source is None:
        raise StartupError(
            "There is no folder of component files; AGENT_ACTORS_COMPONENTS names one."
        )
    folder = settings.data / "dapr"
    click.echo(f"Starting Dapr; its data and logs are in {folder}.")
    local = LocalDapr(
        folder.absolute(),
        sock.getsockname()[1],
        components=source,
        app_token=settings.app_api_token,
    )
    with local as dapr:
        here = {
            "dapr_http_port": dapr.sidecar.http_port,
            "dapr_grpc_port": dapr.sidecar.grpc_port,
            "app_api_token": dapr.app_token,
        }
        run(settings.model_copy(update=here), "dapr", sock)


def _open_runtime(kind: str, settings: Settings) -> Runtime:
    opened = embedded if kind == "embedded" else DaprRuntime.open
    return opened(settings, SystemClock())


def _tell_of_misspelt() -> None:
    """Once: what nobody reads would be ignored without a word."""
    unknown = misspelt(os.environ)
    if unknown:
        log.warning("%s", told(unknown))


def _announce(sock: socket.socket, kind: str, settings: Settings) -> None:
    host, port = sock.getsockname()[:2]
    anywhere = ipaddress.ip_address(host).is_unspecified
    named = f"[{host}]" if ":" in host else host
    local = "localhost" if anywhere or host == "127.0.0.1" else named
    where = (
        f"data in {settings.data}"
        if kind == "embedded"
        else f"sidecar on port {settings.dapr_http_port}"
    )
    token = ' -H "authorization: Bearer $AGENT_ACTORS_TOKEN"' if settings.access_on else ""
    if settings.log_format == "json":
        text = "serving on %s, port %d, on the %s runtime, as process %d"
        log.info(text, host, port, kind, os.getpid())
        return
    click.echo(
        f"Serving on the {kind} runtime, model {planned(settings)}, {where},"
        f" as process {os.getpid()}; Ctrl-C stops it.\n"
        f"  API   http://{named}:{port}\n"
        f"  Docs  http://{local}:{port}/docs\n"
        f"  Try   curl -s {local}:{port}/chat/ada -H 'content-type: application/json'{token}"
        """ -d '{"role":"user","content":"Hello"}'"""
    )
    sys.stdout.flush()


def reload(settings: Settings, kind: str, sock: socket.socket) -> None:
    """Serves in a process of its own, and starts that again whenever the code changes."""
    config = uvicorn.Config(
        "agent_actors.app:create_app",  # Not loaded: `_reloaded` makes the app.
        reload=True,
        reload_dirs=[str(Path(__file__).parents[1])],
        log_config=None,
        log_level="warning",
    )
    ChangeReload(config, target=partial(_reloaded, settings, kind), sockets=[sock]).run()


def _reloaded(settings: Settings, kind: str, sockets: list[socket.socket]) -> None:
    try:
        serve(settings, kind, sockets[0])
    except StartupError as error:
        CannotStart(str(error)).show()
        sys.exit(CannotStart.exit_code)
