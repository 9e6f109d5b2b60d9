"""Answers a sidecar's calls of actors, subscriptions and bindings; they need the token (I12).

These requests bypass FastAPI: five of the six requests of a turn on Dapr are callbacks, and
middleware, routing and validation took 40 % of the process's time there (docs/performance.md).
Calls of actors go to `ActorRuntime`, as in the SDK's `DaprActor`. Its routes would answer with the
repr of an exception, which may contain users' messages.
"""

import logging
from collections.abc import Mapping

from dapr.actor import ActorRuntime
from dapr.actor.error import ActorMethodNotFoundError
from dapr.clients.base import DAPR_REENTRANCY_ID_HEADER
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from agent_actors.errors import AgentError, Defect, Forbidden, NotFound, TooLarge
from agent_actors.observability import tracing
from agent_actors.routes.edge.dependencies import carries, header
from agent_actors.routes.edge.problems import document
from agent_actors.routes.sidecar.deliveries import Callback, InputCallback

log = logging.getLogger(__name__)

ACTORS = "/actors/"
LARGEST = 32 * 1024 * 1024
"""Bytes of a callback: twice what a sidecar configured as in docs/dapr.md lets through."""
REENTRANCY_HEADER = DAPR_REENTRANCY_ID_HEADER.lower().encode()
_JSON = (b"content-type", b"application/json")


class Callbacks:
    """ASGI middleware that answers callbacks and passes every other request on.

    Callers have to send the token, if there is one. The subscriptions and the input bindings are
    given by path.
    """

    def __init__(
        self,
        app: ASGIApp,
        token: str | None,
        events: Mapping[str, Callback],
        inputs: Mapping[str, InputCallback] | None = None,
    ) -> None:
        self._app = app
        self._token = token
        self._events = events
        self._inputs = inputs or {}
        self._warned = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if not self._is_callback(scope):
            await self._app(scope, receive, send)
            return
        trace = _text(scope, b"traceparent") if tracing.enabled() else None
        try:
            with tracing.join(trace):
                body = await self._answer(scope, receive)
        except ClientDisconnect:
            log.warning("the request to %r was interrupted; nothing was done", scope["path"])
        except AgentError as error:
            await document(error)(scope, receive, send)
        except Exception as error:
            log.error("the request to %r failed: %s", scope["path"], type(error).__name__)
            log.debug("traceback", exc_info=error)
            failed = Defect("The app failed to handle the call; see its log.")
            await document(failed)(scope, receive, send)
        else:
            length = (b"content-length", str(len(body)).encode())
            await send({"type": "http.response.start", "status": 200, "headers": [_JSON, length]})
            await send({"type": "http.response.body", "body": body})

    def _is_callback(self, scope: Scope) -> bool:
        if scope["type"] != "http":
            return False
        path: str = scope["path"]
        subscribed = path in self._events or path in self._inputs
        return path.startswith(ACTORS) or (subscribed and scope["method"] == "POST")

    async def _answer(self, scope: Scope, receive: Receive) -> bytes:
        if self._token is not None and not carries(scope, self._token):
            if not self._warned:
                log.warning(
                    "refused a callback without this app's APP_API_TOKEN; does the sidecar have it?"
                )
            self._warned = True
            raise Forbidden("This route is for the sidecar; it needs its dapr-api-token.")
        event = self._events.get(scope["path"])
        if event is not None:
            return await event(await _body(receive))
        binding = self._inputs.get(scope["path"])
        if binding is not None:
            return await binding(await _body(receive, cut=True), scope["headers"])
        return await _actor(scope, receive)


def _text(scope: Scope, name: bytes) -> str | None:
    given = header(scope, name)
    return None if given is None else given.decode("latin-1")


async def _actor(scope: Scope, receive: Receive) -> bytes:
    """The routes of `DaprActor`: methods, reminders, timers, deactivation."""
    parts = scope["path"].removeprefix(ACTORS).split("/")
    match scope["method"], parts:
        case "PUT", [kind, actor_id, "method", name]:
            body, chain = await _body(receive), _text(scope, REENTRANCY_HEADER)
            try:
                result: bytes = await ActorRuntime.dispatch(kind, actor_id, name, body, chain)
            except ActorMethodNotFoundError:
                raise NotFound(f"{kind} has no method {name!r}.") from None
            return result
        case "PUT", [kind, actor_id, "method", "remind", name]:
            await ActorRuntime.fire_reminder(kind, actor_id, name, await _body(receive))
        case "PUT", [kind, actor_id, "method", "timer", name]:
            await ActorRuntime.fire_timer(kind, actor_id, name, await _body(receive))
        case "DELETE", [kind, actor_id]:
            try:
                await ActorRuntime.deactivate(kind, actor_id)
            except ValueError:
                # The SDK does not know the actor, for instance because the app was restarted.
                log.debug("%s was not active", kind)
        case _:
            raise NotFound("There is no such route of an actor.")
    return b"{}"


async def _body(receive: Receive, *, cut: bool = False) -> bytes:
    """The body of a request. With `cut`, one over the limit is cut off somewhere above it.

    Raises:
        ClientDisconnect: The request was interrupted.
        TooLarge: It is over the limit, which no sidecar should send.
    """
    parts: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        if size <= LARGEST:
            parts.append(message.get("body", b""))
            size += len(parts[-1])
        if size > LARGEST and not cut:
            raise TooLarge(f"A callback has at most {LARGEST} bytes.")
        more = message.get("more_body", False)
    return b"".join(parts)
