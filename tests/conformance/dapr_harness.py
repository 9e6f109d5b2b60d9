"""The probe on real Dapr: a sidecar and a Redis of its own, on the session's control plane."""

import asyncio
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from dapr.actor import ActorRuntime
from dapr.serializers import DefaultJSONSerializer
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agent_actors.cli.service import KEEP_ALIVE
from agent_actors.clock import SystemClock
from agent_actors.engine.components import SHIPPED
from agent_actors.engine.ports import free_port
from agent_actors.engine.redis import RedisServer
from agent_actors.engine.sidecar import SidecarProcess
from agent_actors.routes.sidecar.callbacks import Callbacks
from agent_actors.runtime.dapr import DaprRuntime
from agent_actors.service import actor_config
from agent_actors.settings import Settings
from tests.conformance.harness import (
    DEAD_ROUTE,
    DEADLINE,
    PUBSUB,
    ROUTE,
    SUBSCRIPTIONS,
    TRIES,
    Harness,
)
from tests.dapr.engine import Engine

# Redis delivers to ten handlers at once unless it is told otherwise, and so keeps no order. What
# was in delivery when a sidecar ended comes again after the processing time, 60 s by default.
_COMPONENTS = f"""
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {{name: {PUBSUB}}}
spec:
  type: pubsub.redis
  version: v1
  metadata:
    - {{name: redisHost, value: "{SHIPPED}"}}
    - {{name: redisPassword, value: ""}}
    - {{name: concurrency, value: "1"}}
    - {{name: processingTimeout, value: 5s}}
    - {{name: redeliverInterval, value: "500"}}
---
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {{name: statestore}}
spec:
  type: state.redis
  version: v1
  metadata:
    - {{name: redisHost, value: "{SHIPPED}"}}
    - {{name: redisPassword, value: ""}}
    - {{name: actorStateStore, value: "true"}}
"""
# In a file of its own: daprd looks for a policy in the first document of a file only.
_RESILIENCY = f"""
apiVersion: dapr.io/v1alpha1
kind: Resiliency
metadata: {{name: conformance}}
spec:
  policies:
    retries:
      events: {{policy: constant, duration: 50ms, maxRetries: {TRIES - 1}}}
  targets:
    components:
      {PUBSUB}: {{inbound: {{retry: events}}}}
"""
_FILES = {
    "components.yaml": _COMPONENTS,
    "resiliency.yaml": _RESILIENCY,
    "subscriptions.yaml": SUBSCRIPTIONS,
}


class _Server(uvicorn.Server):
    """uvicorn as a task of a test: signals are pytest's."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class DaprHarness(Harness):
    """The app in this process, its sidecar and its Redis beside it.

    Args:
        folder: For data, logs and the component files.
        engine: Has the servers and the control plane.
    """

    name = "dapr"

    def __init__(self, folder: Path, engine: Engine) -> None:
        super().__init__(folder)
        self._engine = engine
        self._namespace = f"conformance-{secrets.token_hex(4)}"
        self._token = secrets.token_urlsafe(16)
        self._port = free_port()
        self._redis = RedisServer(engine.require().redis, folder / "redis")
        self._sidecar: SidecarProcess | None = None
        self._runtime: DaprRuntime | None = None
        self._server: _Server | None = None
        self._serving: asyncio.Task[None] | None = None

    async def start(self, *, idle_timeout: float = 60.0, depth: int = 1) -> None:
        self._sidecar = await asyncio.to_thread(self._spawn)
        settings = Settings(
            DAPR_HTTP_PORT=self._sidecar.http_port,
            idle_timeout=idle_timeout,
            reentrancy_depth=depth,
            parking_time=idle_timeout / 10,
            drain=0.5,
        )
        self._runtime = DaprRuntime.open(settings, SystemClock())
        ActorRuntime.set_actor_config(actor_config(settings))
        await self._register(self._runtime.actor_client, settings)
        await self._runtime.start(self._deliver, lambda: None)
        self._server = self._served()
        self._serving = asyncio.create_task(self._server.serve(), name="the app")
        await self._ready()

    async def stop(self) -> None:
        # The sidecar first: nothing that falls due meanwhile is spent on an app that is away.
        if self._sidecar is not None:
            await asyncio.to_thread(self._sidecar.stop)
        if self._server is not None and self._serving is not None:
            self._server.should_exit = True
            await self._serving
        if self._runtime is not None:
            await self._runtime.stop()
        await asyncio.to_thread(self._redis.stop)

    @property
    def _running(self) -> DaprRuntime:
        assert self._runtime is not None
        return self._runtime

    def _spawn(self) -> SidecarProcess:
        """Starts Redis and the sidecar, which then waits for the app; both keep their ports."""
        self._redis.start()
        if self._sidecar is None:
            for name, text in _FILES.items():
                (self.components / name).write_text(text.replace(SHIPPED, self._redis.address))
            self._sidecar = SidecarProcess(
                self._engine.require(),
                self.folder,
                self._engine.whole_plane(),
                app_id="conformance",
                app_port=self._port,
                namespace=self._namespace,
                components=self.components,
                app_token=self._token,
            )
        self._sidecar.start()
        return self._sidecar

    def _served(self) -> _Server:
        routes = [
            Route("/dapr/config", self._config),
            Route(ROUTE, self._event, methods=["POST"]),
            Route(DEAD_ROUTE, self._event, methods=["POST"]),
        ]
        config = uvicorn.Config(
            Callbacks(Starlette(routes=routes), self._token, {}),
            port=self._port,
            lifespan="off",
            ws="none",
            log_config=None,
            log_level="warning",
            access_log=False,
            timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=1,
        )
        return _Server(config)

    async def _config(self, _: Request) -> Response:
        await self._running.sidecar_started()
        told = DefaultJSONSerializer().serialize(ActorRuntime.get_actor_config())
        return Response(told, media_type="application/json")

    async def _event(self, request: Request) -> Response:
        delivered = await self._deliver(request.url.path, await request.body())
        return Response(delivered.body, delivered.status, media_type="application/json")

    async def _ready(self) -> None:
        clock = SystemClock()
        async with clock.timeout(DEADLINE):
            while await self._running.unready() is not None:
                await clock.sleep(0.01)
