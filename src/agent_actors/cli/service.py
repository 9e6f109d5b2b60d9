"""The service as a process: its socket, its runtime, its start and its stop."""

import asyncio
import gc
import ipaddress
import logging
import math
import os
import shutil
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

from agent_actors.access.hosts import is_loopback
from agent_actors.app import create_app, embedded
from agent_actors.cli import own_app
from agent_actors.cli.cut_off import CutOff
from agent_actors.cli.failures import CannotStart
from agent_actors.clock import SystemClock
from agent_actors.engine.local import LocalDapr
from agent_actors.errors import StartupError
from agent_actors.model import Model
from agent_actors.model.endpoint import describe_model
from agent_actors.observability import logs
from agent_actors.runtime import Runtime
from agent_actors.runtime.dapr import DaprRuntime
from agent_actors.runtime.embedded.files import components
from agent_actors.settings import Settings, read
from agent_actors.settings.unknown import warning
from agent_actors.turns.drain import Drain

log = logging.getLogger(__name__)

DEFAULT = ("127.0.0.1", 8000)
"""Where the other commands look for a service, unless they are told."""
KEEP_ALIVE = 120
"""Seconds that an idle connection stays open: longer than pools of clients and sidecars keep it."""

BACKLOG = 2048
NAME = "agent-actors"


def settings(**given: object) -> Settings:
    """The settings of the environment, with options of the command line in place of them.

    Raises:
        StartupError: A setting is not valid.
    """
    options = {name: value for name, value in given.items() if value is not None}
    return read().model_copy(update=options)


def default_runtime(settings: Settings) -> str:
    """The runtime of a start without `--runtime`: dapr if there is a sidecar."""
    return "embedded" if settings.dapr_http_port is None else "dapr"


def listen(host: str, port: int, settings: Settings, *, insecure: bool) -> socket.socket:
    """A listening socket: requests that arrive during the start are served after it.

    Raises:
        StartupError: The port is in use, or other machines could call without a token.
    """
    _require_tokens(host, settings, insecure=insecure)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        reason = (error.strerror or str(error)).partition(" (while")[0]
        raise StartupError(
            f"Cannot serve on {host}, port {port}: {reason}; --port 0 picks a free port."
        ) from None


def _require_tokens(host: str, settings: Settings, *, insecure: bool) -> None:
    allowed = insecure or settings.access_on or settings.access == "off"
    if not allowed and not is_loopback(host):
        raise StartupError(
            f"Other machines can reach {host!r}, and callers need no token: set"
            " AGENT_ACTORS_ACCESS_TOKENS or AGENT_ACTORS_JWT_ISSUER (docs/security.md), serve on"
            " 127.0.0.1, or use --insecure."
        )


def serve(settings: Settings, kind: str, sock: socket.socket, own: str | None = None) -> None:
    """Serves until a signal arrives: the default app, or a user's own, by its name.

    Raises:
        StartupError: The runtime cannot start.
    """
    logs.install(settings.log_format, settings.log_level)
    if text := warning(os.environ):
        log.warning("%s", text)
    settings = _with_address(settings, sock)
    app = _default_app(settings, kind) if own is None else own_app.load(own, settings, kind)
    services = app.state.services
    app.state.warned = True
    config = uvicorn.Config(
        CutOff(app),
        lifespan="off",  # `_live` runs it: uvicorn would log a traceback of a StartupError.
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,  # A header could claim to come from this machine.
        timeout_keep_alive=KEEP_ALIVE,
        # A moment longer than callers wait: each gets an answer with the URL of its turn.
        timeout_graceful_shutdown=math.ceil(settings.drain) + 1,
    )
    server = _Server(config, app.state.stopping)
    if services.runtime.called_by_sidecar:
        server.drain = app.state.drain
    _stop_on_signals(server)
    with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
        runner.run(_live(app, server, sock, kind))


def _default_app(settings: Settings, kind: str) -> FastAPI:
    open_runtime = embedded if kind == "embedded" else DaprRuntime.open
    runtime: Runtime = open_runtime(settings, SystemClock())
    return create_app(settings, runtime=runtime)


def _with_address(settings: Settings, sock: socket.socket) -> Settings:
    """The settings, with the address of `--host` among the host names.

    On 0.0.0.0 the service has many addresses and names, which only AGENT_ACTORS_HOSTS can tell.
    """
    address = sock.getsockname()[0]
    if not ipaddress.ip_address(address).is_unspecified and settings.hosts != "*":
        hosts = f"{settings.hosts},{address}" if settings.hosts else address
        return settings.model_copy(update={"hosts": hosts})
    return settings


class _Server(uvicorn.Server):
    """uvicorn, with the service's drain time: it starts at the first signal."""

    def __init__(self, config: uvicorn.Config, stopping: Drain) -> None:
        super().__init__(config)
        self._stopping = stopping
        self.drain: Callable[[], Awaitable[None]] | None = None
        """Ends running turns while the socket is open: on Dapr, they call back through it."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Ends the running turns, within the drain time the requests, then the connections."""
        if self.drain is not None:
            draining = asyncio.ensure_future(self.drain())
            while not draining.done() and not self.force_exit:  # A second signal stops at once.
                await self._stopping.clock.sleep(0.02)
            draining.cancel()
            await asyncio.gather(draining, return_exceptions=True)
            while self.server_state.tasks and self._stopping.left() > 0 and not self.force_exit:
                await self._stopping.clock.sleep(0.02)
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begins the drain time, in which callers that wait for a parked turn get an answer."""
        self._stopping.begin()
        super().handle_exit(sig, frame)


async def _live(app: FastAPI, server: uvicorn.Server, sock: socket.socket, kind: str) -> None:
    async with app.router.lifespan_context(app):
        _calm_collector()
        calming = asyncio.create_task(_calm_again(app.state.services.model))
        _announce(sock, kind, app.state.services.settings, app.state.services.model)
        try:
            await server.serve(sockets=[sock])
        finally:
            calming.cancel()


def _calm_collector() -> None:
    """Exempts what lives as long as the process from garbage collection, and collects less often.

    A turn makes few cycles but thousands of short-lived objects: with Python's default thresholds
    the collector walks the whole service every few turns and pauses it. To measure the cost, remove
    this call and run `make bench` (turns per second, lag of the event loop).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


async def _calm_again(model: Model) -> None:
    """Repeats it when the model's library, the largest of all, has been imported."""
    await model.loaded()
    _calm_collector()


def _stop_on_signals(server: uvicorn.Server) -> None:
    """Makes SIGINT and SIGTERM end the service with exit code 0.

    While it serves, uvicorn handles them; after that it raises them again, which would kill the
    process during its clean-up.
    """

    def stop(_number: int, _frame: FrameType | None) -> None:
        server.should_exit = True

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)


def with_local_dapr(
    run: Callable[[Settings, str, socket.socket], None], settings: Settings, sock: socket.socket
) -> None:
    """Runs the service with a local Dapr: Redis, placement, scheduler and a sidecar.

    Raises:
        StartupError: One of them is not installed, or did not start.
    """
    source = components.find(settings.components)
    if source is None:
        raise StartupError(
            "No folder of component files was found; set AGENT_ACTORS_COMPONENTS to one."
        )
    components.require_single_events(source)
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


def _announce(sock: socket.socket, kind: str, settings: Settings, model: Model) -> None:
    host, port = sock.getsockname()[:2]
    if settings.hosts is None:
        log.warning(
            "only requests to localhost are answered: set AGENT_ACTORS_HOSTS to the host names by"
            " which others call this service"
        )
    if settings.log_format == "json":
        text = "serving on %s, port %d, on the %s runtime, as process %d"
        log.info(text, host, port, kind, os.getpid())
        return
    url_host = f"[{host}]" if ":" in host else host
    anywhere = ipaddress.ip_address(host).is_unspecified
    local = ("[::1]" if ":" in host else "127.0.0.1") if anywhere else url_host
    data = (
        f"Data   Conversations are stored in {settings.data}; to start over, stop and delete it."
        if kind == "embedded"
        else f"Dapr   The sidecar is on port {settings.dapr_http_port}."
    )
    at = "" if (local, port) == DEFAULT else f" --url http://{local}:{port}"
    own = model.describe()
    token = ' -H "authorization: Bearer $AGENT_ACTORS_TOKEN"' if settings.access_on else ""
    click.echo(
        f"Serving on the {kind} runtime as process {os.getpid()}. Press Ctrl-C to stop.\n"
        f"  Model  {own.name if own.own else describe_model(settings)}\n"
        f"  {data}\n"
        f"  API    http://{local}:{port}{', on every address' if anywhere else ''}\n"
        f"  Docs   http://{local}:{port}/docs\n"
        f"  Try    curl -s {local}:{port}/chat/ada -H 'content-type: application/json'{token}"
        """ -d '{"role":"user","content":"Hello"}'\n"""
        f"  Chat   {_command()} chat ada{at}"
    )
    sys.stdout.flush()


def _command() -> str:
    """How the command is called here: that of a virtual environment is often not on the PATH."""
    called = Path(sys.argv[0])
    return str(called) if called.name == NAME and shutil.which(NAME) is None else NAME


def reload(settings: Settings, kind: str, sock: socket.socket, own: str | None = None) -> None:
    """Serves in a child process, which is restarted when the code changes; a user's own, too."""
    config = uvicorn.Config(
        "agent_actors.app:create_app",  # Required, but not used: `_reloaded` makes the app.
        reload=True,
        reload_dirs=[str(Path(__file__).parents[1]), *([str(Path.cwd())] if own else [])],
        log_config=None,
        log_level="warning",
    )
    ChangeReload(config, target=partial(_reloaded, settings, kind, own), sockets=[sock]).run()


def _reloaded(settings: Settings, kind: str, own: str | None, sockets: list[socket.socket]) -> None:
    try:
        serve(settings, kind, sockets[0], own)
    except StartupError as error:
        CannotStart(str(error)).show()
        sys.exit(CannotStart.exit_code)
