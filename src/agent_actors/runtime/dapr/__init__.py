"""The Dapr runtime: a sidecar carries the actors, and any number of replicas share them.

All requests go over one pooled HTTP session. The sidecar calls back on the app's port; it may start
before or after this process, and restart at any time.
"""

import asyncio
import logging
import re
from typing import Any
from urllib.parse import urlencode

from dapr.actor import ActorRuntime
from dapr.clients.base import DaprActorClientBase
from pydantic_core import from_json

from agent_actors.clock import Clock
from agent_actors.errors import AgentError, BindingFailed, Invalid, StartupError
from agent_actors.protocol.codec import encode
from agent_actors.protocol.events import CloudEvent
from agent_actors.protocol.wire import CHAT, PING, READINESS, RESPONSE
from agent_actors.runtime import Deliver, Withdraw
from agent_actors.runtime.dapr.client import DaprActorClient
from agent_actors.runtime.dapr.sidecar import SidecarClient, failure, part, section
from agent_actors.runtime.dapr.watch import SidecarWatch
from agent_actors.settings import Settings

__all__ = ["DaprRuntime"]

log = logging.getLogger(__name__)

CALL_TIME = 30.0
"""Seconds that a call of an actor through the sidecar may take: longer than any turn."""
_PROBE = 2.0
"""Time limit of a readiness probe, in seconds."""


class DaprRuntime:
    """`Runtime` on a sidecar; made by `open`, which opens no connection.

    A call of an actor may take `deadline` seconds.
    """

    called_by_sidecar = True
    dead_letters = None

    def __init__(self, sidecar: SidecarClient, clock: Clock, deadline: float) -> None:
        self._sidecar = sidecar
        self._clock = clock
        self._client = DaprActorClient(sidecar, clock, deadline)
        self._watch: SidecarWatch | None = None
        self._watching: asyncio.Task[None] | None = None
        self._stopping = False

    @classmethod
    def open(cls, settings: Settings, clock: Clock) -> "DaprRuntime":
        """The runtime of these settings.

        Raises:
            StartupError: The settings name no sidecar, or cannot work on Dapr; the text says why.
        """
        if settings.dapr_http_port is None:
            raise StartupError(
                "The dapr runtime needs a sidecar, but DAPR_HTTP_PORT is not set: start it with"
                " `dapr run`, or use --runtime embedded."
            )
        if settings.parking_time >= min(
            settings.rules_of(waiting).idle_timeout for waiting in (CHAT, RESPONSE)
        ):
            # daprd counts idle time from the start of a turn, and cuts the turn when it is over.
            raise StartupError(
                "AGENT_ACTORS_IDLE_TIMEOUT (or that of a type in AGENT_ACTORS_ACTOR_TYPES) must be"
                " longer than AGENT_ACTORS_PARKING_TIME on Dapr."
            )
        if settings.app_api_token is None and settings.require_token:
            raise StartupError(
                "AGENT_ACTORS_REQUIRE_TOKEN is set and APP_API_TOKEN is not: set it here and at the"
                " sidecar."
            )
        if settings.app_api_token is None:
            log.warning(
                "APP_API_TOKEN is not set: whoever reaches this port can call actors and publish"
                " events"
            )
        sidecar = SidecarClient(settings.dapr_http_port, settings.dapr_api_token, CALL_TIME)
        return cls(sidecar, clock, CALL_TIME)

    @property
    def actor_client(self) -> DaprActorClientBase:
        """Calls, state, reminders and timers of actors, through the sidecar."""
        return self._client

    async def start(self, deliver: Deliver, withdraw: Withdraw) -> None:  # noqa: ARG002 - the broker calls the routes itself
        """Opens the pool and starts to watch the sidecar; does not wait for it."""
        await self._sidecar.start()
        self._watch = SidecarWatch(self._sidecar, self._clock, withdraw)
        self._watching = asyncio.create_task(self._watch.run(), name="watch of the sidecar")

    async def stop(self) -> None:
        """Closes the pool, once the turns have ended. Idempotent."""
        self._stopping = True
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        await self._sidecar.stop()

    async def sidecar_started(self) -> None:
        """Called when the sidecar asks for the actors' configuration."""
        if self._watch is not None:
            await self._watch.sidecar_started()

    async def purge(self) -> None:
        """Does nothing: the disk is the state store's."""

    async def unready(self) -> str | None:
        """Why actors cannot be called now, or None if they can.

        The sidecar does not notice when the app is unavailable, so an actor of each type is
        called too, on whichever replica it is.
        """
        if self._stopping:
            return "The service is stopping."
        try:
            hosting = section(await self._sidecar.metadata(_PROBE), "actorRuntime")
        except AgentError as error:
            return error.detail
        if not hosting.get("hostReady") or hosting.get("runtimeStatus") != "RUNNING":
            return f"The sidecar hosts no actors yet ({hosting.get('placement', 'no placement')})."
        types = ActorRuntime.get_registered_actor_types()
        answers = await asyncio.gather(*map(self._answers, types))
        for actor_type, answered in zip(types, answers, strict=True):
            if not answered:
                return f"Actors of type {actor_type} cannot be called."
        return None

    async def _answers(self, actor_type: str) -> bool:
        try:
            async with self._clock.timeout(_PROBE):
                await self._client.invoke_method(actor_type, READINESS, PING)
        except (AgentError, TimeoutError):
            return False
        return True

    async def publish(self, pubsub: str, topic: str, event: CloudEvent) -> None:
        """Hands an event to the broker."""
        named = {
            "metadata.cloudevent.id": event.id,
            "metadata.cloudevent.source": event.source,
            "metadata.cloudevent.type": event.type,
            "metadata.cloudevent.subject": event.subject,
        }
        if event.traceparent is not None:
            # As metadata it reaches the event whatever the sidecar's sampling rate.
            named["metadata.cloudevent.traceparent"] = event.traceparent
        path = f"publish/{part(pubsub)}/{part(topic)}?{urlencode(named)}"
        await self._sidecar.ask("POST", path, encode(event.data))

    async def invoke_binding(
        self, name: str, operation: str, data: Any, metadata: dict[str, str]
    ) -> bytes:
        """Invokes an output binding; it is `BindingFailed`, too, if there is none of that name."""
        asked = encode({"operation": operation, "data": data, "metadata": metadata})
        answer = await self._sidecar.send("POST", f"bindings/{part(name)}", asked)
        if answer.ok:
            return answer.body
        if not answer.code.endswith("_OUTPUT_BINDING"):
            raise failure(answer, "bindings")
        # Only a status of the sidecar's message: the rest may contain credentials.
        status = re.search(r"\((\d{3})\)", answer.message)
        if status:
            raise BindingFailed(f"What the binding {name!r} speaks to has answered {status[1]}.")
        if "find output binding" in answer.message:
            raise BindingFailed(f"The sidecar has no output binding {name!r}.")
        raise BindingFailed(f"The binding {name!r} could not reach what it speaks to, or refused.")

    async def get_secret(self, store: str, name: str) -> str | None:
        """A secret, or None if the store has none of that name.

        Local stores and Kubernetes report a missing secret; other stores may fail instead.
        """
        answer = await self._sidecar.send("GET", f"secrets/{part(store)}/{part(name)}")
        if answer.code in {"ERR_SECRET_STORE_NOT_FOUND", "ERR_SECRET_STORES_NOT_CONFIGURED"}:
            raise Invalid(f"There is no secret store {store!r}.")
        # Dapr has one code for all errors of a store.
        missing = (f"secret {name} not found", f'secrets "{name}" not found')
        if answer.code == "ERR_SECRET_GET" and answer.message.endswith(missing):
            return None
        if not answer.ok:
            raise failure(answer, "secrets")
        # By default the parser caches short strings, and so secrets.
        secrets = from_json(answer.body, cache_strings="none") if answer.body else {}
        found = secrets.get(name)
        return found if isinstance(found, str) and found else None
