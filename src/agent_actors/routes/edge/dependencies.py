"""What the routes share: the services of the app, parameters, and checks of the caller."""

import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any, cast

from fastapi import Path, Request
from pydantic import AfterValidator
from starlette.types import Scope

from agent_actors.access.caller import Caller
from agent_actors.access.hosts import is_address, is_loopback
from agent_actors.clock import Clock
from agent_actors.conversation.runner import TurnRunner
from agent_actors.errors import Forbidden
from agent_actors.model import Model
from agent_actors.notifications.sender import SmsSender
from agent_actors.observability.counters import Counters
from agent_actors.observability.metrics import Metrics
from agent_actors.protocol import ids, wire
from agent_actors.protocol.clients import Clients
from agent_actors.protocol.messages import text
from agent_actors.protocol.service_info import ServiceInfo
from agent_actors.runtime import DeadLetters, Runtime
from agent_actors.settings import Settings
from agent_actors.state.reader import StateReader
from agent_actors.users.feed import EventFeed


@dataclass(frozen=True, slots=True)
class Services:
    """The objects that the routes use, made once when the service is composed.

    `turns` runs the turns of `POST /chat/{actor_id}`; `session_turns` runs those of `POST /chat/`,
    in the same way or as workflows. `actors` calls actors, as in `actors.chat.clear("ada")`. `feed`
    brings the other consumers up to date. `token` is the token of callbacks; None accepts any
    caller. `metrics` shows the numbers of `counters`. `info` is what `/info` tells.
    """

    settings: Settings
    runtime: Runtime
    model: Model
    clock: Clock
    dead_letters: DeadLetters
    turns: TurnRunner
    session_turns: TurnRunner
    reader: StateReader
    actors: Clients
    feed: EventFeed
    erase_user: Callable[[str], Awaitable[None]]
    token: str | None
    new_turn_id: Callable[[], str]
    counters: Counters
    metrics: Metrics
    info: ServiceInfo
    notifications: SmsSender | None = None


def services_of(request: Request) -> Services:
    """The services of the app that serves this request.

    A function, not a FastAPI dependency: resolving one would take a tenth of a turn's time.
    """
    return cast(Services, request.app.state.services)


def _id_path(who: str) -> Any:
    return Path(
        # For the OpenAPI document only: `ids.actor_id` checks the id, with a better error text.
        json_schema_extra={"pattern": f"^{ids.ID_FORM}$"},
        description=f"{who}. It must not begin with `session:`.",
        examples=["ada"],
    )


UserId = Annotated[str, AfterValidator(ids.actor_id)]
ActorIdPath = Annotated[UserId, _id_path("The conversation and its user")]
UserIdPath = Annotated[UserId, _id_path("The user")]
Text = Annotated[str, AfterValidator(text)]


def callback(request: Request) -> Services:
    """The services, if the runtime is the caller (I12).

    Raises:
        Forbidden: The token is missing or wrong.
    """
    services = services_of(request)
    if services.token is not None and not carries(request.scope, services.token):
        raise Forbidden("This route is for the runtime; it needs its dapr-api-token.")
    return services


def operator(request: Request) -> Services:
    """The services, if the caller is the runtime, an admin, or on this machine.

    Raises:
        Forbidden: The caller is somebody else.
    """
    services = services_of(request)
    caller = caller_of(request.scope)
    admin = caller is not None and caller.admin
    runtime = services.token is not None and carries(request.scope, services.token)
    if admin or runtime or _loopback(request.scope):
        return services
    raise Forbidden("This route is for callers on this machine, or with the dapr-api-token.")


CALLER = "agent_actors.caller"
"""The key under which the gate stores the caller in the scope of a request."""


def caller_of(scope: Scope) -> Caller | None:
    """The caller of a request; None if the service asks for no tokens."""
    caller: Caller | None = scope.get(CALLER)
    return caller


def carries(scope: Scope, token: str) -> bool:
    """Whether a request carries the token. The comparison takes constant time."""
    return hmac.compare_digest(header(scope, wire.TOKEN_HEADER.encode()) or b"", token.encode())


def header(scope: Scope, name: bytes) -> bytes | None:
    """The first header of that lower-case name, if there is one."""
    return next((value for key, value in scope["headers"] if key == name), None)


def _loopback(scope: Scope) -> bool:
    """Whether a request comes from this machine, and not from a proxy on it."""
    client = scope.get("client")
    forwarded = {b"forwarded", b"x-forwarded-for", b"x-real-ip"}
    if client is None or any(name in forwarded for name, _ in scope["headers"]):
        return False
    return is_address(client[0]) and is_loopback(client[0])
