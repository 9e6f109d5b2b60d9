"""`create_app`: the service as a FastAPI app, with a sidecar's callbacks in front of its routes."""

import functools
import logging
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from dapr.ext.fastapi import DaprActor
from fastapi import FastAPI
from opentelemetry.trace import TracerProvider
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from agent_actors import __version__
from agent_actors.access import Access
from agent_actors.access.hosts import Hosts
from agent_actors.access.origins import parse_origins
from agent_actors.access.rates import Rate, RateLimiter
from agent_actors.arguments import require_agent, require_parts, require_settings
from agent_actors.clock import Clock, SystemClock
from agent_actors.errors import StartupError
from agent_actors.model import Model
from agent_actors.model.selection import choose_model
from agent_actors.observability import logs
from agent_actors.observability.exporter import Traces
from agent_actors.protocol import wire
from agent_actors.protocol.service_info import ServiceInfo
from agent_actors.routes.edge import gate, mounting, problems, security_headers, startup
from agent_actors.routes.edge.body_limit import BodyLimit
from agent_actors.routes.edge.host_check import HostCheck
from agent_actors.routes.edge.request_form import RequestForm
from agent_actors.routes.routers import ROUTES
from agent_actors.routes.sidecar import subscriptions
from agent_actors.routes.sidecar.callbacks import Callbacks
from agent_actors.routes.sidecar.deliveries import deliverer
from agent_actors.runtime import Runtime
from agent_actors.runtime.dapr import DaprRuntime
from agent_actors.runtime.embedded import EmbeddedRuntime
from agent_actors.runtime.embedded.files import components
from agent_actors.service import Service
from agent_actors.settings import Settings, read
from agent_actors.settings.environment import require_dapr
from agent_actors.settings.unknown import warning

if TYPE_CHECKING:
    from agents import Agent, Tool

log = logging.getLogger(__name__)

BODY_BYTES = 6
"""Bytes that one byte of a message may take in a JSON body (`\\u0000`)."""
BODY_EXTRA = 16_384
"""Bytes of a body beside the message's content."""


@startup.explained()
def create_app(  # noqa: PLR0913 - Each is something a user of the library may replace.
    settings: Settings | None = None,
    *,
    runtime: Runtime | None = None,
    model: Model | None = None,
    clock: Clock | None = None,
    agent: "Agent[Any] | None" = None,
    tools: "Sequence[Tool]" = (),
    tracer_provider: TracerProvider | None = None,
) -> FastAPI:
    """Makes the service: its actors, its routes, and the runtime that carries them.

    The Dapr SDK keeps one registry of actors per process, so a process can run one app at a time.

    Example:
        ```python
        from agents import Agent

        from agent_actors import Settings, create_app

        waiter = Agent("waiter", instructions="You are a waiter.")
        app = create_app(Settings(idle_timeout=300), agent=waiter)
        ```

        Save it as `yours.py` and start it with `agent-actors dev --app yours:app`.

    Args:
        settings: Read from the environment by default.
        runtime: Dapr if `DAPR_HTTP_PORT` names a sidecar, else the embedded runtime on the
            settings' data folder.
        model: The model that the settings choose by default.
        clock: The machine's clock by default.
        agent: An agent of the OpenAI Agents SDK, in place of the default one.
        tools: Tools of that SDK, in addition to the agent's own.
        tracer_provider: Where OpenTelemetry spans go; by default to the collector that
            `OTEL_EXPORTER_OTLP_ENDPOINT` names, if it is set.

    Raises:
        TypeError: An argument is of another kind; the text says what to pass.
        ValueError: Arguments contradict each other.
        StartupError: A setting is wrong, the agent has MCP servers, or the data folder cannot be
            used. Where a server such as uvicorn imports the app, the process ends with its text.
    """
    require_settings(settings)
    require_parts(runtime, model, clock, tracer_provider)
    require_agent(agent, tools, model)
    clock = clock or SystemClock()
    settings = settings or read()
    require_dapr(workflow=settings.orchestration == "workflow")
    runtime = runtime or _runtime(settings, clock)
    model = model or choose_model(
        settings, clock, get_secret=runtime.get_secret, agent=agent, tools=tuple(tools)
    )
    info = _info(settings, runtime, agent, tools)
    service = Service(settings, runtime, model, clock, info)
    access = _access(service, settings, clock)
    return _assemble(service, Traces.of(tracer_provider, __version__), access, settings)


def _access(service: Service, settings: Settings, clock: Clock) -> Access | None:
    access = Access.open(settings, clock)
    if access is not None and service.token is None:
        raise StartupError(
            "Access control needs APP_API_TOKEN: without it, anybody could call the callbacks."
        )
    return access


def _info(
    settings: Settings, runtime: Runtime, agent: "Agent[Any] | None", tools: "Sequence[Tool]"
) -> ServiceInfo:
    dapr = runtime.called_by_sidecar
    own = [*(agent.tools if agent is not None else ()), *tools]
    embedded = isinstance(runtime, EmbeddedRuntime)
    files = components.find(settings.components) if embedded else None
    return ServiceInfo.of(settings, dapr=dapr, components=files, own_tools=len(own))


def _assemble(
    service: Service, traces: Traces, access: Access | None, settings: Settings
) -> FastAPI:
    """Puts the routes and the layers around them into one app."""
    largest = settings.message_bytes * BODY_BYTES + BODY_EXTRA
    app = App(
        title="agent-actors",
        description="AI agents as Dapr virtual actors.",
        version=__version__,
        # Events hold the texts of a turn twice. They are read only after their token was checked.
        middleware=[Middleware(BodyLimit, largest=largest, exempt=subscriptions.PATHS)],
        telemetry=traces.request_telemetry,
        redirect_slashes=False,
        docs_url=None,  # `routes/documentation.py` serves these pages.
        redoc_url=None,
        # Not `include_router`: FastAPI 0.165 then makes every route again for each app, and when
        # the first request comes.
        routes=[*ROUTES],
    )
    app.router.lifespan_context = functools.partial(_lifespan, service, traces, access)
    front = _shell(app.plain, settings, access, service)
    if service.services.runtime.called_by_sidecar:
        front = Callbacks(
            front,
            service.token,
            subscriptions.callbacks(service.services),
            subscriptions.inputs(service.services),
        )
    origins = parse_origins(settings.cors_origins or "")
    front = HostCheck(front, Hosts.parse(settings.hosts), origins, service.token)
    app.front = RequestForm(front, app.router)
    app.state.services = service.services
    app.state.stopping = service.stopping
    app.state.drain = service.drain
    app.state.warned = False  # Of settings that there are not; the command does so earlier.
    problems.install(app)
    if access is not None:
        gate.describe(app)
    return app


class App(FastAPI):
    """FastAPI with layers around it: host names, a sidecar's callbacks, then access and headers.

    Callbacks bypass the others, because five of the six requests of a turn on Dapr are callbacks,
    and they need neither routing nor access control: a token is enough.
    """

    front: ASGIApp | None = None
    started = False
    """Whether the app's lifespan runs: without it, nothing can be served."""
    failure: StartupError | None = None
    """Why the last start has failed, if it has."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request, or the start and stop of the app."""
        if scope["type"] == "lifespan":
            send = startup.brief(send, lambda: self.failure)
        if scope["type"] == "http":
            if not self.started:
                await mounting.refuse(scope, receive, send)
                return
            if root := scope.get("root_path"):
                scope, send = mounting.below(root, scope, send)
        await (self.front or self.plain)(scope, receive, send)

    async def plain(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves a request as FastAPI does, which wants the whole path."""
        if root := scope.get("root_path"):
            scope = mounting.whole(root, scope)
        await super().__call__(scope, receive, send)


def _shell(app: ASGIApp, settings: Settings, access: Access | None, service: Service) -> ASGIApp:
    """Puts access control, CORS and security headers around the routes, as the settings ask.

    Security headers are outermost, so that refusals carry them too.

    Raises:
        StartupError: A setting has the wrong form.
    """
    rates = None
    if settings.rate_limit is not None:
        rates = RateLimiter(Rate.read(settings.rate_limit), service.services.clock)
    if access is not None or rates is not None:
        app = gate.Gate(app, access, rates, service.token)
    if settings.cors_origins is not None:
        app = security_headers.cors(app, settings.cors_origins)
    return security_headers.SecurityHeaders(app, hsts=settings.hsts)


def _runtime(settings: Settings, clock: Clock) -> Runtime:
    opened = embedded if settings.dapr_http_port is None else DaprRuntime.open
    return opened(settings, clock)


def embedded(settings: Settings, clock: Clock) -> EmbeddedRuntime:
    """Opens the embedded runtime; at its start, every recovery reminder fires.

    Raises:
        StartupError: The settings ask for something that it does not have, or its data folder
            cannot be used.
    """
    if settings.orchestration == "workflow":
        raise StartupError(
            "AGENT_ACTORS_ORCHESTRATION=workflow needs Dapr. Remove it: on the embedded runtime the"
            " ordinary turn has the same guarantees."
        )
    return EmbeddedRuntime(
        settings,
        clock,
        recover=frozenset({wire.SETTLE}),
        topics=frozenset({(wire.PUBSUB, wire.USER_CHAT)}),
    )


@asynccontextmanager
async def _lifespan(
    service: Service, traces: Traces, access: Access | None, app: "App"
) -> AsyncIterator[None]:
    callbacks = subscriptions.callbacks(app.state.services)
    inputs = subscriptions.inputs(app.state.services)
    settings = app.state.services.settings
    with logs.unless_set_up(settings.log_format, settings.log_level):
        if not app.state.warned and (text := warning(os.environ)):
            log.warning("%s", text)
        async with traces.exported(), _started(app):
            await service.start(_actors(), deliverer(app, service.token or "", callbacks, inputs))
            try:
                yield
            finally:
                await service.stop()
                if access is not None:
                    await access.close()


@functools.cache
def _actors() -> DaprActor:
    """What registers actors with the SDK; one for the process, as the SDK's registry is.

    Its routes are in an app that is not served: actors are called in process, or through
    `Callbacks`, which asks for the token (I12).
    """
    return DaprActor(FastAPI())


@asynccontextmanager
async def _started(app: "App") -> AsyncIterator[None]:
    """Lets requests in: one of them may be an event that is delivered during the start."""
    app.started = True
    try:
        yield
    except StartupError as error:
        app.failure = error
        raise
    finally:
        app.started = False
