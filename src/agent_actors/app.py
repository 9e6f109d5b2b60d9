"""The service as a FastAPI app: its routes, and the callbacks of a sidecar in front of them."""

import functools
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
from agent_actors.access.rates import Rate, RateLimiter
from agent_actors.clock import Clock, SystemClock
from agent_actors.errors import StartupError
from agent_actors.model import Model
from agent_actors.model.configured import choose
from agent_actors.observability.exporter import Traces
from agent_actors.protocol import wire
from agent_actors.routes import (
    analytics,
    chat,
    follow_up,
    health,
    memories,
    memory,
    metrics,
    notifications,
    response,
    schedules,
    sessions,
    users,
)
from agent_actors.routes.edge import gate, problems, security_headers
from agent_actors.routes.edge.body_limit import BodyLimit
from agent_actors.routes.sidecar import events, lesson_events, receive, subscriptions
from agent_actors.routes.sidecar.callbacks import Callbacks
from agent_actors.routes.sidecar.deliveries import deliverer
from agent_actors.runtime import Runtime
from agent_actors.runtime.dapr import DaprRuntime
from agent_actors.runtime.embedded import EmbeddedRuntime
from agent_actors.service import Service
from agent_actors.settings import Settings, read

if TYPE_CHECKING:
    from agents import Agent, Tool

BODY_BYTES = 6
"""Bytes that one byte of a message may take in a JSON body (`\\u0000`)."""
BODY_EXTRA = 16_384
"""Bytes of a body beside the message's content."""

NOUNS = (
    sessions,
    chat,
    follow_up,
    schedules,
    response,
    memory,
    memories,
    users,
    analytics,
    events,
    lesson_events,
    receive,
    notifications,
    health,
    metrics,
)


def create_app(  # noqa: PLR0913 - What a user of the library may bring.
    settings: Settings | None = None,
    *,
    runtime: Runtime | None = None,
    model: Model | None = None,
    clock: Clock | None = None,
    agent: "Agent[Any] | None" = None,
    tools: "Sequence[Tool]" = (),
    tracer_provider: TracerProvider | None = None,
) -> FastAPI:
    """The service: its actors, its routes, and the runtime that carries them.

    One such app at a time in a process: the SDK keeps its registry of actors per process.

    Args:
        settings: By default read from the environment.
        runtime: By default Dapr where `DAPR_HTTP_PORT` names a sidecar, else the embedded one, on
            the settings' data folder.
        model: By default the settings' one.
        clock: By default the machine's.
        agent: An agent of the OpenAI Agents SDK that answers in place of the default one.
        tools: Tools of that SDK which the agent may use besides its own.
        tracer_provider: Where OpenTelemetry's spans go; by default to the collector that
            `OTEL_EXPORTER_OTLP_ENDPOINT` names, if it does.

    Raises:
        StartupError: A setting is wrong, or the data folder cannot be used.
    """
    clock = clock or SystemClock()
    settings = settings or read()
    runtime = runtime or _runtime(settings, clock)
    model = model or choose(
        settings, clock, get_secret=runtime.get_secret, agent=agent, tools=tuple(tools)
    )
    service = Service(settings, runtime, model, clock)
    access = Access.open(settings, clock)
    if access is not None and service.token is None:
        raise StartupError("Access control needs APP_API_TOKEN, or callbacks would be a way in.")
    traces = Traces.of(tracer_provider, __version__)
    largest = settings.message_bytes * BODY_BYTES + BODY_EXTRA
    app = App(
        title="agent-actors",
        description="AI agents as Dapr virtual actors.",
        version=__version__,
        middleware=[Middleware(BodyLimit, largest=largest)],
        telemetry=traces.of_requests,
    )
    app.router.lifespan_context = functools.partial(_lifespan, service, traces, access)
    app.shell = _shell(app.plain, settings, access, service)
    if runtime.called_by_sidecar:
        app.front = _front(app.behind, service)
    app.state.services = service.services
    app.state.stopping = service.stopping
    app.state.drain = service.drain
    problems.install(app)
    if access is not None:
        gate.describe(app)
    for noun in NOUNS:
        app.include_router(noun.router)
    return app


class App(FastAPI):
    """FastAPI in its shell, with a sidecar's callbacks in front where the runtime has one."""

    front: Callbacks | None = None
    shell: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or the start and the stop."""
        await (self.front or self.behind)(scope, receive, send)

    async def behind(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What is no callback."""
        await (self.shell or self.plain)(scope, receive, send)

    async def plain(self, scope: Scope, receive: Receive, send: Send) -> None:
        """FastAPI's own."""
        await super().__call__(scope, receive, send)


def _shell(app: ASGIApp, settings: Settings, access: Access | None, service: Service) -> ASGIApp:
    """What the settings put around the routes; the headers outermost, so that refusals have them.

    Raises:
        StartupError: A setting is not of its form.
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


def _front(app: ASGIApp, service: Service) -> Callbacks:
    """The callbacks of a sidecar, in front of everything else."""
    callbacks = subscriptions.callbacks(service.services)
    inputs = subscriptions.inputs(service.services)
    return Callbacks(app, service.token, callbacks, inputs)


def embedded(settings: Settings, clock: Clock) -> EmbeddedRuntime:
    """The embedded runtime; at its start every recovery reminder fires.

    Raises:
        StartupError: The settings want what it has not, or its data folder cannot be used.
    """
    if settings.orchestration == "workflow":
        raise StartupError(
            "AGENT_ACTORS_ORCHESTRATION=workflow needs Dapr; leave it out: on the embedded runtime"
            " the ordinary turn carries the same guarantees."
        )
    return EmbeddedRuntime.open(
        settings,
        clock,
        recover=frozenset({wire.SETTLE}),
        topics=frozenset({(wire.PUBSUB, wire.USER_CHAT)}),
    )


@asynccontextmanager
async def _lifespan(
    service: Service, traces: Traces, access: Access | None, app: FastAPI
) -> AsyncIterator[None]:
    # Registered with the SDK; its routes are on an app that is not served. Actors are called in
    # process, or by `Callbacks` (I12).
    dapr = DaprActor(FastAPI())
    callbacks = subscriptions.callbacks(app.state.services)
    inputs = subscriptions.inputs(app.state.services)
    async with traces.collected():
        await service.start(dapr, deliverer(app, service.token or "", callbacks, inputs))
        try:
            yield
        finally:
            await service.stop()
            if access is not None:
                await access.close()
