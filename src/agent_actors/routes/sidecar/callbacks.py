"""What a sidecar calls: actors, subscriptions and bindings, for callers with the token only (I12).

These requests pass beside FastAPI: five of the six requests of a turn on Dapr are callbacks, and
its middleware, routing and validation took 40 % of the process's time there (docs/performance.md).
An actor's request goes to `ActorRuntime`, as from the routes of the SDK's `DaprActor`, with one
difference: those answer the repr of an exception, which may hold what people said.
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
from agent_actors.routes.sidecar.deliveries import Callback, Input

log = logging.getLogger(__name__)

ACTORS = "/actors/"
LARGEST = 32 * 1024 * 1024
"""Bytes of a callback: twice what a sidecar lets through as it is told to in docs/dapr.md."""
REENTRANCY_HEADER = DAPR_REENTRANCY_ID_HEADER.lower().encode()
_JSON = (b"content-type", b"application/json")


class Callbacks:
    """Answers the sidecar, and hands every other request on.

    Args:
        app: What is served elsewhere.
        token: What callers must carry; None takes any caller.
        events: The subscriptions, by path.
        inputs: The routes of input bindings, by path.
    """

    def __init__(
        self,
        app: ASGIApp,
        token: str | None,
        events: Mapping[str, Callback],
        inputs: Mapping[str, Input] | None = None,
    ) -> None:
        self._app = app
        self._token = token
        self._events = events
        self._inputs = inputs or {}
        self._refused = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if not self._is_callback(scope):
            await self._app(scope, receive, send)
            return
        try:
            with tracing.join(_traceparent(scope)):
                body = await self._answer(scope, receive)
        except ClientDisconnect:
            log.warning("a call of %r broke off; nothing was done", scope["path"])
        except AgentError as error:
            await document(error)(scope, receive, send)
        except Exception as error:
            log.error("a call of %r failed: %s", scope["path"], type(error).__name__)
            log.debug("its trace", exc_info=error)
            failed = Defect("The call failed inside the app; its log says where.")
            await document(failed)(scope, receive, send)
        else:
            length = (b"content-length", str(len(body)).encode())
            await send({"type": "http.response.start", "status": 200, "headers": [_JSON, length]})
            await send({"type": "http.response.body", "body": body})

    def _is_callback(self, scope: Scope) -> bool:
        if scope["type"] != "http":
            return False
        path: str = scope["path"]
        taken = path in self._events or path in self._inputs
        return path.startswith(ACTORS) or (taken and scope["method"] == "POST")

    async def _answer(self, scope: Scope, receive: Receive) -> bytes:
        if self._token is not None and not carries(scope, self._token):
            self._tell_of_refusal()
            raise Forbidden("This route is for the sidecar; it needs its dapr-api-token.")
        take = self._events.get(scope["path"])
        if take is not None:
            return await take(await _body(receive))
        receives = self._inputs.get(scope["path"])
        if receives is not None:
            return await receives(await _body(receive, cut=True), scope["headers"])
        return await _actor(scope, receive)

    def _tell_of_refusal(self) -> None:
        """Once: it may be a stranger, but also a sidecar that was not told our token."""
        if not self._refused:
            log.warning(
                "a callback came without this app's APP_API_TOKEN; has the sidecar the same one?"
            )
        self._refused = True


def _traceparent(scope: Scope) -> str | None:
    given = header(scope, b"traceparent") if tracing.enabled() else None
    return None if given is None else given.decode("latin-1")


async def _actor(scope: Scope, receive: Receive) -> bytes:
    """The routes of `DaprActor`: methods, reminders, timers, deactivation."""
    parts = scope["path"].removeprefix(ACTORS).split("/")
    match scope["method"], parts:
        case "PUT", [kind, actor_id, "method", name]:
            given = header(scope, REENTRANCY_HEADER)
            reentrancy = None if given is None else given.decode("latin-1")
            return await _method((kind, actor_id), name, await _body(receive), reentrancy)
        case "PUT", [kind, actor_id, "method", "remind", name]:
            await ActorRuntime.fire_reminder(kind, actor_id, name, await _body(receive))
        case "PUT", [kind, actor_id, "method", "timer", name]:
            await ActorRuntime.fire_timer(kind, actor_id, name, await _body(receive))
        case "DELETE", [kind, actor_id]:
            await _put_away(kind, actor_id)
        case _:
            raise NotFound("There is no such route of an actor.")
    return b"{}"


async def _method(actor: tuple[str, str], name: str, body: bytes, reentrancy: str | None) -> bytes:
    try:
        result: bytes = await ActorRuntime.dispatch(*actor, name, body, reentrancy)
    except ActorMethodNotFoundError:
        raise NotFound(f"{actor[0]} has no method {name!r}.") from None
    return result


async def _put_away(kind: str, actor_id: str) -> None:
    try:
        await ActorRuntime.deactivate(kind, actor_id)
    except ValueError:
        # The SDK knows no such actor: then it is away already, as after a restart of the app.
        log.debug("%s was not active", kind)


async def _body(receive: Receive, *, cut: bool = False) -> bytes:
    """The whole of it; with `cut`, of one that is over the limit more than the limit, not all.

    Raises:
        ClientDisconnect: It broke off; half a request is none.
        TooLarge: No sidecar sends so much.
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
